"""Every family on one data set and one split, with one budget: the table of docs/benchmarks.md.

    python -m benchmarks.families OUT [--steps N] [--patch-steps N] [--rows NAME ...] [--photographs FILE]

Makes phantoms (OUT/enriched to learn from, OUT/calibration for probabilities, OUT/natural to be evaluated on), trains every row by
its command, calibrates and evaluates it, compares all, and prints the table. A row that is done is not done again, one that was
killed goes on: call it again with the same words. The budget is the same number of patches and then of slices, in the same
batches, on the same schedule, for every row; ``--patch-steps`` and ``--steps`` say how many. Learning curves are drawn as
OUT/.../learning.png. Beside AUROC stands what a protocol of accuracies reports of the same network on the same unseen necks:
the share of right entries of its slices, and that of saying that nothing is ever there. ``--photographs FILE`` adds a row whose
InceptionV3 starts from a file of weights.
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
import numpy as np
from matplotlib.figure import Figure

from benchmarks import command
from cspine.datasets import read_dataset
from cspine.evaluation.leaky import LeakyAccuracy, entry_accuracy
from cspine.networks.loading import load_network
from cspine.recipes import load_slice_recipe
from cspine.training.core.backend import software
from cspine.training.core.runs import open_run
from cspine.training.core.settings import as_started
from cspine.training.slices.batches import TrainingStudy
from cspine.training.slices.prediction import padded_outputs
from cspine.training.slices.settings import SliceRecipe
from cspine.training.slices.stacks import SliceStack, prepare_stacks

TRAINING_SET = ("enriched", "--studies 128 --seed 5001 --size small --masks 0.6 --boxes 0.6 --enriched 0.6")
CALIBRATED = ("calibration", "--studies 40 --seed 5003 --size small --masks 1 --boxes 1")
UNSEEN = ("natural", "--studies 100 --seed 5002 --size small --masks 1 --boxes 1")
BATCH, EPOCHS = 8, 4
PATCH_BATCH = 24
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
PHOTOGRAPHS = "inception_v3_photographs"
_POSITIVE = 0.5
TITLES = (
    "run",
    "command",
    "any fracture",
    "mean of levels",
    "loss B",
    "strongest place",
    "Dice",
    "entries",
    "nothing",
    "processor s",
    "clock s",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Says where things are.

    Attributes:
        out: The folder of everything.
        steps: The budget of slices.
        patch_steps: The budget of patches; with 0 training begins with slices.
    """

    out: Path
    steps: int
    patch_steps: int = 0

    @property
    def runs(self) -> Path:
        """Returns the runs of this budget."""
        return self.out / f"steps-{self.patch_steps}-{self.steps}"

    @property
    def cache(self) -> tuple[str, str]:
        """Returns where prepared studies are kept, as commands are told."""
        return ("--cache", str(self.out / "cache"))

    def evaluated(self, row: Row) -> Path:
        """Returns what `cspine evaluate` says of a row on the unseen studies."""
        return self.runs / "evaluated" / row.name

    def spent(self, row: Row) -> Path:
        """Returns what training a row took."""
        return self.runs / f"{row.name}.json"

    def entries(self, row: Row) -> Path:
        """Returns what the protocol of accuracies says of a row on the unseen studies."""
        return self.runs / "evaluated" / f"{row.name}.json"

    def command(self, row: Row) -> list[str]:
        """Trains a row."""
        budget = f"--set fit.batch={BATCH} --set fit.batches={self.steps // EPOCHS} --set fit.epochs={EPOCHS}"
        own = row.options.format(runs=self.runs)
        return ["train", row.recipe, *shlex.split(f"{own} {budget} {self._patches(row)} {SCHEDULE}")]

    def _patches(self, row: Row) -> str:
        if row.name == LEAKY:
            return ""
        if not self.patch_steps:
            return "--set patches.epochs=0"
        batches = f"--set patches.batch={PATCH_BATCH} --set patches.batches={self.patch_steps // EPOCHS}"
        return f"--set patches.epochs={EPOCHS} {batches} --set heads.epochs=0"


@dataclass(frozen=True, slots=True)
class Spent:
    """Holds what commands took.

    Attributes:
        seconds: On the clock, which others on the machine stretch.
        busy: Of the processor.
    """

    seconds: float
    busy: float


def main() -> None:
    """Prints the table."""
    options = _arguments()
    place = Place(options.out, options.steps, options.patch_steps)
    rows: tuple[Row, ...] = ROWS
    if options.photographs is not None:
        rows = (
            *ROWS,
            Row(
                PHOTOGRAPHS,
                "inception_v3",
                f"--weights {shlex.quote(str(options.photographs.absolute()))} --set network.head_epochs=1",
            ),
        )
    chosen = [row for row in rows if not options.rows or row.name in options.rows]
    for data in (TRAINING_SET, CALIBRATED, UNSEEN):
        _phantoms(place, data, options.jobs)
    for row in chosen:
        train_row(place, row)
        _evaluate(place, row)
        keras.backend.clear_session()
    evaluated = [row for row in rows if (place.evaluated(row) / "evaluation.csv").is_file()]
    honest = [str(place.evaluated(row)) for row in evaluated if row.name != LEAKY]
    if len(honest) > 1:
        command.run("compare", *honest, "-o", str(place.runs / "comparison"))
    draw_curves(place, evaluated)
    print("\n".join(page(place, evaluated)))


def _phantoms(place: Place, data: tuple[str, str], jobs: int) -> None:
    folder, words = data
    command.run("phantom", str(place.out / folder), *shlex.split(words), "--jobs", str(jobs))


def train_row(place: Place, row: Row) -> None:
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
    if not place.entries(row).is_file():
        place.entries(row).write_text(json.dumps(asdict(_unseen_entries(place, row))) + "\n", encoding="utf-8")
    own = evaluated.with_name(f"{row.name}_itself")
    if row.name == LEAKY and not (own / "evaluation.csv").is_file():
        command.run(
            "evaluate", str(folder), "--data", str(place.out / TRAINING_SET[0]), "-o", str(own), "--no-localisation", *place.cache
        )


def _unseen_entries(place: Place, row: Row) -> LeakyAccuracy:
    run = open_run(place.runs / row.name)
    recipe = as_started(load_slice_recipe(row.recipe), run.facts.settings)
    stacks = prepare_stacks(read_dataset(place.out / UNSEEN[0]).cases, recipe.input, Path(place.cache[1]))
    return entries_of(load_network(run.network(0)), stacks, recipe)


def entries_of(model: keras.Model, stacks: Sequence[SliceStack], recipe: SliceRecipe) -> LeakyAccuracy:
    """Returns the share of right entries of all slices, at a probability of 0.5, and that of saying that nothing is there."""
    wanted = [TrainingStudy.of(stack, recipe).targets.fracture for stack in stacks]
    predicted = [padded_outputs(model, stack, recipe.input, ["fracture"])["fracture"] for stack in stacks]
    return entry_accuracy(np.concatenate(wanted) >= _POSITIVE, np.concatenate(predicted) >= _POSITIVE)


def _timed(place: Place, row: Row, words: Sequence[str]) -> None:
    """Adds what training takes to what was taken before; nothing is known of a command that was killed with this script."""
    path = place.spent(row)
    before = Spent(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else Spent(0, 0)
    begin, busy = time.monotonic(), time.process_time()
    command.run(*words)
    spent = Spent(before.seconds + time.monotonic() - begin, before.busy + time.process_time() - busy)
    path.write_text(json.dumps(asdict(spent)) + "\n", encoding="utf-8")


def draw_curves(place: Place, rows: Sequence[Row]) -> None:
    """Draws what each row did on held-out patches and slices, epoch by epoch, as ``learning.png`` beside the runs."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, part, metric in zip(figure.subplots(1, 2), ("patches", "."), ("auroc_patches", "auroc_slices"), strict=True):
        axes.set(xlabel="epoch", ylabel="AUROC", title=f"{metric.removeprefix('auroc_')} of held-out patients", ylim=(0.3, 1.0))
        for row in rows:
            path = place.runs / row.name / "fold-0" / part / "log.csv"
            if path.is_file():
                with path.open(encoding="utf-8", newline="") as file:
                    found = [(int(line["epoch"]), float(line[metric])) for line in csv.DictReader(file)]
                axes.plot(*zip(*found, strict=True), marker="o", label=row.name)
        if axes.get_lines():
            axes.legend(fontsize=7)
    place.runs.mkdir(parents=True, exist_ok=True)
    figure.savefig(place.runs / "learning.png", dpi=120)


def page(place: Place, evaluated: Sequence[Row]) -> Iterator[str]:
    """Yields the tables, in Markdown."""
    budget = f"{place.patch_steps} steps of {PATCH_BATCH} patches, {place.steps} of {BATCH} slices, {EPOCHS} epoch(s) each"
    yield f"{budget}; {software()}; {platform.machine()}, {os.cpu_count()} cores"
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
    entries = LeakyAccuracy(**json.loads(place.entries(row).read_text(encoding="utf-8")))
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
        f"{entries.accuracy:.3f}",
        f"{entries.all_negative:.3f}",
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
    """Returns value, low and high by part, subject and metric."""
    with path.open(encoding="utf-8", newline="") as file:
        return {(r["part"], r["of"], r["metric"]): (r["value"], r["low"], r["high"]) for r in csv.DictReader(file)}


def _estimate(numbers: tuple[str, str, str]) -> str:
    value, low, high = (f"{float(number):.3f}" if number else "" for number in numbers)
    return f"{value} ({low}-{high})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of phantoms, runs and results")
    parser.add_argument("--steps", type=int, default=1000, help="training steps of every row (default: 1000)")
    parser.add_argument(
        "--rows", nargs="+", choices=[*(row.name for row in ROWS), PHOTOGRAPHS], help="some of the rows (default: all)"
    )
    parser.add_argument("--patch-steps", type=int, default=1000, help="steps on patches before these; 0 for none (default: 1000)")
    parser.add_argument("--photographs", type=Path, metavar="FILE", help="weights of an InceptionV3 to start a further row from")
    parser.add_argument("--jobs", type=int, default=2, help="processes that make phantoms (default: 2)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
