"""Networks that begin with the weights of a package."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import PackageError, TrainingError
from cspine.modelpack import load_localiser
from cspine.networks.unet3d import of_any_window
from cspine.networks.volume_settings import UNet3DSettings
from cspine.recipes import load_recipe
from cspine.training.core.initial_weights import set_weights_of_package
from cspine.training.localiser.settings import LocaliserRecipe
from cspine.training.refiner.settings import RefinerRecipe

SHIPPED = "localiser"


def recipe_of(role: str) -> LocaliserRecipe | RefinerRecipe:
    recipe = load_recipe("localiser" if role == "coarse" else "refiner")
    assert isinstance(recipe, LocaliserRecipe | RefinerRecipe)
    return recipe


@pytest.mark.parametrize("role", ["coarse", "fine"])
def test_says_what_the_package_says(role: str) -> None:
    recipe = recipe_of(role)
    network = of_any_window(set_weights_of_package(recipe.network.build(recipe.input, seed=3), SHIPPED, role))
    samples = load_localiser(SHIPPED).samples(role)
    predicted = network.predict_on_batch(samples.inputs)
    for name, stored in samples.outputs.items():
        np.testing.assert_allclose(predicted[name], stored, atol=1e-4)


def test_keeps_fresh_weights_without_a_package() -> None:
    recipe = recipe_of("fine")
    fresh, kept = (recipe.network.build(recipe.input, seed=3) for _ in range(2))
    set_weights_of_package(kept, "", "fine")
    for one, other in zip(fresh.get_weights(), kept.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_names_other_layers() -> None:
    recipe = recipe_of("fine")
    other = replace(recipe.network, widths=(8, 16, 32)).build(recipe.input, seed=0)
    with pytest.raises(TrainingError, match="same layers"):
        set_weights_of_package(other, SHIPPED, "fine")


def test_names_a_role_that_is_not_there(coded_localiser: Path) -> None:
    recipe = recipe_of("fine")
    with pytest.raises(TrainingError, match="need a network in the role fine"):
        set_weights_of_package(UNet3DSettings(widths=(4, 8)).build(recipe.input, seed=0), str(coded_localiser), "fine")


def test_names_a_package_that_is_not_there(tmp_path: Path) -> None:
    recipe = recipe_of("coarse")
    with pytest.raises(PackageError, match="model package"):
        set_weights_of_package(recipe.network.build(recipe.input, seed=0), str(tmp_path / "none"), "coarse")
