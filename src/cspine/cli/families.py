"""The family of a run: what trains, evaluates and packs its networks."""

from dataclasses import replace
from typing import Any

from cspine.errors import UsageError
from cspine.recipes import family_of, load_recipe, recipe_names
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
    return family_of(as_started(load_recipe(run.facts.recipe), run.facts.settings))


def classifying_family_of_run(run: Run, finder: Finder = Finder.LOCALISER) -> Classifying[Any]:
    """Returns the family of a run whose networks find fractures.

    Args:
        run: The run.
        finder: Who finds the vertebrae.

    Raises:
        UsageError: The run is of another kind.
    """
    if not classifies(family_of(load_recipe(run.facts.recipe))):
        known = ", ".join(name for name in recipe_names() if classifies(family_of(load_recipe(name))))
        raise UsageError(f"A classifier is needed: {known}. Received {run.facts.recipe}, which finds vertebrae.")
    family: Any = family_of_run(run)
    found: Classifying[Any] = replace(family, finder=finder)
    return found
