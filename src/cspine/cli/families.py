"""The family of a run: what trains, evaluates and packs its networks."""

from dataclasses import replace
from typing import Any

from cspine.errors import UsageError
from cspine.recipes import family_named, family_of, load_recipe, recipe_names
from cspine.recipes.own import COPY
from cspine.training.core.family import Classifying, Family, classifies
from cspine.training.core.finding import Finder
from cspine.training.core.runs import Run
from cspine.training.core.settings import as_started


def family_of_run(run: Run) -> Family[Any]:
    """Returns the family of a run, with the settings that it was started with.

    Raises:
        UsageError: There is no such recipe.
        TrainingError: Another version wrote the settings.
    """
    name = recipe_of_run(run)
    return family_named(name, as_started(load_recipe(name), run.facts.settings))


def recipe_of_run(run: Run) -> str:
    """Returns the name of a run's recipe, or the file in its folder where the recipe came as a file."""
    copy = run.folder / COPY
    return str(copy) if copy.is_file() else run.facts.recipe


def classifying_family_of_run(run: Run, finder: Finder = Finder.LOCALISER) -> Classifying[Any]:
    """Returns the family of a run whose networks find fractures.

    Args:
        run: The run.
        finder: What finds the vertebrae.

    Raises:
        UsageError: The run is of another kind.
    """
    name = recipe_of_run(run)
    if not classifies(family_named(name, load_recipe(name))):
        known = ", ".join(name for name in recipe_names() if classifies(family_of(load_recipe(name))))
        raise UsageError(f"A classifier is needed: {known}. Received {run.facts.recipe}, which finds vertebrae.")
    family: Any = family_of_run(run)
    found: Classifying[Any] = replace(family, finder=finder)
    return found
