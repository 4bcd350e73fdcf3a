"""Experiments we stand by: one short file each, whose docstring states command, device, hours and score."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cspine.errors import UsageError, one_line
from cspine.training.core.settings import Recipe
from cspine.training.slices.settings import SliceRecipe

if TYPE_CHECKING:
    from cspine.training.core.family import Family


def recipe_names() -> tuple[str, ...]:
    """Returns the names of all recipes."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py")))


def load_recipe(name: str) -> Recipe:
    """Returns the recipe of a name.

    Raises:
        UsageError: There is none.
    """
    if name not in recipe_names():
        raise UsageError(f"There is no recipe {one_line(name, 80)}. Known: {', '.join(recipe_names())}.")
    module: Any = import_module(f"cspine.recipes.{name}")
    recipe: Recipe = module.RECIPE
    return recipe


def load_slice_recipe(name: str) -> SliceRecipe:
    """Returns the recipe of a slice network.

    Raises:
        UsageError: There is none of that name, or it is of another kind.
    """
    recipe = load_recipe(name)
    if not isinstance(recipe, SliceRecipe):
        known = ", ".join(other for other in recipe_names() if isinstance(load_recipe(other), SliceRecipe))
        raise UsageError(f"A slice network is needed: {known}. Received {name}, which is of another kind.")
    return recipe


def describe_recipe(name: str) -> str:
    """Returns the docstring of a recipe."""
    load_recipe(name)
    return (import_module(f"cspine.recipes.{name}").__doc__ or "").strip()


def family_of(recipe: Recipe) -> "Family[Any]":
    """Returns what trains, evaluates and packs the networks of a recipe."""
    from cspine.training.localiser.family import LocaliserFamily
    from cspine.training.localiser.settings import LocaliserRecipe
    from cspine.training.pseudo_labels.teachers import PseudoLabelling
    from cspine.training.refiner.family import RefinerFamily
    from cspine.training.refiner.settings import RefinerRecipe
    from cspine.training.slices.family import SliceFamily
    from cspine.training.vertebrae.family import VertebraFamily
    from cspine.training.vertebrae.settings import VertebraRecipe

    if isinstance(recipe, SliceRecipe):
        return SliceFamily(recipe, PseudoLabelling(recipe))
    if isinstance(recipe, VertebraRecipe):
        return VertebraFamily(recipe)
    if isinstance(recipe, LocaliserRecipe):
        return LocaliserFamily(recipe)
    if isinstance(recipe, RefinerRecipe):
        return RefinerFamily(recipe)
    raise TypeError(f"A recipe of a known family is needed. Received: {type(recipe).__name__}")
