"""The reference pages that are made from the code are as the code is."""

import pytest

from cspine.cli import COMMANDS
from cspine.recipes import load_recipe, recipe_names
from cspine.training.core.settings import settings
from tests.documents.references import REFERENCE, augmentation_table, command_page, settings_page

_AGAIN = "Run: python -m tests.documents.references"


def _page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_the_page_of_commands_is_what_the_parsers_say() -> None:
    assert _page("cli.md") == command_page(), _AGAIN
    assert all(f"\n## cspine {name}\n" in _page("cli.md") for name in COMMANDS)


def test_the_page_of_settings_is_what_the_recipes_say() -> None:
    assert _page("settings.md") == settings_page(augmentation_table(_page("settings.md"))), _AGAIN


@pytest.mark.parametrize("name", recipe_names())
def test_every_setting_has_a_meaning(name: str) -> None:
    rows = [
        line.strip("| ").split(" | ") for line in _page("settings.md").split(f"\n### {name}\n")[1].split("\n### ")[0].splitlines()
    ]
    meanings = {row[0].strip("`"): row[-1] for row in rows if len(row) == 3 and row[0].startswith("`")}

    assert set(meanings) == set(settings(load_recipe(name)))
    assert [key for key, meaning in meanings.items() if not meaning.strip()] == []


_FAMILIES = {"custom_cnn": "slices", "vertebra_mil": "vertebrae", "localiser": "localiser", "refiner": "refiner"}
"""A recipe of each family that is augmented."""


def test_the_table_of_augmentations_has_those_of_every_family() -> None:
    rows = [line.strip("| ").split(" | ") for line in augmentation_table(_page("settings.md")).splitlines()[2:]]
    found = {(name.strip("`"), family) for name, _, families in rows for family in families.split(", ")}

    assert found == {
        (key.removeprefix("augmentation."), family)
        for recipe, family in _FAMILIES.items()
        for key in settings(load_recipe(recipe))
        if key.startswith("augmentation.")
    }
