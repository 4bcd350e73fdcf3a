"""Writes the page of a run into its folder: learning curves, every number of every epoch, settings, what to do next."""

from collections.abc import Mapping

from cspine.evaluation.learning import FoldLog, RunPage, learning_curves, run_html
from cspine.storage.files import write_text
from cspine.training.core.parts import HEADS, PATCHES
from cspine.training.core.runs import LAST, LOG, Run

PAGE, PICTURE = "report.html", "learning_curves.svg"


def write_page(run: Run, commands: Mapping[str, str]) -> None:
    """Writes ``report.html`` and ``learning_curves.svg`` of the folds and parts that have an epoch; nothing where none has.

    Args:
        run: The run.
        commands: What to do next, by what it does.

    Raises:
        OSError: The folder cannot be written.
    """
    folds = tuple(_logs(run))
    if not folds:
        return
    facts = run.facts
    about = {
        "recipe": facts.recipe,
        "run": run.folder.resolve().name,
        "data": facts.data,
        "studies": str(facts.studies),
        "software": f"cspine {facts.cspine_version}, {facts.software}",
    }
    if facts.batch_search is not None:
        about["batch"] = facts.batch_search.sentence()
    write_text(run.folder / PICTURE, learning_curves(folds))
    write_text(run.folder / PAGE, run_html(RunPage(about, facts.settings, folds, commands)))


def _logs(run: Run) -> list[FoldLog]:
    """Returns the logs that are there, fold by fold, and in each the parts of training in their order."""
    trained = run.trained_folds()
    found = []
    for number in run.fold_numbers:
        for part in (PATCHES, HEADS, ""):
            home = run.fold(number) / part
            if (home / LOG).is_file():
                ended = (home / LAST).is_file() if part else number in trained
                found.append(FoldLog.from_csv(number, (home / LOG).read_text(encoding="utf-8"), ended=ended, part=part))
    return found
