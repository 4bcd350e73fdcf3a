"""Functions that workers of a cluster are made to call; they find them by their names."""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from unittest import mock

from benchmarks.family_rows import Place, Row, do_row
from cspine.errors import UsageError
from cspine.evaluation.report import to_csv
from tests.evaluation.reports import report


def die_once(marker: str, dies: bool, number: int) -> int:
    """Ends its process with SIGKILL where it shall and has not yet."""
    if dies and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def die(_: int) -> None:
    """Ends its process."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(_: int) -> None:
    """Says what is wrong."""
    raise UsageError("Not this one.")


def divide(number: int) -> float:
    """Has a fault where it is given 0."""
    return 1 / number


def one_of_three(number: int, first: str, third: str) -> bool:
    """Does one of three pieces, the first of which ends after the third has; says whether the first had ended before."""
    after_first = Path(first).exists()
    while number == 0 and not Path(third).exists():
        time.sleep(0.01)
    if number != 1:
        Path(third if number else first).touch()
    return after_first


def rows_of(place: Path, name: str) -> tuple[Place, list[Row]]:
    """Returns three rows of the table of families, the second of which learns from the first, and where they are done."""
    rows = [Row("teacher", "custom_cnn"), Row("student", "custom_cnn", "--pseudo-labels {runs}/teacher", after="teacher")]
    return Place(place / name / "families", steps=8), [*rows, Row("boxes", "custom_cnn", "--boxes")]


def do_made_up_row(place: Place, row: Row, backend: str) -> None:
    """Does a row of the table of families whose commands leave what the real ones leave, at once."""
    from benchmarks.family_training import Size
    from cspine.evaluation.leaky import LeakyAccuracy

    entries = LeakyAccuracy(slices=len(row.name), accuracy=0.75, all_negative=0.5)
    with (
        mock.patch("benchmarks.command.run", _commanded),
        mock.patch("benchmarks.family_training._unseen_entries", return_value=entries),
        mock.patch("benchmarks.family_training._size", return_value=Size(weights=len(row.name), multiplications=1)),
    ):
        do_row(place, row, backend)


def _commanded(*words: str) -> None:
    options = dict(pairwise(words))
    if words[0] == "train":
        _trained(Path(options["-o"]), words, options)
    elif words[0] == "calibrate":
        (Path(words[1]) / "fold-0" / "calibration.csv").write_text("")
    else:
        Path(options["-o"]).mkdir(parents=True)
        (Path(options["-o"]) / "evaluation.csv").write_text(to_csv(report()))


def _trained(run: Path, words: Sequence[str], options: Mapping[str, str]) -> None:
    """Leaves the files of a training; the first process that trains the teacher dies in the middle, where it shall."""
    if "--resume" not in words:
        scores = Path(options["--pseudo-labels"]) / "fold-0" / "held_out.csv" if "--pseudo-labels" in words else None
        if scores is not None and not scores.is_file():
            sys.exit("the teacher is not trained")
        (run / "fold-0").mkdir(parents=True)
        (run / "run.json").write_text("\n".join(value for word, value in pairwise(words) if word == "--set"))
        if run.name == "teacher" and os.environ.get("WORKER_DIES_ONCE"):
            os.kill(os.getpid(), signal.SIGKILL)
    (run / "fold-0" / "held_out.csv").write_text(f"{run.name}, {'--resume' in words}")
