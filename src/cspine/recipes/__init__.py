"""Experiments we stand by: one short file each, whose docstring states command, device, hours and score; and those of others."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cspine.errors import UsageError, one_line
from cspine.recipes.own import file_module, is_file_name, offered, offered_module, own_family
from cspine.training.core.settings import Recipe
from cspine.training.slices.settings import SliceRecipe

if TYPE_CHECKING:
    from cspine.training.core.family import Family

_NO_RECIPES = ("own",)


def recipe_names() -> tuple[str, ...]:
    """Returns the names of the recipes that cspine has."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if path.stem not in _NO_RECIPES))


def known_recipes() -> tuple[str, ...]:
    """Returns the names of all recipes that are installed: those of cspine, then those of other packages."""
    return (*recipe_names(), *sorted(set(offered()) - set(recipe_names())))


def load_recipe(name: str) -> Recipe:
    """Returns the recipe of a name or of a file, for instance ``./my_recipe.py``.

    Raises:
        UsageError: There is none, or it cannot be loaded.
    """
    recipe: Recipe = _module(name).RECIPE
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
    return (_module(name).__doc__ or "").strip()


def family_named(name: str, recipe: Recipe) -> "Family[Any]":
    """Returns what trains a recipe, as :func:`family_of`; a module that is not of cspine may bring a family of its own.

    Args:
        name: The recipe's name or file.
        recipe: The recipe, with its settings changed.
    """
    own = own_family(_module(name), recipe)
    return family_of(recipe) if own is None else own


def _module(name: str) -> Any:
    if is_file_name(name):
        return file_module(Path(name))
    if name in recipe_names():
        module: ModuleType = import_module(f"cspine.recipes.{name}")
        return module
    if name in offered():
        return offered_module(name)
    raise UsageError(f"There is no recipe {one_line(name, 80)}. Known: {', '.join(known_recipes())}.")


def family_of(recipe: Recipe) -> "Family[Any]":
    """Returns what trains, evaluates and packs the networks of a recipe.

    Raises:
        UsageError: The recipe is of a kind that cspine does not have.
    """
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
    raise UsageError(
        f"A recipe of a known family is needed, or a module with family(recipe). {recipe.name} is a {type(recipe).__name__}."
    )
