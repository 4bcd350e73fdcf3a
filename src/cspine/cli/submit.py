"""Predicts the test studies of a data set and writes the file to submit.

DIR has test.csv and test_images; where it has sample_submission.csv too, the rows stand in its order. In the competition's loss a
fracture weighs twice as much as its absence, so the best value to submit for a probability p is 2p / (1 + p), which is not a
probability. `--values calibrated` writes the probabilities themselves. Where a vertebra has no probability, because it is not in
the picture or the scan was rejected, the published prevalence stands in. What was predicted is kept beside the file until it is
whole; `--resume` uses it.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.cli.files import write_result
from cspine.cli.screen import Screen
from cspine.datasets import SubmissionRow, submission_csv, submission_rows
from cspine.detection import Detector
from cspine.errors import InputError, OutputError
from cspine.reading import read_study
from cspine.storage.codec import decode
from cspine.storage.files import LockedError, append_text, locked, write_text
from cspine.storage.strict_json import parse_json

_SMALLEST = 1e-4
"""Results have four digits; a certainty that is none would cost without bound."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("package", metavar="PACKAGE", help="model package: a folder, or a name that `cspine models` lists")
    parser.add_argument("--localiser", metavar="PACKAGE", help="package that finds the vertebrae (default: the shipped one)")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data set folder with test.csv and test_images")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the file to write, submission.csv")
    parser.add_argument(
        "--values",
        choices=("adjusted", "calibrated"),
        default="adjusted",
        help="adjusted for the competition's loss (default), or probabilities",
    )
    parser.add_argument("--resume", action="store_true", help="go on where an earlier call was stopped")
    parser.add_argument(
        "--skip-broken", action="store_true", help="write the prevalence for studies that cannot be read, and say so"
    )


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    rows = submission_rows(options.data)
    with ExitStack() as held:
        with _written_to(options.out):
            options.out.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(options.out.with_name(f".{options.out.name}.lock")))
        return _run(options, rows)


def _run(options: argparse.Namespace, rows: Sequence[SubmissionRow]) -> int:
    from cspine.evaluation.competition import metric_adjusted

    detector = Detector(options.package, localiser=options.localiser)
    kept = _Kept(options.out, (detector.package.sha256, detector.localiser.package.sha256), resume=options.resume)
    studies = list(dict.fromkeys(row.study_uid for row in rows))
    with Screen() as screen:
        for number, uid in enumerate(studies, 1):
            screen.say(f"predicting study {number} of {len(studies)}")
            if uid not in kept.predicted:
                kept.add(uid, _predicted(detector, options.data / "test_images" / uid, options.skip_broken))
    values = {uid: _filled(kept.predicted[uid]) for uid in studies}
    if options.values == "adjusted":
        values = {uid: metric_adjusted(p) for uid, p in values.items()}
    write_result(options.out.parent, options.out.name, submission_csv(rows, {uid: p.tolist() for uid, p in values.items()}))
    kept.clear()
    gaps = sum(None in kept.predicted[uid] for uid in studies)
    print(f"{len(rows)} rows of {len(studies)} studies, {options.values}; {gaps} with a vertebra not assessed: {options.out}")  # noqa: T201
    return 0


def _predicted(detector: Detector, images: Path, skip_broken: bool) -> list[float | None]:
    """Returns the probability of any fracture and of C1..C7; ``None`` where it was not assessed."""
    try:
        result = detector(read_study(images))
    except InputError as error:
        if not skip_broken:
            raise
        print(f"{images.name}: {error}", file=sys.stderr)  # noqa: T201
        return [None] * 8
    assessments = (result.overall, *(finding.assessment for finding in result.levels))
    return [None if assessment is None else assessment.probability for assessment in assessments]


def _filled(predicted: list[float | None]) -> NDArray[np.float64]:
    from cspine.evaluation.competition import PREVALENCE

    return np.array([p if q is None else min(max(q, _SMALLEST), 1 - _SMALLEST) for q, p in zip(predicted, PREVALENCE, strict=True)])


@dataclass(frozen=True, slots=True)
class _Line:
    """A predicted study."""

    study: str
    model: str
    localiser: str
    probabilities: tuple[float | None, ...]

    def __post_init__(self) -> None:
        if len(self.probabilities) != 1 + len(CERVICAL) or not all(p is None or 0 <= p <= 1 for p in self.probabilities):
            raise ValueError(f"A predicted study has {1 + len(CERVICAL)} probabilities. Received: {self.probabilities}")


class _Kept:
    """Predicted studies, a line each, beside the file that they are for."""

    def __init__(self, out: Path, packages: tuple[str, str], *, resume: bool) -> None:
        self._path = out.with_name(f".{out.name}.partial")
        self.predicted: dict[str, list[float | None]] = {}
        if resume and self._path.is_file():
            lines = [line for line in self._lines() if (line.model, line.localiser) == packages]
            self.predicted = {line.study: list(line.probabilities) for line in lines}
        self._packages = packages
        self._rewrite()

    def add(self, study: str, predicted: list[float | None]) -> None:
        """Keeps one."""
        self.predicted[study] = predicted
        self._append(study)

    def clear(self) -> None:
        """Forgets all."""
        self._path.unlink(missing_ok=True)

    def _lines(self) -> list[_Line]:
        lines = []
        for line in self._path.read_bytes().splitlines():
            try:
                lines.append(decode(_Line, parse_json(line), "line"))
            except ValueError:  # damaged, or being written when it was stopped: that study is done again
                continue
        return lines

    def _rewrite(self) -> None:
        with _written_to(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, "".join(self._line(study) for study in self.predicted))

    def _append(self, study: str) -> None:
        with _written_to(self._path):
            append_text(self._path, self._line(study))

    def _line(self, study: str) -> str:
        model, localiser = self._packages
        line = {"study": study, "model": model, "localiser": localiser, "probabilities": self.predicted[study]}
        return json.dumps(line) + "\n"


@contextmanager
def _written_to(path: Path) -> Iterator[None]:
    try:
        yield
    except LockedError as error:
        raise OutputError(f"Another run of cspine writes to {path.parent}. Wait for it, or choose another file.") from error
    except OSError as error:
        raise OutputError(f"A submission needs a place that can be written. {path.parent}: {error.strerror}.") from error
