"""Experiments we stand by: one short file each, whose docstring states command, device, hours and score."""

from importlib import import_module
from pathlib import Path

from cspine.errors import UsageError, one_line
from cspine.training.core.overrides import AnyRecipe
from cspine.training.slices.settings import Recipe


def recipe_names() -> tuple[str, ...]:
    """Names of all recipes."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py")))


def load_recipe(name: str) -> AnyRecipe:
    """The recipe of a name.

    Raises:
        UsageError: There is none.
    """
    if name not in recipe_names():
        raise UsageError(f"There is no recipe {one_line(name, 80)}. Known: {', '.join(recipe_names())}.")
    recipe: AnyRecipe = import_module(f"cspine.recipes.{name}").RECIPE
    return recipe


def load_slice_recipe(name: str) -> Recipe:
    """The recipe of a slice network.

    Raises:
        UsageError: There is none of that name, or it is of another kind.
    """
    recipe = load_recipe(name)
    if not isinstance(recipe, Recipe):
        known = ", ".join(other for other in recipe_names() if isinstance(load_recipe(other), Recipe))
        raise UsageError(f"A slice network is needed: {known}. Received {name}, which is of another kind.")
    return recipe


def describe_recipe(name: str) -> str:
    """The docstring of a recipe."""
    load_recipe(name)
    return (import_module(f"cspine.recipes.{name}").__doc__ or "").strip()
