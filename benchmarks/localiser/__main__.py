"""A localiser on phantoms that it has not seen: whole scans, and pictures that end above and below three neighbouring levels.

    python -m benchmarks.localiser DIR -o FILE.json [--localiser PACKAGE] [--studies N]

DIR is a folder of ``cspine phantom``. Prints a table, and writes it as JSON; ``cspine export --evaluation FILE.json`` puts its
figures into the card of the package. Intervals are bootstraps over necks.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.localiser.scoring import LevelScore, cut_between, heights_of, read_neck, score_neck
from cspine.anatomy import CERVICAL, Level
from cspine.imaging import sample
from cspine.locating import Localiser
from cspine.storage.files import write_text

Necks = Sequence[Sequence[LevelScore]]

_LEAST = 0.3
"""Of a level in a picture: less is not counted."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with its interval."""

    name: str
    value: float
    low: float
    high: float


def main() -> None:
    """Prints the scores of a localiser and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.localiser", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--localiser")
    parser.add_argument("--studies", type=int, default=1000)
    options = parser.parse_args()
    localiser = Localiser(options.localiser)
    cases = sorted((options.data / "train_images").iterdir())[: options.studies]
    whole, cut, seconds = [], [], []
    for number, case in enumerate(cases, 1):
        levels, parts, took = _neck(case, localiser)
        whole.append(levels)
        cut.append(parts)
        seconds.append(took)
        print(f"{number}/{len(cases)} {took:.2f} s  " + " ".join(f"{one.level.name}:{one.dice:.2f}" for one in levels), flush=True)
    figures = _figures(whole, cut)
    for figure in figures:
        print(f"{figure.name}: {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})")
    print(f"seconds a scan, median: {np.median(seconds):.2f}")
    facts = {"necks": len(cases), "figures": [asdict(figure) for figure in figures], "seconds": seconds}
    facts |= {"whole": _as_json(whole), "three_levels": _as_json(cut)}
    write_text(options.out, json.dumps(facts, indent=1, default=str) + "\n")


def _neck(images: Path, localiser: Localiser) -> tuple[list[LevelScore], list[LevelScore], float]:
    """Returns an uncut scan, and every three levels of it without C1 and C2."""
    neck = read_neck(images)
    begin = time.perf_counter()
    refined = localiser.outline(neck.volume)
    took = time.perf_counter() - begin
    levels = score_neck(refined, neck.volume.grid, neck.truth, neck.voxels)
    volume = sample(neck.volume, neck.volume.grid.canonical())
    parts = []
    for first in (Level.C3, Level.C4, Level.C5):
        low, high = heights_of([Level(first), Level(first + 1), Level(first + 2)], neck.truth)
        part = cut_between(volume, low, high)
        parts += score_neck(localiser.outline(part), part.grid, neck.truth, neck.voxels)
    return levels, parts, took


def _figures(whole: Necks, cut: Necks) -> list[Measured]:
    named: list[tuple[str, Necks, Callable[[Sequence[LevelScore]], float]]] = [
        ("Dice of C1..C7 at 2 mm", whole, lambda one: _mean([o.dice for o in one if o.whole])),
        ("centroid error in mm, median", whole, lambda one: _quantile([o.apart_mm for o in one if o.whole], 50)),
        ("centroid error in mm, 95th percentile", whole, lambda one: _quantile([o.apart_mm for o in one if o.whole], 95)),
        ("share of vertebrae in view named right", whole, lambda one: _mean([o.right for o in one if o.whole])),
        ("share named right and sure", whole, lambda one: _mean([o.found for o in one if o.whole])),
        ("share named wrong and sure", whole, lambda one: _mean([o.misled for o in one if o.whole])),
        ("three levels alone: right and sure", cut, lambda one: _mean([o.found for o in one if o.share >= _LEAST])),
        ("three levels alone: wrong and sure", cut, lambda one: _mean([o.misled for o in one if o.share >= _LEAST])),
    ]
    for level in CERVICAL:
        named.append((f"Dice of {level.name} at 2 mm", whole, partial(_dice_of, level)))
    return [_measured(*each) for each in named]


def _dice_of(level: Level, one: Sequence[LevelScore]) -> float:
    return _mean([o.dice for o in one if o.whole and o.level is level])


def _measured(name: str, necks: Necks, figure: Callable[[Sequence[LevelScore]], float]) -> Measured:
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(500):
        chosen = rng.integers(len(necks), size=len(necks))
        drawn.append(figure([one for index in chosen for one in necks[index]]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Measured(name, figure([one for neck in necks for one in neck]), float(low), float(high))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _quantile(values: Sequence[float], percent: float) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.percentile(finite, percent)) if finite else float("nan")


def _as_json(necks: Necks) -> list[list[dict[str, object]]]:
    """Returns the scores of each level; a number that is none is null, as JSON has it."""
    return [
        [{key: _number(value) for key, value in asdict(one).items()} | {"level": one.level.name} for one in neck] for neck in necks
    ]


def _number(value: object) -> object:
    return None if isinstance(value, float) and not np.isfinite(value) else value


if __name__ == "__main__":
    main()
