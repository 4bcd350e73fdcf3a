import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from cspine.errors import UsageError
from cspine.recipes import describe_recipe, load_recipe, load_slice_recipe, recipe_names
from cspine.training.core.settings import settings, with_settings
from cspine.training.slices.settings import SliceRecipe, Target
from cspine.training.vertebrae.settings import VertebraRecipe

_DOCS = Path(__file__).parents[2] / "docs"
SLICE_RECIPES = [name for name in recipe_names() if isinstance(load_recipe(name), SliceRecipe)]


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_called_what_its_file_is_called_and_states_its_command_device_and_score(name: str) -> None:
    text = describe_recipe(name)

    assert load_recipe(name).name == name
    for word in ("Command:", "Device:", "Time:", "Score:", "Data:"):
        assert word in text
    assert f"cspine train {name} " in text


@pytest.mark.parametrize("name", SLICE_RECIPES)
def test_the_input_of_a_recipe_fits_its_network(name: str) -> None:
    recipe = load_slice_recipe(name)

    network = recipe.network.build(recipe.input, seed=0)

    assert network.input_shape == (None, *recipe.input.size, recipe.input.channels)
    assert set(network.output) == set(recipe.network.outputs) >= {"fracture", "visible", "level_map"}


def test_the_flagship_sees_uncut_vertebrae_and_its_network_fits() -> None:
    recipe = load_recipe("vertebra_mil")
    assert isinstance(recipe, VertebraRecipe)
    spec = recipe.input

    network = recipe.network.build(spec, seed=0)

    assert network.input_shape == (None, *spec.shape)
    assert network.output["fracture_map"].shape == (None, 7, spec.slices, spec.size[0] // 8, spec.size[1] // 8)
    assert spec.depth * spec.spacing_mm[0] > 45
    assert min(spec.size[0] * spec.spacing_mm[1], spec.size[1] * spec.spacing_mm[2]) >= 60


@pytest.mark.parametrize("name", SLICE_RECIPES)
def test_boxes_and_pseudo_labels_are_options_of_every_slice_recipe(name: str) -> None:
    recipe = load_slice_recipe(name)

    boxes, pseudo = (with_settings(recipe, change) for change in ({"network.fracture_map": "true"}, {"labels.teacher": "RUN"}))

    assert set(boxes.network.outputs) - set(recipe.network.outputs) == {"fracture_map"}
    assert pseudo.labels.teacher == "RUN"


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_states_a_score_with_its_interval_and_the_command_that_gives_it(name: str) -> None:
    score = describe_recipe(name).split("Score:")[1].split("Data:")[0]

    assert re.search(r"0\.\d{3} \(0\.\d{3} to [01]\.\d{3}\)", score)
    (program,) = re.findall(r"``python -m (\S+) ", score)
    assert find_spec(program) is not None
    assert "docs/benchmarks.md" in score


@pytest.mark.parametrize("name", recipe_names())
def test_the_scores_of_a_recipe_stand_in_the_page_of_measurements(name: str) -> None:
    score = describe_recipe(name).split("Score:")[1].split("Data:")[0]
    page = (_DOCS / "benchmarks.md").read_text(encoding="utf-8").replace("–", "-")

    numbers = re.findall(r"(0\.\d{3})\s\((0\.\d{3}) to ([01]\.\d{3})\)", score)

    assert numbers != []
    assert [number for number in numbers if "{} ({}-{})".format(*number) not in page] == []


@pytest.mark.parametrize("name", ["densenet121", "inception_resnet_v2", "leaky_protocol", "unet_transfer"])
def test_a_recipe_that_was_trained_for_some_steps_only_says_so(name: str) -> None:
    assert "Score: not trained to its plateau." in describe_recipe(name)


def test_a_setting_has_the_same_name_and_unit_in_every_recipe_that_augments() -> None:
    table = (_DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    table = table[table.index("| augmentation |") :].split("\n\n")[0]
    documented = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))

    used = {key.split(".")[1] for name in recipe_names() for key in settings(load_recipe(name)) if key.startswith("augmentation.")}

    assert used == documented
    endings = ("_mm", "_deg", "_hu", "_share", "_voxels", "scale", "shear", "gain")
    assert all(name.endswith(endings) for name in used)


def test_the_leaky_protocol_changes_what_is_trained_and_what_is_held_back_and_nothing_of_the_network() -> None:
    honest, leaky = (load_slice_recipe(name) for name in ("custom_cnn", "leaky_protocol"))

    assert (leaky.labels.target, leaky.sampling.held_back_share) == (Target.VISIBLE, 0.2)
    assert leaky.patches.epochs == 0  # patches tell what a fracture looks like
    same = replace(leaky, labels=honest.labels, sampling=honest.sampling, patches=honest.patches, fit=honest.fit)
    assert replace(same, name=honest.name) == honest


def test_an_unknown_recipe_is_told_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no recipe vgg\. Known: .*custom_cnn"):
        load_slice_recipe("vgg")


def test_a_localiser_is_no_slice_network() -> None:
    with pytest.raises(UsageError, match=r"A slice network is needed: custom_cnn, .*\. Received localiser"):
        load_slice_recipe("localiser")
