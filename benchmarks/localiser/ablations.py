"""Measures what each kind of augmentation is worth to a localiser, whose first network is trained without it from the start.

    python -m benchmarks.localiser.ablations OUT --unseen DIR [--scans SCAN...] [--rows NAME ...]

DIR is a folder of ``cspine phantom`` that no run learnt from, SCAN a real one. Every row is trained by `cspine train localiser` for
as many steps, on larger voxels than what ships so that it takes a fifth of the time, exported, and evaluated alone, without a
second network: on the necks of DIR, on windows of necks bent far out of shape with all kinds of augmentation, and on each scan by
what the shipped localiser predicts there, whose outlines were checked by eye. Differences from the first row are bootstrapped over
the same necks. A row that is done is not done again. Prints tables in Markdown.
"""

import argparse
import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from benchmarks import command
from benchmarks.ablations import Row
from benchmarks.localiser.real import levels_found
from benchmarks.localiser.scoring import count_whole, read_neck, score_neck
from cspine.locating import Localiser
from cspine.networks.loading import load_network
from cspine.reading import read_study
from cspine.recipes.localiser import RECIPE
from cspine.training.core.runs import open_run
from cspine.training.core.settings import with_settings
from cspine.training.localiser.batches import fixed_windows
from cspine.training.localiser.pool import PoolPart, make_pool
from cspine.training.localiser.scoring import score_windows

BUDGET = (
    "--set input.spacing_mm=3.2,3.2,3.2 --set input.size=64,48,48 --set pool.necks=256 --set pool.held_out=24 "
    "--set pool.margin=8,32,32 --set fit.batches=500 --set fit.epochs=16 --set fit.threads=1"
)
"""Windows of 205 x 154 x 154 mm, 8000 of them."""

_DRAWN = 2000
_METRICS = {
    "necks": {"dice": "Dice at 2 mm", "right": "named right", "wrong": "named another level", "found": "right and sure"},
    "windows": {"dice": "Dice", "right": "named right", "wrong": "named another level"},
}
"""What is evaluated, by what, and what that is called in the tables."""

_WINDOWS = 200
"""Necks out of shape, behind those that chose an epoch."""


_SHORT = (
    Row("as_is", "nothing"),
    Row("without_articulation", "vertebrae that move and change on their own, beyond life", "--set pool.beyond_life=0"),
    Row("without_random", "densities without regard to life", "--set augmentation.random_hu_share=0"),
    Row("without_cuts", "pictures that end within the window", "--set augmentation.truncation_share=0"),
)
_LONGER = tuple(
    Row(f"{row.name}_longer", row.what, f"{row.options} --set seed=1 --set initial_weights={{out}}/packages/{row.name}")
    for row in _SHORT
)
"""Each goes on from the one without its ending, for as long again."""

ROWS = _SHORT + _LONGER


def main() -> None:
    """Prints the tables."""
    options = _arguments()
    for row in ROWS:
        if not options.rows or row.name in options.rows:
            _train(row, options.out)
            _evaluate(row, options)
            keras.backend.clear_session()
    print("\n".join(tables(options.out)))


def _train(row: Row, out: Path) -> None:
    """Trains and exports a row, or what is left to do of it."""
    folder, package = out / row.name, out / "packages" / row.name
    if package.is_dir():
        return
    words = (
        ["--resume"]
        if (folder / "run.json").is_file()
        else shlex.split(f"{BUDGET} {row.options.format(out=shlex.quote(str(out)))}")
    )
    command.run("train", "localiser", "-o", str(folder), *words, "--cache", str(out / "cache"))
    command.run("export", str(folder), "-o", str(package))


def _evaluate(row: Row, options: argparse.Namespace) -> None:
    """Measures levels of unseen necks that are in view, windows, and what is found in real scans."""
    path = options.out / f"{row.name}.json"
    if path.is_file():
        return
    localiser = Localiser(options.out / "packages" / row.name)
    necks = [_neck(localiser, images) for images in sorted((options.unseen / "train_images").iterdir())]
    scans = {path.name: _beside_shipped(localiser, path) for path in options.scans}
    found = {"necks": necks, "windows": _windows(row, options.out), "scans": scans}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _neck(localiser: Localiser, images: Path) -> list[dict[str, float]]:
    neck = read_neck(images)
    evaluated = score_neck(localiser.outline(neck.volume), neck.volume.grid, neck.truth, neck.voxels)
    return [{name: float(getattr(one, name)) for name in _METRICS["necks"]} for one in evaluated if one.whole]


def _windows(row: Row, out: Path) -> list[list[dict[str, float]]]:
    """Returns what the trained network does on windows of the kind of the first row, of unseen necks."""
    recipe = with_settings(RECIPE, dict(word.split("=", 1) for word in shlex.split(BUDGET) if word != "--set"), on_data=False)
    more = replace(recipe, pool=replace(recipe.pool, held_out=recipe.pool.held_out + _WINDOWS))
    necks = make_pool(out / "cache" / "windows", more, (PoolPart.VALIDATE,), 1, lambda _: None)[PoolPart.VALIDATE]
    network = load_network(open_run(out / row.name).network(0))
    evaluated = [score_windows(network, [one], recipe.input) for one in fixed_windows(necks, recipe)[recipe.pool.held_out :]]
    return [[{name: getattr(one, name) for name in _METRICS["windows"]}] for one in evaluated if np.isfinite(one.dice)]


def _beside_shipped(localiser: Localiser, path: Path) -> dict[str, Any]:
    """Returns what is found in a real scan, and how far it is what the shipped localiser predicts there."""
    volume = read_study(path).volume
    truth = Localiser()(volume).labels
    evaluated = score_neck(localiser.outline(volume), volume.grid, truth, count_whole(truth))
    return {
        "names": levels_found(localiser(volume)),
        "dice": float(np.mean([one.dice for one in evaluated])),
        "right": sum(one.right for one in evaluated),
        "of": len(evaluated),
    }


def tables(out: Path) -> Iterator[str]:
    """Yields what each row does, by how much it differs from the first, and what it finds in scans, after one training and two."""
    for rows in (_SHORT, _LONGER):
        found = {row: json.loads((out / f"{row.name}.json").read_text()) for row in rows if (out / f"{row.name}.json").is_file()}
        if rows[0] in found:
            yield from _beside_first(found, found[rows[0]])


def _beside_first(found: dict[Row, dict[str, Any]], first: dict[str, Any]) -> Iterator[str]:
    """Yields rows that were trained equally long, beside the first of them."""
    for evaluated, metrics in _METRICS.items():
        yield from _head([evaluated, *(title for name in metrics.values() for title in (name, "difference"))])
        for row, facts in found.items():
            cells = [row.what]
            for name in metrics:
                own, other = _by_neck(facts[evaluated], name), _by_neck(first[evaluated], name)
                cells += [_necks_cell(own), "" if facts is first else _necks_cell(own, other)]
            yield "| " + " | ".join(cells) + " |"
    yield from _head(["scans", *first["scans"]])
    for row, facts in found.items():
        yield "| " + " | ".join([row.what, *map(_scan_cell, facts["scans"].values())]) + " |"


def _head(titles: list[str]) -> Iterator[str]:
    yield ""
    yield "| " + " | ".join(titles) + " |"
    yield "|---" * len(titles) + "|"


def _scan_cell(found: dict[str, Any]) -> str:
    return f"{found['right']} of {found['of']} right, Dice {found['dice']:.2f}: {found['names']}"


def _by_neck(necks: list[list[dict[str, float]]], name: str) -> NDArray[np.float64]:
    """Returns the sum over the levels of each neck, and how many they are, ``(n, 2)``."""
    return np.array([(sum(one[name] for one in neck), len(neck)) for neck in necks], dtype=np.float64)


def _necks_cell(necks: NDArray[np.float64], other: NDArray[np.float64] | None = None) -> str:
    """Returns the mean over levels, or how much larger it is than another, with the 95 % bootstrap interval over necks."""
    chosen = np.random.default_rng(0).integers(len(necks), size=(_DRAWN, len(necks)))
    value, drawn = _mean(necks[None]), _mean(necks[chosen])
    if other is not None:
        value, drawn = value - _mean(other[None]), drawn - _mean(other[chosen])
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{value[0]:.3f} ({low:.3f} to {high:.3f})"


def _mean(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns each mean over levels ``(k,)`` of samples of necks ``(k, n, 2)``."""
    total: NDArray[np.float64] = drawn.sum(axis=1)
    return total[:, 0] / total[:, 1]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.localiser.ablations", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of runs and results")
    parser.add_argument("--unseen", type=Path, required=True, metavar="DIR", help="data set to evaluate on, with its truth")
    parser.add_argument("--scans", nargs="*", type=Path, default=[], metavar="SCAN", help="real scans")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="some of the rows (default: all)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
