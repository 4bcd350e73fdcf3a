"""Every family on one data set and one split, with one budget: the table of docs/benchmarks.md.

    python -m benchmarks.families OUT [--steps N] [--rows NAME ...]

Makes phantoms (OUT/enriched to learn from, OUT/calibration for probabilities, OUT/natural to be evaluated on), trains every row by
its command, calibrates and evaluates it, compares all, and prints the table. A row that is done is not done again, one that was
killed goes on: call it again with the same words. The budget is the same number of slices, in the same batches, on the same
schedule, for every row; ``--steps`` says how many.
"""

import argparse
import csv
import json
import os
import platform
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras

from benchmarks import command
from cspine.training.core.backend import software

TRAINING_SET = ("enriched", "--studies 128 --seed 5001 --size small --masks 0.6 --boxes 0.6 --enriched 0.6")
CALIBRATED = ("calibration", "--studies 40 --seed 5003 --size small --masks 1 --boxes 1")
UNSEEN = ("natural", "--studies 100 --seed 5002 --size small --masks 1 --boxes 1")
BATCH, EPOCHS = 8, 1
INPUT = "--set input.spacing_mm=2.4,0.8,0.8 --set input.size=128,128 --set sampling.crop=64,64"
SCHEDULE = "--set fit.learning_rate=1e-3 --set fit.threads=1 --set split.folds=6"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: Of the run.
        recipe: What is trained.
        options: What its command has beyond the budget; ``{runs}`` is the folder of the runs.
    """

    name: str
    recipe: str
    options: str = ""


ROWS = (
    Row("custom_cnn", "custom_cnn"),
    Row("custom_cnn_boxes", "custom_cnn", "--boxes"),
    Row("custom_cnn_boxes_alone", "custom_cnn", "--boxes --set labels.fracture_masks=ignore"),
    Row("custom_cnn_pseudo", "custom_cnn", "--pseudo-labels {runs}/custom_cnn"),
    Row("leaky_protocol", "leaky_protocol"),
    Row("densenet121", "densenet121", "--weights none"),
    Row("inception_v3", "inception_v3", "--weights none"),
    Row("unet_transfer", "unet_transfer", "--weights none"),
    Row("inception_resnet_v2", "inception_resnet_v2", "--weights none"),
)
LEAKY = "leaky_protocol"
TITLES = ("run", "command", "any fracture", "mean of levels", "loss B", "strongest place", "Dice", "processor s", "clock s")


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are.

    Attributes:
        out: The folder of everything.
        steps: The budget.
    """

    out: Path
    steps: int

    @property
    def runs(self) -> Path:
        """The runs of this budget."""
        return self.out / f"steps-{self.steps}"

    @property
    def cache(self) -> tuple[str, str]:
        """Where prepared studies are kept, as commands are told."""
        return ("--cache", str(self.out / "cache"))

    def evaluated(self, row: Row) -> Path:
        """What `cspine evaluate` says of a row on the unseen studies."""
        return self.runs / "evaluated" / row.name

    def spent(self, row: Row) -> Path:
        """What training a row took."""
        return self.runs / f"{row.name}.json"

    def command(self, row: Row) -> list[str]:
        """Trains a row."""
        budget = f"--set fit.batch={BATCH} --set fit.batches={self.steps // EPOCHS} --set fit.epochs={EPOCHS}"
        own = row.options.format(runs=self.runs)
        return ["train", row.recipe, *shlex.split(f"{own} {budget} {INPUT} {SCHEDULE}")]


@dataclass(frozen=True, slots=True)
class Spent:
    """What commands took.

    Attributes:
        seconds: On the clock, which others on the machine stretch.
        busy: Of the processor.
    """

    seconds: float
    busy: float


def main() -> None:
    """Prints the table."""
    options = _arguments()
    place = Place(options.out, options.steps)
    chosen = [row for row in ROWS if not options.rows or row.name in options.rows]
    for data in (TRAINING_SET, CALIBRATED, UNSEEN):
        _phantoms(place, data, options.jobs)
    for row in chosen:
        _train(place, row)
        _evaluate(place, row)
        keras.backend.clear_session()
    evaluated = [row for row in ROWS if (place.evaluated(row) / "evaluation.csv").is_file()]
    honest = [str(place.evaluated(row)) for row in evaluated if row.name != LEAKY]
    if len(honest) > 1:
        command.run("compare", *honest, "-o", str(place.runs / "comparison"))
    print("\n".join(page(place, evaluated)))


def _phantoms(place: Place, data: tuple[str, str], jobs: int) -> None:
    folder, words = data
    command.run("phantom", str(place.out / folder), *shlex.split(words), "--jobs", str(jobs))


def _train(place: Place, row: Row) -> None:
    """Trains a row, or what is left to do of it."""
    folder = place.runs / row.name
    if (folder / "fold-0" / "held_out.csv").is_file():
        return
    resumed = (folder / "run.json").is_file()
    words = ["train", row.recipe, "--resume"] if resumed else place.command(row)
    _timed(place, row, [*words, "--data", str(place.out / TRAINING_SET[0]), "-o", str(folder), *place.cache])


def _evaluate(place: Place, row: Row) -> None:
    """Calibrates a row and evaluates it on unseen studies; that of the leaky protocol also as that protocol does."""
    folder, evaluated = place.runs / row.name, place.evaluated(row)
    if not (folder / "calibration.csv").is_file():
        command.run("calibrate", str(folder), "--data", str(place.out / CALIBRATED[0]), *place.cache)
    if not (evaluated / "evaluation.csv").is_file():
        command.run("evaluate", str(folder), "--data", str(place.out / UNSEEN[0]), "-o", str(evaluated), *place.cache)
    own = evaluated.with_name(f"{row.name}_itself")
    if row.name == LEAKY and not (own / "evaluation.csv").is_file():
        command.run(
            "evaluate", str(folder), "--data", str(place.out / TRAINING_SET[0]), "-o", str(own), "--no-localisation", *place.cache
        )


def _timed(place: Place, row: Row, words: Sequence[str]) -> None:
    """Adds what training takes to what was taken before; nothing is known of a command that was killed with this script."""
    path = place.spent(row)
    before = Spent(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else Spent(0, 0)
    begin, busy = time.monotonic(), time.process_time()
    command.run(*words)
    spent = Spent(before.seconds + time.monotonic() - begin, before.busy + time.process_time() - busy)
    path.write_text(json.dumps(asdict(spent)) + "\n", encoding="utf-8")


def page(place: Place, evaluated: Sequence[Row]) -> Iterator[str]:
    """The tables, in Markdown."""
    yield f"{place.steps} steps of {BATCH} slices, {EPOCHS} epoch(s); {software()}; {platform.machine()}, {os.cpu_count()} cores"
    yield ""
    yield "| " + " | ".join(TITLES) + " |"
    yield "|---" * len(TITLES) + "|"
    for row in evaluated:
        if row.name != LEAKY:
            yield _line(place, row)
    leaky = next((row for row in evaluated if row.name == LEAKY), None)
    if leaky is not None:
        yield ""
        yield from _leaky(place, leaky)


def _line(place: Place, row: Row) -> str:
    found = _numbers(place.evaluated(row) / "evaluation.csv")
    spent = Spent(**json.loads(place.spent(row).read_text(encoding="utf-8")))
    dice = [
        float(value) for (part, _, metric), (value, *_) in found.items() if (part, metric) == ("localisation", "dice") and value
    ]
    cells = (
        row.name,
        f"`cspine train {row.recipe}{' ' + row.options.format(runs='RUNS') if row.options else ''}`",
        _estimate(found["output", "overall", "auroc"]),
        _estimate(found["all", "all", "mean_level_auroc"]),
        _estimate(found["all", "all", "competition_loss_b"]),
        _estimate(found["localisation", "strongest", "hit_rate"]),
        f"{min(dice):.2f} to {max(dice):.2f}" if dice else "",
        f"{spent.busy:.0f}",
        f"{spent.seconds:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def _leaky(place: Place, row: Row) -> Iterator[str]:
    own = _numbers(place.evaluated(row).with_name(f"{row.name}_itself") / "evaluation.csv")
    found = _numbers(place.evaluated(row) / "evaluation.csv")
    yield "| of one and the same network | |"
    yield "|---|---|"
    yield f"| what the leaky protocol reports: accuracy of entries | {float(own['leaky protocol', 'slices', 'accuracy'][0]):.3f} |"
    nothing = float(own["leaky protocol", "slices", "all_negative"][0])
    yield f"| what it reports of saying that nothing is ever there | {nothing:.3f} |"
    yield f"| AUROC, any fracture, unseen patients | {_estimate(found['output', 'overall', 'auroc'])} |"
    yield f"| AUROC, mean of levels, unseen patients | {_estimate(found['all', 'all', 'mean_level_auroc'])} |"


def _numbers(path: Path) -> Mapping[tuple[str, str, str], tuple[str, str, str]]:
    """Value, low and high by part, subject and metric."""
    with path.open(encoding="utf-8", newline="") as file:
        return {(r["part"], r["of"], r["metric"]): (r["value"], r["low"], r["high"]) for r in csv.DictReader(file)}


def _estimate(numbers: tuple[str, str, str]) -> str:
    value, low, high = (f"{float(number):.3f}" if number else "" for number in numbers)
    return f"{value} ({low}-{high})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of phantoms, runs and results")
    parser.add_argument("--steps", type=int, default=1000, help="training steps of every row (default: 1000)")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="some of the rows (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="processes that make phantoms (default: 2)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
