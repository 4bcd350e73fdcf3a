"""Every family on one data set and one split, with one budget: the table of docs/benchmarks.md.

    python -m benchmarks.families OUT [--steps N] [--patch-steps N] [--epochs N] [--patch-epochs N] [--precision KIND]
        [--rows NAME ...] [--photographs FILE] [--engine ray [--cluster ADDRESS] [--workers N]]

Makes phantoms (OUT/enriched to learn from, OUT/calibration for probabilities, OUT/natural to be evaluated on), trains every row by
its command, calibrates and evaluates it, compares all, and prints the table. A row that is done is not done again, one that was
killed goes on: call it again with the same words. The budget is the same number of patches and then of slices, in the same
batches, on the same schedule, for every row; ``--patch-steps`` and ``--steps`` say how many, ``--patch-epochs`` and
``--epochs`` into how many epochs they are parted. ``--precision mixed_bfloat16`` is for
processors with AMX and for GPUs. Learning curves are drawn as
OUT/.../learning.png. Beside AUROC stands what a protocol of accuracies reports of the same network on the same unseen necks:
the share of right entries of its slices, and that of saying that nothing is ever there. How large each network is, and what its
training took, closes the row. ``--photographs FILE`` adds rows whose
InceptionV3 starts from a file of weights.

``--engine ray`` makes the phantoms and does the rows on the workers of a Ray cluster, a row at a time on each, on a GPU each where
there are any. A row whose teacher is another row waits for that one, and a row whose worker died is tried once more, from its last
checkpoint. All machines need this repository and OUT under the same paths; OUT/.../NAME.log has what the commands of a row told.
"""

import argparse
import csv
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras
from matplotlib.figure import Figure

from benchmarks import command
from benchmarks.family_rows import (
    BATCH,
    CALIBRATED,
    LEAKY,
    PATCH_BATCH,
    PHOTOGRAPHS,
    ROWS,
    TRAINING_SET,
    UNSEEN,
    Place,
    Row,
    do_row,
)
from benchmarks.family_training import Size, Spent, evaluate_row, train_row
from cspine.cli.engine import add_engine, check_engine, cluster_of
from cspine.errors import InputError
from cspine.evaluation.leaky import LeakyAccuracy
from cspine.training.core.backend import software
from cspine.training.core.settings import Precision

_MEMORY_BYTES = 4 << 30
"""What a worker asks its machine for, as for a fold of `cspine train`."""

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
    "million weights",
    "10^9 multiplications a slice",
    "processor s",
    "clock s",
)


def main() -> None:
    """Prints the table."""
    options = _arguments()
    precision = Precision(options.precision)
    place = Place(options.out.absolute(), options.steps, options.patch_steps, precision, options.epochs, options.patch_epochs)
    rows: tuple[Row, ...] = ROWS
    if options.photographs is not None:
        weights = shlex.quote(str(options.photographs.absolute()))
        rows = (*ROWS, *(Row(name, recipe, f"--weights {weights} {how}") for name, (recipe, how) in PHOTOGRAPHS.items()))
    chosen = [row for row in rows if not options.rows or row.name in options.rows]
    for data in (TRAINING_SET, CALIBRATED, UNSEEN):
        _phantoms(place, data, options)
    if options.engine == "ray":
        try:
            spread_rows(place, chosen, options)
        except InputError as error:
            sys.exit(f"benchmarks.families: {error}")
    else:
        for row in chosen:
            train_row(place, row)
            evaluate_row(place, row)
            keras.backend.clear_session()
    evaluated = [row for row in rows if (place.evaluated(row) / "evaluation.csv").is_file()]
    honest = [str(place.evaluated(row)) for row in evaluated if row.name != LEAKY]
    if len(honest) > 1:
        command.run("compare", *honest, "-o", str(place.runs / "comparison"))
    draw_curves(place, evaluated)
    print("\n".join(page(place, evaluated)))


def _phantoms(place: Place, data: tuple[str, str], options: argparse.Namespace) -> None:
    folder, words = data
    makers = ["--jobs", str(options.jobs)]
    if options.engine == "ray":
        makers = ["--engine", "ray", *(["--cluster", options.cluster] if options.cluster else [])]
        makers += ["--workers", str(options.workers)] if options.workers else []
    command.run("phantom", str(place.out / folder), *shlex.split(words), *makers)


def spread_rows(place: Place, rows: Sequence[Row], options: argparse.Namespace) -> None:
    """Does rows on the workers of a cluster; one that learns from another waits for it.

    Raises:
        UsageError: There is no such cluster, or two workers died over a row.
        InputError: As a row raises it.
    """
    from cspine.jobs.joining import Needs, gpus, joined
    from cspine.jobs.spreading import Labour, spread

    places = {row.name: number for number, row in enumerate(rows)}
    after = {places[row.name]: places[row.after] for row in rows if row.after in places}
    cluster = cluster_of(options)
    with joined(cluster):
        device = min(1, gpus())
        calls = device  # a process gives the memory of a GPU back when it ends
        labour = Labour("row", do_row, Needs(_MEMORY_BYTES, gpus=device), cluster.workers, calls)
        pieces = [(place, row, keras.backend.backend()) for row in rows]
        for number, _ in spread(labour, pieces, _tell, after):
            _tell(f"done: {rows[number].name}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
    budget = f"{place.patch_steps} steps of {PATCH_BATCH} patches, {place.steps} of {BATCH} slices, in {place.precision.value}"
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
    spent = Spent.of(place, row)
    size = Size(**json.loads(place.size(row).read_text(encoding="utf-8")))
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
        f"{size.weights / 1e6:.1f}",
        f"{size.multiplications / 1e9:.1f}",
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
        "--rows", nargs="+", choices=[*(row.name for row in ROWS), *PHOTOGRAPHS], help="some of the rows (default: all)"
    )
    parser.add_argument("--epochs", type=int, default=2, help="epochs of these (default: 2)")
    parser.add_argument("--patch-epochs", type=int, default=6, help="epochs of the steps on patches (default: 6)")
    parser.add_argument("--patch-steps", type=int, default=1000, help="steps on patches before these; 0 for none (default: 1000)")
    parser.add_argument(
        "--precision", choices=[kind.value for kind in Precision], default="float32", help="of the networks (default: float32)"
    )
    parser.add_argument("--photographs", type=Path, metavar="FILE", help="weights of an InceptionV3 to start a further row from")
    parser.add_argument("--jobs", type=int, default=2, help="processes that make phantoms here (default: 2)")
    add_engine(parser)
    options = parser.parse_args()
    try:
        check_engine(options)
    except InputError as error:
        parser.error(str(error))
    return options


if __name__ == "__main__":
    main()
