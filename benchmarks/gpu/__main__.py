"""Trains the families of slice networks on one GPU: makes necks on the processors, and trains row after row on the clock.

    python -m benchmarks.gpu OUT [--tiny] [--rows NAME ...] [--seconds N] [--jobs N] [--work DIR]

Each row learns from patches and then from slices, from fresh weights, in half precision; batches are made on the device. What a
row does not reach stands in the table. OUT gets results.json, results.csv, learning.csv, scores of unseen and of calibration
necks, and weights that fit into 16 MiB. ``--tiny`` runs all of it on a processor with networks that find nothing.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import argparse
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.gpu.plan import FULL, TINY, Necks, Plan, Row, recipe_of, volume_bytes

if TYPE_CHECKING:
    from benchmarks.gpu.necks import Slices
    from benchmarks.gpu.results import Result
    from cspine.training.slices.settings import SliceRecipe

_BATCH = 64


@dataclass(frozen=True, slots=True)
class _Begun:
    """A run: what is planned, where it writes, since when it runs, and the necks that are being made."""

    plan: Plan
    out: Path
    since: float
    calibrated: "Future[Slices]"
    unseen: "Future[Slices]"

    @property
    def passed(self) -> float:
        return time.monotonic() - self.since


def main() -> None:
    """Prints the table."""
    options = _arguments()
    since = time.monotonic()
    plan = replace(TINY if options.tiny else FULL)
    plan = replace(plan, seconds=options.seconds or plan.seconds)
    plan = replace(plan, rows=tuple(row for row in plan.rows if not options.rows or row.name in options.rows))
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = recipe_of(plan.rows[0], plan)
    import jax

    from benchmarks.gpu.necks import Slices, made

    print(f"{jax.devices()[0]}", flush=True)

    def make(necks: Necks) -> Slices:
        return Slices.of(made(necks, options.work or options.out / "work", recipe, options.jobs))

    training_set = make(plan.training_set)
    print(f"{len(training_set.necks)} necks to train on after {time.monotonic() - since:.0f} s", flush=True)
    with ThreadPoolExecutor(1) as pool:
        later = [pool.submit(make, necks) for necks in (plan.unseen, plan.calibrated)]
        begun = _Begun(plan, options.out, since, calibrated=later[1], unseen=later[0])
        results = _rows(begun, training_set)
    facts = _facts(plan, begun, recipe, {"training": len(training_set.necks), "unseen": len(later[0].result().necks)})
    from benchmarks.gpu.results import write

    print(write(results, facts, options.out))


def _rows(begun: _Begun, training_set: "Slices") -> "list[Result]":
    from benchmarks.gpu.results import Result
    from benchmarks.gpu.sampling import device_data

    results, data = [], device_data(training_set)  # every row is fed the same slices
    for row in begun.plan.rows:
        if begun.passed + row.patch_seconds + row.slice_seconds > begun.plan.seconds:
            results.append(Result(row.name, f"not begun: {begun.passed:.0f} of {begun.plan.seconds:.0f} s had passed"))
            continue
        try:
            results.append(_row(begun, row, data))
        except Exception as error:  # one row must not cost the others: a lease is short
            results.append(Result(row.name, f"failed: {type(error).__name__}: {str(error).strip().split(chr(10))[0]:.120}"))
        print(f"{row.name}: {results[-1].reached} after {begun.passed:.0f} s", flush=True)
    return results


def _row(begun: _Begun, row: Row, data: Any) -> "Result":
    """Trains a row, evaluates it on unseen necks, and writes its scores and weights."""
    from benchmarks.gpu.results import Result, measured, save_weights, study_scores
    from benchmarks.gpu.training import predictor

    recipe = recipe_of(row, begun.plan)
    model, courses = _trained(recipe, row, data, begun.plan.chunk)
    numbers: dict[str, Any] = {}
    predict = predictor(model, _BATCH)
    for name, others in (("unseen", begun.unseen.result()), ("calibration", begun.calibrated.result())):
        fracture = predict(others)
        (begun.out / f"{row.name}-{name}.csv").write_text(study_scores(others, fracture).to_csv(), encoding="utf-8")
        if name == "unseen":
            numbers = measured(others, fracture)
    with (begun.out / "learning.csv").open("a", encoding="utf-8") as file:
        for name, course in courses.items():
            steps = course.steps // len(course.losses)
            file.writelines(f"{row.name},{name},{(i + 1) * steps},{loss:.5f}\n" for i, loss in enumerate(course.losses))
    file_name = save_weights(model, begun.out / f"{row.name}.npz")
    return Result(row.name, "trained", model.count_params() / 1e6, **courses, **numbers, file=file_name)


def _trained(recipe: "SliceRecipe", row: Row, data: Any, chunk: int) -> tuple[Any, dict[str, Any]]:
    """Returns the whole network for serving, and how training went."""
    from benchmarks.gpu.sampling import patch_batch, slice_batch
    from benchmarks.gpu.training import Stretch, train
    from cspine.training.core.backend import calculating_in
    from cspine.training.core.losses import KnownBinaryCrossentropy
    from cspine.training.slices.family import slice_losses

    decay, losses = recipe.fit.weight_decay, slice_losses(recipe)
    with calculating_in(recipe.fit.precision.value):
        part = recipe.network.build(replace(recipe.input, size=recipe.patches.size), recipe.seed).on_patches()
        learner, served = (recipe.network.build(spec, recipe.seed) for spec in (recipe.training_input, recipe.input))
    of_patches = Stretch(
        partial(patch_batch, recipe=recipe),
        KnownBinaryCrossentropy(),
        {},
        recipe.patches.learning_rate,
        decay,
        row.patch_seconds,
        chunk,
    )
    courses = {"patches": train(part, data, of_patches, recipe.seed)}
    for layer in part.layers:
        if layer.weights:
            learner.get_layer(layer.name).set_weights(layer.get_weights())
    of_slices = Stretch(
        partial(slice_batch, recipe=recipe),
        {name: loss for name, (loss, _) in losses.items()},
        {name: weight for name, (_, weight) in losses.items()},
        recipe.fit.learning_rate,
        decay,
        row.slice_seconds,
        chunk,
    )
    courses["slices"] = train(learner, data, of_slices, recipe.seed + 1)
    served.set_weights(learner.get_weights())
    return served, courses


def _facts(plan: Plan, begun: _Begun, recipe: "SliceRecipe", studies: dict[str, int]) -> dict[str, Any]:
    import jax

    from cspine.training.core.backend import software

    return {
        "device": str(jax.devices()[0]),
        "software": software(),
        "seconds": round(begun.passed),
        "studies": studies,
        "device_bytes_of_training_set": volume_bytes(studies["training"], recipe),
        "precision": plan.precision.value,
        "levels": "where the masks of the necks say; the service asks the localiser",
        "tiny": plan.tiny,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of tables and weights")
    parser.add_argument("--work", type=Path, help="folder of necks (default: OUT/work)")
    parser.add_argument("--tiny", action="store_true", help="all of it within a minute on a processor, to test it")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in FULL.rows], help="some of the rows (default: all)")
    parser.add_argument("--seconds", type=float, help="no row is begun that would end later")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that make necks (default: all cores)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
