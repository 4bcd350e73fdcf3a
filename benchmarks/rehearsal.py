"""Measures what every step costs on phantoms of full size, and says what that makes for 200 studies and for the 2019 of RSNA 2022.

``python -m benchmarks.rehearsal OUT --studies 4`` makes phantoms of 512 x 512 pixels one after the other, reads all their pixels,
and, for the flagship and a slice network: fills the cache, trains a few steps of each part, and predicts; then it detects as the
service does. The columns for 200 and 2019 studies are extrapolated: what grows with the studies is multiplied, and a training takes
the steps of its recipe. ``--studies 200`` measures 200. OUT may be used again: phantoms that are there are not made again.
"""

import argparse
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras

from benchmarks import command
from benchmarks.memory import Watch
from cspine.datasets import Case, read_dataset
from cspine.datasets.checking import check_case
from cspine.detection import Detector
from cspine.reading import read_study
from cspine.recipes import family_named, load_recipe
from cspine.training.core.backend import software
from cspine.training.core.family import TrainingPlace, start_run, train
from cspine.training.core.log import Callback
from cspine.training.core.settings import FitSettings, Recipe, settings, with_settings

RECIPES = ("custom_cnn", "vertebra_mil")
SIZES = (200, 2019)
PARTS = ("patches", "heads", "whole")
TITLES = ("step", "processor s", "clock s", "GiB of memory", "GiB on disk", *(f"{size} studies" for size in SIZES))
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Cost:
    """Holds what something took.

    Attributes:
        busy: Seconds of processors, of this process and of those that it began.
        seconds: On the clock, which others on the machine stretch.
        memory_gib: Resident memory of these processes together, at most.
        disk_gib: What it left on the disk.
    """

    busy: float
    seconds: float
    memory_gib: float = 0.0
    disk_gib: float = 0.0

    def __truediv__(self, count: int) -> "Cost":
        """Returns the cost of one of ``count`` like things; memory is not divided."""
        return Cost(self.busy / count, self.seconds / count, self.memory_gib, self.disk_gib / count)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        step: What was done.
        cost: What one study took, or one step of a training.
        steps: Of a whole training, whatever the studies; ``None`` where it grows with them.
    """

    step: str
    cost: Cost
    steps: int | None = None

    def line(self) -> str:
        """Returns the line, in Markdown."""
        cost = self.cost
        cells = [self.step, f"{cost.busy:.2f}", f"{cost.seconds:.2f}", f"{cost.memory_gib:.1f}" if cost.memory_gib else ""]
        cells.append(f"{cost.disk_gib:.3f}" if cost.disk_gib else "")
        return "| " + " | ".join([*cells, *(self._extrapolated(size) for size in SIZES)]) + " |"

    def _extrapolated(self, studies: int) -> str:
        """Returns processor hours, and GiB where the step leaves any."""
        hours = self.cost.busy * (studies if self.steps is None else self.steps) / 3600
        disk = f", {self.cost.disk_gib * studies:.0f} GiB" if self.cost.disk_gib else ""
        return f"{hours:.1f} h{disk}"


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of phantoms, caches and runs")
    parser.add_argument("--studies", type=int, default=4, metavar="N", help="how many phantoms, two at least (default: 4)")
    parser.add_argument("--steps", type=int, default=8, metavar="N", help="steps of each part of a training (default: 8)")
    options = parser.parse_args()
    print(f"{options.studies} studies; {software()}; {os.cpu_count()} cores\n")
    print("| " + " | ".join(TITLES) + " |\n" + "|---" * len(TITLES) + "|")
    for row in rehearsed(options.out, options.studies, options.steps):
        print(row.line(), flush=True)  # at once: what follows may fail


def rehearsed(out: Path, studies: int, steps: int) -> Iterator[Row]:
    """Yields a row for each step, as they are done."""
    data = out / "data"
    there = len(list((data / "train_images").glob("*")))
    made = measured(data, lambda: command.run("phantom", str(data), "--studies", str(studies), *_PHANTOMS))
    if there < studies:
        yield Row("`phantom`, a study", made / (studies - there))
    cases = read_dataset(data).cases
    yield Row("`info --check`, a study", measured(None, lambda: [check_case(case) for case in cases]) / studies)
    for name in RECIPES:
        yield from _trained(out, name, cases, steps)
    yield detected(cases)


def detected(cases: Sequence[Case]) -> Row:
    """Detects as the service does, in a process that is warm."""
    detector = Detector()
    detector(read_study(cases[0].images))
    return Row("`detect`, a study", measured(None, lambda: [detector(read_study(case.images)) for case in cases]) / len(cases))


_PHANTOMS = ("--seed", "11", "--masks", "1", "--boxes", "1", "--enriched", "1", "--jobs", "1")


def _trained(out: Path, name: str, cases: Sequence[Case], steps: int) -> Iterator[Row]:
    """Fills a cache, trains some steps of each part, and predicts."""
    whole = load_recipe(name)
    recipe = with_settings(whole, shortened(whole, steps))
    family: Any = family_named(name, recipe)
    place = TrainingPlace(out / "cache" / name, out / "data")
    run = start_run(family, place, out / "runs" / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}", Callback())
    filled = measured(place.cache, lambda: family.fill_cache(cases, place, Callback()))
    yield Row(f"`cache --fill`, `{name}`, a study", filled / len(cases))
    watch = StepWatch()
    memory = measured(None, lambda: train(family, run, place, [0], watch)).memory_gib
    for part, cost in watch.costs().items():
        title = f"`train {name}`, a step of {watch.sizes[part]}, {part}"
        yield Row(title, Cost(cost.busy, cost.seconds, memory), steps_of(whole)[part])
    predicted = measured(None, lambda: family.predict(run.network(0), cases, place.cache, Callback(), localise=True))
    yield Row(f"`evaluate`, `{name}`, a study", predicted / len(cases))
    keras.backend.clear_session()


def shortened(recipe: Recipe, steps: int) -> dict[str, str]:
    """Returns the settings with which each part that a recipe has is one epoch of a few steps, on two folds."""
    known = settings(recipe)
    changes = {"fit.epochs": "1", "fit.batches": str(steps), "split.folds": "2", "patches.batches": str(steps)}
    changes |= {"patches.epochs": "1", "patches.held_out": "48", "patches.mined": "0", "heads.epochs": "1"}
    return {key: text for key, text in changes.items() if known[key] not in (text, "0")}


def steps_of(recipe: Recipe) -> dict[str, int]:
    """Returns how many steps a recipe takes in each part of training one fold."""
    known = {key: int(text) for key, text in settings(recipe).items() if key.split(".")[-1] in ("epochs", "batches")}
    batches = known["fit.batches"]
    counts = (known["patches.epochs"] * known["patches.batches"], known["heads.epochs"] * batches, known["fit.epochs"] * batches)
    return dict(zip(PARTS, counts, strict=True))


class StepWatch(Callback):
    """Takes the time at the end of every step of a training, by its part."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self._part = PARTS[-1]
        self._ends: dict[str, list[Cost]] = defaultdict(list)

    def begins(self, home: Path, epoch: int, settings: FitSettings) -> None:  # noqa: ARG002
        """See :class:`cspine.training.core.log.Reporter`."""
        self._part = home.name if home.name in PARTS else PARTS[-1]
        self.sizes[self._part] = settings.batch

    def batch(self, done: int, of: int, losses: dict[str, float]) -> None:  # noqa: ARG002
        """See :class:`cspine.training.core.log.Reporter`."""
        self._ends[self._part].append(Cost(time.process_time(), time.perf_counter()))

    def costs(self) -> Mapping[str, Cost]:
        """Returns the median cost of a step by part; the first step, in which the network is traced, is left out."""
        return {part: _median_distance(ends) for part, ends in self._ends.items()}


def _median_distance(ends: Sequence[Cost]) -> Cost:
    pairs = list(pairwise(ends))
    return Cost(
        statistics.median(later.busy - sooner.busy for sooner, later in pairs),
        statistics.median(later.seconds - sooner.seconds for sooner, later in pairs),
    )


def measured(folder: Path | None, act: Callable[[], object]) -> Cost:
    """Returns what an act takes, and what it adds to a folder."""
    before, begin, busy = _bytes(folder), time.perf_counter(), _busy()
    with Watch(os.getpid()) as watch:
        act()
    seconds, busy = time.perf_counter() - begin, _busy() - busy
    return Cost(busy, seconds, max(watch.memory.mib, default=0) / 1024, (_bytes(folder) - before) / _GIB)


def _busy() -> float:
    now = os.times()
    return now.user + now.system + now.children_user + now.children_system


def _bytes(folder: Path | None) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder is not None else 0


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    main()
