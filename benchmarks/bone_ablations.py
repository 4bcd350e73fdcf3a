"""Measures what real bone, grafts, varied phantoms and other kernels bring the flagship: the same training without each of them.

    python -m benchmarks.bone_ablations OUT --bone DIR --intact DIR --fine DIR --typical DIR --calibration DIR --unseen DIR
        --grafts DIR [--rows NAME ...] [--precision KIND]

BONE and INTACT are `cspine graft` of the same scans, the latter with `--copies 0`; FINE and TYPICAL are phantoms of `--variation
fine` and `typical`. A row joins what it is trained on, is trained by `cspine train vertebra_mil`, calibrated on CALIBRATION,
evaluated on UNSEEN phantoms, exported, and evaluated on GRAFTS: `cspine graft` of scans of which no part was trained on. A row that
is done is not done again, one that was killed goes on. Prints a table in Markdown, with 95 % intervals over patients or scans.
"""

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from benchmarks import command, grafts
from benchmarks.joined import join
from cspine.detection import Detector
from cspine.training.core.runs import CALIBRATION, HELD_OUT
from cspine.training.core.settings import Precision

BUDGET = (
    "--skip-broken --set split.folds=10 --set fit.threads=1 --set patches.epochs=8 --set patches.mined=1000 --set heads.epochs=2 "
    "--set fit.epochs=2"
)
"""Shorter than what ships; what differs after it need not differ as much after long training."""


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one line of the table.

    Attributes:
        name: Of the run.
        what: What is left out, in words.
        parts: Names of the data sets that are joined.
        options: Settings that differ.
    """

    name: str
    what: str
    parts: tuple[str, ...] = ("bone", "fine", "typical")
    options: str = ""


ROWS = (
    Row("as_is", "nothing"),
    Row("without_bone", "real bone", ("fine", "typical")),
    Row("without_grafts", "grafts: real bone is intact", ("intact", "fine", "typical")),
    Row("without_fine", "phantoms of varied bone", ("bone", "typical")),
    Row("without_kernels", "other kernels", options="--set augmentation.kernel_share=0"),
)


def main() -> None:
    """Prints the table."""
    options = _arguments()
    for row in ROWS:
        if not options.rows or row.name in options.rows:
            _run(row, options)
            keras.backend.clear_session()
    print("\n".join(table([row for row in ROWS if (options.out / "unseen" / row.name / "evaluation.json").is_file()], options)))


def words(row: Row, precision: str) -> list[str]:
    """Returns the settings of a row's training, as words of its command."""
    return shlex.split(f"{BUDGET} --set fit.precision={precision} {row.options}")


def _run(row: Row, options: argparse.Namespace) -> None:
    """Trains and evaluates a row, or does what is left to do of it."""
    data, run = options.out / "data" / row.name, options.out / row.name
    unseen, package = options.out / "unseen" / row.name, options.out / "packages" / row.name
    cache = ("--cache", str(options.cache or options.out / "cache"))
    if not data.exists():
        join([getattr(options, part) for part in row.parts], data)
    if not (run / "fold-0" / HELD_OUT).is_file():
        settings = ["--resume"] if (run / "run.json").is_file() else words(row, options.precision)
        command.run("train", "vertebra_mil", "--data", str(data), "-o", str(run), *settings, *cache)
    if not (run / "fold-0" / CALIBRATION).is_file():
        command.run("calibrate", str(run), "--data", str(options.calibration), *cache)
    if not (unseen / "evaluation.json").is_file():
        command.run("evaluate", str(run), "--data", str(options.unseen), "-o", str(unseen), *cache)
    if not package.exists():
        whom = "patients and phantoms" if {"bone", "intact"} & set(row.parts) else "phantoms"
        described = ("--trained-on", whom, "--describe", f"a short training without {row.what}")
        command.run("export", str(run), "--data", str(data), "-o", str(package), *described, *cache)
    scores = _graft_scores(options, row)
    scores.parent.mkdir(parents=True, exist_ok=True)
    grafts.evaluated(Detector(str(package)), options.grafts, scores)


def _graft_scores(options: argparse.Namespace, row: Row) -> Path:
    scores: Path = options.out / "grafts" / f"{row.name}.json"
    return scores


def table(rows: Sequence[Row], options: argparse.Namespace) -> Iterator[str]:
    """Yields what each row reaches."""
    header: list[str] = []
    for row in rows:
        kept = json.loads(_graft_scores(options, row).read_text(encoding="utf-8"))["levels"]
        lines = grafts.rows([grafts.LevelScore(**level) for level in kept])
        if not header:
            header = ["left out", "any fracture, phantoms", "mean of levels, phantoms", *(line.name for line in lines)]
            yield "| " + " | ".join(header) + " |"
            yield "|---" * len(header) + "|"
        yield "| " + " | ".join([row.what, *_unseen(options, row), *(str(line.estimate) for line in lines)]) + " |"


def _unseen(options: argparse.Namespace, row: Row) -> tuple[str, str]:
    """Returns AUROC of any fracture and the mean of levels on unseen phantoms."""
    found = json.loads((options.out / "unseen" / row.name / "evaluation.json").read_text(encoding="utf-8"))
    return _told(found["outputs"][0]["estimates"]["auroc"]), _told(found["mean_level_auroc"])


def _told(estimate: dict[str, Any]) -> str:
    return f"{estimate['value']:.3f} ({estimate['low']:.3f}-{estimate['high']:.3f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of runs and results")
    for name, what in (
        ("bone", "real bone with grafts and controls"),
        ("intact", "the same scans without grafts"),
        ("fine", "phantoms of varied bone"),
        ("typical", "typical phantoms"),
        ("calibration", "phantoms to calibrate on"),
        ("unseen", "phantoms to evaluate on"),
        ("grafts", "grafts to evaluate on"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DIR", help=what)
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="some of the rows (default: all)")
    parser.add_argument("--precision", choices=[kind.value for kind in Precision], default=Precision.FLOAT32.value)
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where crops are kept (default: in OUT)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
