"""How a run on a data set begins, whatever is trained: its patients are parted, and all is written down."""

from pathlib import Path

from cspine.datasets import Dataset, folds
from cspine.training.core.backend import software
from cspine.training.core.data import codes_of
from cspine.training.core.overrides import settings
from cspine.training.core.runs import Run, RunFacts, create_run, data_digest
from cspine.training.localiser.settings import LocaliserRecipe
from cspine.training.slices.settings import Recipe
from cspine.training.vertebrae.settings import VertebraRecipe


def begin_run(
    recipe: Recipe | LocaliserRecipe | VertebraRecipe, data: Path, found: Dataset, folder: Path, *, skip_broken: bool
) -> Run:
    """A new run of a recipe on what can be used of a data set.

    Args:
        recipe: What shall be trained.
        data: The folder of the data set.
        found: What can be used of it.
        folder: Of the run.
        skip_broken: Whether the run goes on without what is broken.

    Raises:
        DatasetError: The data set cannot be parted.
        OutputError: The folder holds something.
    """
    parts = folds(found.cases, recipe.split.folds, recipe.split.seed)
    facts = RunFacts(
        recipe=recipe.name,
        settings=settings(recipe),
        data=data.resolve().name,
        studies=len(found.cases),
        digest=data_digest(found.cases),
        folds={case.study_uid: part for case, part in zip(found.cases, parts, strict=True)},
        software=software(),
        broken=codes_of(found) if skip_broken else None,
    )
    return create_run(folder, facts)
