"""Networks that begin with the weights of a package that classifies."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cspine.errors import PackageError, TrainingError
from cspine.modelpack import NetworkFile, Samples, load_package, write_package
from cspine.recipes import load_recipe
from cspine.training.core.conversion import write_ir
from cspine.training.vertebrae.augmentation import unchanged
from cspine.training.vertebrae.batches import study_input
from cspine.training.vertebrae.family import SERVED, VertebraFamily
from cspine.training.vertebrae.packaged_weights import set_weights_of_vertebra_package, with_initial_weights
from cspine.training.vertebrae.settings import VertebraRecipe
from tests.coded_vertebrae import vertebra_manifest
from tests.training.vertebrae.small import RECIPE, SPEC, study

SHIPPED = "vertebra_mil_phantoms"


def shuffled(network: keras.Model) -> keras.Model:
    """Gives a network weights that are all different, and normalisations with statistics of their own."""
    rng = np.random.default_rng(5)
    network.set_weights(
        [
            (
                np.abs(1 + 0.3 * rng.normal(size=old.shape)) if "variance" in own.path else old + 0.05 * rng.normal(size=old.shape)
            ).astype(np.float32)
            for own, old in zip(network.weights, network.get_weights(), strict=True)
        ]
    )
    return network


def crops(number: int = 2) -> np.ndarray:
    return np.stack([study_input(study(n, n), unchanged(), RECIPE)[0] for n in range(number)])


@pytest.fixture(scope="module", params=["one mixer", "alone, not residual"])
def trained(request: pytest.FixtureRequest) -> tuple[VertebraRecipe, keras.Model]:
    more: dict[str, Any] = {} if request.param == "one mixer" else {"mixers": 0, "residual": False, "close": 5}
    recipe = replace(RECIPE, network=replace(RECIPE.network, **more))
    return recipe, shuffled(recipe.network.build(SPEC, seed=1))


@pytest.fixture(scope="module")
def package(trained: tuple[VertebraRecipe, keras.Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a package of a network with other weights than fresh ones."""
    scratch, folder = tmp_path_factory.mktemp("network"), tmp_path_factory.mktemp("packages") / "trained"
    network = trained[1]
    write_ir(keras.Model(network.inputs, {name: network.output[name] for name in SERVED}), scratch / "vertebrae.xml")
    outputs = {name: np.asarray(value) for name, value in network(crops(), training=False).items() if name in SERVED}
    manifest = replace(vertebra_manifest(), spec=SPEC, networks=(NetworkFile("vertebrae", "vertebrae.xml", SERVED),))
    files = {name: scratch / name for name in ("vertebrae.xml", "vertebrae.bin")}
    write_package(folder, manifest, files, {"vertebrae": Samples(crops(), outputs)}, "# trained\n\nShuffled weights.\n")
    return folder


def test_what_ships_is_read_back_to_what_it_says() -> None:
    recipe = load_recipe("vertebra_mil")
    assert isinstance(recipe, VertebraRecipe)
    network = set_weights_of_vertebra_package(recipe.network.build(recipe.input, seed=3), SHIPPED)
    samples = load_package(SHIPPED).samples("vertebrae")

    predicted = network(samples.inputs[:1], training=False)

    for name, stored in samples.outputs.items():
        np.testing.assert_allclose(predicted[name], stored[:1], atol=1e-4)


def test_a_network_says_what_the_one_says_that_was_exported(trained: tuple[VertebraRecipe, keras.Model], package: Path) -> None:
    recipe, network = trained
    fresh = recipe.network.build(SPEC, seed=9)
    before = {name: np.asarray(value) for name, value in fresh(crops(3), training=False).items()}
    found = with_initial_weights(lambda: fresh, str(package))(crops(3), training=False)

    for name, wanted in network(crops(3), training=False).items():
        np.testing.assert_allclose(found[name], wanted, atol=1e-4)
        assert np.abs(before[name] - np.asarray(wanted)).max() > 1e-3, name


def test_normalisations_have_the_statistics_of_what_they_normalise(
    trained: tuple[VertebraRecipe, keras.Model], package: Path
) -> None:
    network = set_weights_of_vertebra_package(trained[0].network.build(SPEC, seed=9), str(package))
    stem, neck = (keras.Model(network.input, network.get_layer(name).output) for name in ("stem_convolution", "neck_relu"))
    seen = np.asarray(stem(crops(), training=False))

    scale, _, mean, variance = network.get_layer("stem_normalisation").get_weights()

    np.testing.assert_allclose(mean, seen.mean(axis=(0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(variance, seen.var(axis=(0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(scale**2, variance + 1e-3, rtol=1e-4)
    trained_on, served = (np.asarray(neck(crops(), training=training)) for training in (True, False))
    assert np.abs(trained_on - served).mean() < 0.1 * served.mean()


def test_training_checks_the_package_and_begins_with_it(package: Path, trained: tuple[VertebraRecipe, keras.Model]) -> None:
    recipe = trained[0]
    VertebraFamily(replace(recipe, initial_weights=str(package))).check()
    with pytest.raises(TrainingError, match="Initial weights need a network of the same layers and input"):
        VertebraFamily(replace(recipe, network=replace(recipe.network, width=16), initial_weights=str(package))).check()
    with pytest.raises(TrainingError, match="same layers and input"):
        VertebraFamily(replace(recipe, input=replace(SPEC, slices=3), initial_weights=str(package))).check()


def test_packages_of_other_kinds_and_that_are_not_there_are_refused(tmp_path: Path) -> None:
    network = RECIPE.network.build(SPEC, seed=0)
    with pytest.raises(TrainingError, match=r"need a package of kind vertebrae.*is of kind slices"):
        set_weights_of_vertebra_package(network, "custom_cnn_phantoms")
    with pytest.raises(PackageError, match="model package"):
        set_weights_of_vertebra_package(network, str(tmp_path / "none"))
