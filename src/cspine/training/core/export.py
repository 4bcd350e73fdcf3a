"""From a trained run to a model package: the network as OpenVINO IR, checked against the trained one, with its calibration."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.errors import TrainingError
from cspine.evaluation.calibrating import choose_points, fit_calibration
from cspine.evaluation.metrics import Evaluation, evaluate
from cspine.modelpack import (
    Calibration,
    Figure,
    Manifest,
    NetworkFile,
    OperatingPoint,
    Package,
    QualityLimits,
    Samples,
    SliceManifest,
    TrainingData,
    TrainingFacts,
    load_package,
    write_package,
)
from cspine.networks.loading import load_network
from cspine.runtime import Engine, open_session
from cspine.specs import SliceSpec
from cspine.training.core.calibration import calibration_scores, held_out_scores
from cspine.training.core.card import card
from cspine.training.core.conversion import write_ir
from cspine.training.core.runs import Run
from cspine.training.slices.fitting import BEST
from cspine.training.slices.settings import Recipe
from cspine.training.slices.stacks import Stack
from cspine.training.vertebrae.settings import VertebraRecipe

TOLERANCE = 1e-3
"""By how much a probability may change by export."""

SERVED = ("fracture", "visible", "fracture_map")
"""Outputs that a package has, where the network has them: the service needs the first two."""

_WHOM = {
    TrainingData.PHANTOMS: "Synthetic necks only, never a patient",
    TrainingData.PATIENTS: "Patients",
    TrainingData.BOTH: "Patients and synthetic necks",
}
_FILE = "slices.xml"
_SAMPLES = 8
_STEPS = 255


INTENDED_USE = (
    "Research on finding fractures of the cervical spine (C1 to C7) on CT. Not a medical device, not for diagnosis, not for any "
    "decision about a patient."
)


@dataclass(frozen=True, slots=True)
class PackageRequest:
    """What a package shall be called and say.

    Attributes:
        name: Of the package.
        version: Of the package.
        fold: Which network of the run.
        data: The data set in words.
        training_data: Whom the network has seen.
        precision: Of a network that judges vertebra by vertebra, how an engine may calculate: ``f32`` or ``bf16``; a network that
            bf16 moves too far stays in ``f32``.
        figures: What was measured on patients that had no part in the run; on its held-out patients if empty.
        coarse_mm: From which distance of slices and of pixels on it is told that whole vertebrae may look broken; the usual one
            where nobody measured it.
    """

    name: str
    version: str
    fold: int
    data: str
    training_data: TrainingData
    precision: str = "f32"
    figures: tuple[Figure, ...] = ()
    coarse_mm: tuple[float, float] | None = None


def export(run: Run, recipe: Recipe, request: PackageRequest, stacks: list[Stack], folder: Path) -> Package[Manifest]:
    """Writes the package of one network.

    Args:
        run: The run.
        recipe: What it was started with.
        request: What the package shall be called.
        stacks: Some studies, of which sample slices are stored.
        folder: Where the package shall stand.

    Raises:
        TrainingError: The fold is not trained, or the exported network does not agree with the trained one.
        OutputError: ``folder`` cannot be written.
    """
    fitted = fit_to(run, request, Calibration)
    trained = load_network(run.fold(request.fold) / BEST)
    network = keras.Model(trained.inputs, {name: trained.output[name] for name in SERVED if name in trained.output})
    samples = _samples(network, stacks, recipe.input)
    served = tuple(name for name in SERVED if name in recipe.network.outputs)
    manifest = SliceManifest(
        **facts_of(run, recipe, fitted),
        kind=SliceManifest.KIND,
        spec=recipe.input,
        networks=(NetworkFile(SliceManifest.KIND, _FILE, served, "f32", TOLERANCE),),
    )
    with exported(network, _FILE) as files:
        worst = check_parity(files[_FILE], samples)
        text = card(manifest, len(held_out_scores(run, request.fold)), fitted.patients, worst)
        write_package(folder, manifest, files, {SliceManifest.KIND: samples}, text)
    return load_package(folder)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What patients that a network did not learn from say about it.

    Attributes:
        request: What the package shall be called; with figures.
        calibration: From scores to probabilities.
        points: Thresholds.
        patients: How many these come from.
    """

    request: PackageRequest
    calibration: Calibration
    points: tuple[OperatingPoint, ...]
    patients: int


def fit_to(run: Run, request: PackageRequest, kind: type[Calibration]) -> Fitted:
    """Probabilities and thresholds of a network; its figures on the same patients where the request has none.

    Raises:
        TrainingError: The fold is not trained, or its patients are all alike.
    """
    scores = calibration_scores(run, request.fold)
    calibration = fit_calibration(scores, kind)
    probabilities = replace(scores, scores=calibration.apply(scores.scores))
    points = choose_points(probabilities.truth, probabilities.scores, calibration)
    if not request.figures:
        request = replace(request, figures=_figures(evaluate(probabilities, points), len(scores)))
    return Fitted(request, calibration, points, len(scores))


def facts_of(run: Run, recipe: Recipe | VertebraRecipe, fitted: Fitted) -> dict[str, Any]:
    """What every manifest of a package that judges says, by the name of the field."""
    request = fitted.request
    return {
        "name": request.name,
        "version": request.version,
        "calibration": fitted.calibration,
        "operating_points": fitted.points,
        "default_point": fitted.points[0].name,
        "training_data": request.training_data,
        "trained_on": f"{_WHOM[request.training_data]}: {request.data}",
        "intended_use": INTENDED_USE,
        "quality": QualityLimits() if request.coarse_mm is None else QualityLimits(coarse_mm=request.coarse_mm),
        "training": TrainingFacts(
            recipe=recipe.name,
            data=request.data,
            patients=sum(part != request.fold for part in run.facts.folds.values()),
            seed=recipe.seed,
            software=f"cspine {run.facts.cspine_version}, {run.facts.software}",
            figures=request.figures,
        ),
    }


@contextmanager
def exported(network: keras.Model, name: str) -> Iterator[dict[str, Path]]:
    """A network as OpenVINO IR in a place that is cleared in the end: its files by their names."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / name
        write_ir(network, path)
        yield {path.name: path, path.with_suffix(".bin").name: path.with_suffix(".bin")}


def difference(path: Path, samples: Samples, many: int | None = None, precision: str = "f32") -> float:
    """How far the exported network is from what the trained one said, at most; arguments as of :func:`check_parity`."""
    session = open_session(path, Engine(precision=precision))
    worst = 0.0
    for size in (1, many or len(samples.inputs)):
        for begin in range(0, len(samples.inputs), size):
            part = slice(begin, begin + size)
            got = session.run(samples.inputs[part])
            worst = max(worst, *(float(np.max(np.abs(got[name] - said[part]))) for name, said in samples.outputs.items()))
    return worst


def check_parity(
    path: Path, samples: Samples, tolerance: float = TOLERANCE, many: int | None = None, precision: str = "f32"
) -> float:
    """Runs the exported network on the samples, one by one and several at once.

    Args:
        path: The exported network.
        samples: Inputs, and what the trained one said about them.
        tolerance: By how much an output may differ.
        many: How many at once; all of them if ``None``.
        precision: How the engine may calculate.

    Returns:
        The largest difference from what the trained one said.

    Raises:
        TrainingError: It is more than that.
    """
    worst = difference(path, samples, many, precision)
    if not worst <= tolerance:
        raise TrainingError(
            f"The exported network must agree with the trained one within {tolerance:g}. They differ by {worst:g}; "
            "no package was written."
        )
    return worst


def _samples(network: keras.Model, stacks: list[Stack], spec: SliceSpec) -> Samples:
    """Slices from the middle of some studies, in steps that compress well, and what the trained network says about them."""
    slices = []
    for i in range(_SAMPLES):
        stack = stacks[i * len(stacks) // _SAMPLES]
        number = len(stack.hu) * (2 + i % 5) // 8
        slices.append(stack.input(spec, number, number + 1)[0])
    inputs = (np.rint(np.stack(slices) * _STEPS) / _STEPS).astype(np.float32)
    outputs = network.predict_on_batch(inputs)
    return Samples(inputs, {name: _float32(output) for name, output in outputs.items()})


def _float32(value: object) -> NDArray[np.float32]:
    return np.asarray(value, dtype=np.float32)


def _figures(evaluation: Evaluation, patients: int) -> tuple[Figure, ...]:
    overall, levels = evaluation.outputs[0].estimates["auroc"], evaluation.mean_level_auroc
    return (
        Figure(f"AUROC patient_overall, {patients} held-out studies", overall.value, overall.low, overall.high),
        Figure(f"AUROC of a level, mean of C1..C7, {patients} held-out studies", levels.value, levels.low, levels.high),
    )
