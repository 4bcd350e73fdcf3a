"""Measures what each part of the flagship is worth: the same short training with one thing changed, on the same unseen studies.

    python -m benchmarks.ablations OUT --train DIR --unseen DIR [--rows NAME ...]

DIR are data sets, the first with masks; no study may be in both. Every row is trained by `cspine train vertebra_mil` for the same
number of steps, evaluated with vertebrae from the localiser, as in service, and compared with the first row over the same bootstrap
samples of patients. A row that is done is not done again. Prints tables in Markdown.
"""

import argparse
import json
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from benchmarks import command

BUDGET = (
    "--set network.widths=16,32,64,96 --set network.close=24 --set fit.epochs=1 --set fit.batches=100 --set fit.threads=1 "
    "--set split.folds=10 --set augmentation.coarse_share=0 --set augmentation.shift_mm=2 --set augmentation.height_scale=0.1 "
    "--set augmentation.mask_shift_mm=1 --set augmentation.mask_error_share=0.3"
)
"""Short, a narrower backbone, crops as off as for package 4; what differs after it need not differ as much after long training."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Attributes:
        name: Of the run.
        what: What is changed, in words.
        options: The same in settings.
        first: What is trained before whole studies are.
    """

    name: str
    what: str
    options: str = ""
    first: str = "--set patches.epochs=8 --set heads.epochs=2"

    def settings(self) -> list[str]:
        """Returns the words of its command: what all rows have, and its own."""
        return shlex.split(f"{BUDGET} {self.first} {self.options}")


ROWS = (
    Row("as_is", "nothing"),
    Row("without_mask", "no mask channel", "--set input.masked=false"),
    Row("without_neighbours", "no slices above and below as channels", "--set input.neighbours=0"),
    Row("one_neighbour", "one slice above and below, not two", "--set input.neighbours=1"),
    Row(
        "outline_alone",
        "no cells beside the vertebra's own, nor slices farther beyond it",
        "--set input.neighbour_weight=0 --set input.margin_mm=3",
    ),
    Row("without_tokens", "each vertebra alone; any fracture is their noisy-OR", "--set network.mixers=0"),
    Row(
        "without_jitter",
        "crops exactly on their masks",
        "--set augmentation.shift_mm=0 --set augmentation.mask_shift_mm=0 --set augmentation.height_scale=0",
    ),
    Row("without_patches", "no first part: whole studies from the start", "--set fit.epochs=4", first="--set patches.epochs=0"),
    Row("without_mixup", "no mixed studies", "--set augmentation.mixup_share=0"),
    Row("without_close", "nothing between the stem and the first pooling", "--set network.close=0"),
    Row("plain", "a backbone without bridges", "--set network.residual=false"),
    Row("wide", "a wider backbone, as it ships", "--set network.widths=24,48,96,128 --set network.close=32"),
    Row("half_resolution", "pixels of 1 mm", "--set input.spacing_mm=1,1,1 --set input.size=64,80 --set patches.size=32,32"),
)
METRICS = (("auroc_overall", "AUROC, any fracture"), ("mean_level_auroc", "mean of levels"))


def main() -> None:
    """Prints the tables."""
    options = _arguments()
    chosen = [row for row in ROWS if not options.rows or row.name in options.rows]
    for row in chosen:
        _run(row, options)
        keras.backend.clear_session()
    done = [row for row in ROWS if (options.out / "evaluated" / row.name / "scores.csv").is_file()]
    if len(done) > 1:
        command.run("compare", *(str(options.out / "evaluated" / row.name) for row in done), "-o", str(options.out / "comparison"))
        print("\n".join(table(done, options.out)))


def _run(row: Row, options: argparse.Namespace) -> None:
    """Trains and evaluates a row, or what is left to do of it."""
    folder, evaluated = options.out / row.name, options.out / "evaluated" / row.name
    cache = ("--cache", str(options.out / "cache") if options.cache is None else str(options.cache))
    if not (folder / "fold-0" / "held_out.csv").is_file():
        resumed = (folder / "run.json").is_file()
        words = ["--resume"] if resumed else row.settings()
        begin = time.process_time()
        command.run("train", "vertebra_mil", "--data", str(options.train), "-o", str(folder), *words, *cache)
        spent = {"seconds": time.process_time() - begin, "resumed": resumed}
        (options.out / f"{row.name}.json").write_text(json.dumps(spent) + "\n", encoding="utf-8")
    if not (evaluated / "scores.csv").is_file():
        command.run("evaluate", str(folder), "--data", str(options.unseen), "-o", str(evaluated), *cache)


def table(rows: Sequence[Row], out: Path) -> Iterator[str]:
    """Yields what each row does, and by how much it differs from the first."""
    found = json.loads((out / "comparison" / "comparison.json").read_text(encoding="utf-8"))
    models = {model["name"]: model for model in found["models"]}
    yield f"{found['studies']} unseen studies, {found['fractured']} with a fracture"
    yield ""
    yield "| changed | " + " | ".join(f"{title} | difference" for _, title in METRICS) + " |"
    yield "|---" * (1 + 2 * len(METRICS)) + "|"
    for row in rows:
        model = models[row.name]
        cells = [cell for name, _ in METRICS for cell in (_told(model["estimates"][name]), _told(model["differences"].get(name)))]
        yield "| " + " | ".join([row.what, *cells]) + " |"


def _told(estimate: dict[str, Any] | None) -> str:
    return "" if estimate is None else f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of runs and results")
    parser.add_argument("--train", type=Path, required=True, metavar="DIR", help="data set to train on, with masks")
    parser.add_argument("--unseen", type=Path, required=True, metavar="DIR", help="data set to evaluate on")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="some of the rows (default: all)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where crops are kept (default: in OUT)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
