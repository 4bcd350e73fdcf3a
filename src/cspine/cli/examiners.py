"""Who asks the networks of a run, whatever its family."""

from cspine.errors import UsageError
from cspine.recipes import load_recipe, recipe_names
from cspine.training.core.family import SliceExaminer
from cspine.training.core.overrides import with_settings
from cspine.training.core.runs import Run
from cspine.training.slices.settings import Recipe
from cspine.training.vertebrae.crops import Finder
from cspine.training.vertebrae.examining import VertebraExaminer
from cspine.training.vertebrae.settings import VertebraRecipe


def examiner_of(run: Run, finder: Finder = Finder.LOCALISER) -> SliceExaminer | VertebraExaminer:
    """Asks the networks of a run that classifies.

    Args:
        run: The run.
        finder: Who finds the vertebrae, for networks that classify them one by one.

    Raises:
        UsageError: The run is of another kind.
    """
    recipe = load_recipe(run.facts.recipe)
    if isinstance(recipe, VertebraRecipe):
        return VertebraExaminer(with_settings(recipe, run.facts.settings), finder)
    if isinstance(recipe, Recipe):
        return SliceExaminer(with_settings(recipe, run.facts.settings))
    known = ", ".join(name for name in recipe_names() if isinstance(load_recipe(name), Recipe | VertebraRecipe))
    raise UsageError(f"A classifier is needed: {known}. Received {run.facts.recipe}, which finds vertebrae.")
