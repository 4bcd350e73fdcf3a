"""Exports a trained run as a model package: its networks as OpenVINO IR, checked against the trained ones, and calibrated."""

import math
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from cspine.errors import TrainingError
from cspine.evaluation.bootstrap import Estimate
from cspine.evaluation.calibrating import choose_points, fit_calibration
from cspine.evaluation.metrics import Evaluation, evaluate
from cspine.evaluation.subjects import WHOM
from cspine.modelpack import (
    Figure,
    NetworkFile,
    Package,
    PackageManifest,
    QualityLimits,
    Samples,
    TrainingData,
    TrainingFacts,
    load_localiser,
    load_package,
    write_package,
)
from cspine.runtime import Engine, calculates_in, open_session
from cspine.training.core.backend import check_converts
from cspine.training.core.conversion import write_ir
from cspine.training.core.ensemble import calibration_scores
from cspine.training.core.family import Family, TrainingPlace
from cspine.training.core.log import Reporter
from cspine.training.core.packages import Agreement, PackagedNetwork, PackageRequest, card, not_checked
from cspine.training.core.runs import Run

_EXACT = "f32"
_WHOM = {
    TrainingData.PHANTOMS: "Synthetic necks only, never a patient",
    TrainingData.GRAFTS: "Synthetic fractures only, in synthetic necks and in real bone",
    TrainingData.PATIENTS: "Patients",
    TrainingData.BOTH: "Patients and synthetic necks",
}
_MEASURED_ON = {
    TrainingData.PHANTOMS: WHOM["phantoms"],
    TrainingData.GRAFTS: WHOM["both"],
    TrainingData.PATIENTS: WHOM["patients"],
    TrainingData.BOTH: WHOM["both"],
}


def export(
    family: Family[Any], run: Run, request: PackageRequest, place: TrainingPlace, folder: Path, reporter: Reporter
) -> Package[PackageManifest]:
    """Writes the package of one network of a run, and of what its family puts beside it.

    Args:
        family: The recipe of the run, as it was started.
        run: The run.
        request: What the package shall be called.
        place: Where studies and their cache lie.
        folder: Where the package shall stand.
        reporter: Receives the progress.

    Raises:
        TrainingError: The fold is not trained, or an exported network does not agree with the trained one.
        InputError: A study cannot be read.
        UsageError: Keras runs on a framework on which it cannot convert networks.
        OutputError: ``folder`` cannot be written.
    """
    check_converts()
    for fold in request.folds:
        run.network(fold)
    contents = family.package(run, request, _facts(family, run, request), place, reporter)
    files, written, agreements = dict[str, Path](), list[NetworkFile](), list[Agreement]()
    with tempfile.TemporaryDirectory() as scratch:
        for network in contents.networks:
            path = Path(scratch) / f"{network.role}.xml"
            write_ir(network.network, path)
            agreements.append(_agreement(path, network, request.precision))
            precision = agreements[-1].precision
            outputs = tuple(network.stored.outputs)
            written.append(NetworkFile(network.role, path.name, outputs, precision, network.tolerances[precision]))
            if not agreements[-1].checked:
                reporter.warn(not_checked(written[-1]))
            files |= {path.name: path, path.with_suffix(".bin").name: path.with_suffix(".bin")}
        manifest = contents.manifest(tuple(written))
        samples = {network.role: network.stored for network in contents.networks}
        write_package(folder, manifest, files, samples, card(manifest, contents.card(manifest), agreements))
    return load_package(folder) if family.finds_fractures else load_localiser(folder)


def difference(path: Path, samples: Samples, precision: str = _EXACT) -> float:
    """Returns how far an exported network is from what the trained one said, at most: on samples one by one, and all at once."""
    session = open_session(path, Engine(precision=precision))
    worst = 0.0
    for size in (1, len(samples.inputs)):
        for begin in range(0, len(samples.inputs), size):
            part = slice(begin, begin + size)
            got = session.run(samples.inputs[part])
            worst = max(worst, *(float(np.max(np.abs(got[name] - wanted[part]))) for name, wanted in samples.outputs.items()))
    return worst


def check_parity(path: Path, samples: Samples, tolerance: float) -> float:
    """Runs an exported network in single precision on samples.

    Args:
        path: The exported network.
        samples: Inputs, and what the trained one said about them.
        tolerance: By how much an output may differ.

    Returns:
        The largest difference from what the trained one said.

    Raises:
        TrainingError: It is more than that.
    """
    worst = difference(path, samples, precision=_EXACT)
    if not worst <= tolerance:
        raise TrainingError(
            f"The exported network must agree with the trained one within {tolerance:g}. They differ by {worst:g}; "
            "no package was written."
        )
    return worst


def _agreement(path: Path, network: PackagedNetwork, wanted: str) -> Agreement:
    """Returns how far the exported network parts from the trained one; in ``f32`` where ``wanted`` moves it farther than it may.

    A processor that calculates in single precision alone cannot say how far ``wanted`` moves it; then nothing is claimed.

    Raises:
        TrainingError: It parts from it in single precision already.
    """
    exact = moved = 0.0
    can = wanted == _EXACT or calculates_in(path, Engine(precision=wanted)) == wanted
    checked: Iterable[Samples] = chain([network.stored], network.checked)
    for samples in checked:
        exact = max(exact, check_parity(path, samples, network.tolerances[_EXACT]))
        if wanted != _EXACT and can:
            moved = max(moved, difference(path, samples, precision=wanted))
    kept = wanted != _EXACT and moved <= network.tolerances.get(wanted, -1.0)
    return Agreement(exact, wanted, moved if can else None) if kept else Agreement(exact)


def _facts(family: Family[Any], run: Run, request: PackageRequest) -> dict[str, Any]:
    """Returns what every manifest says, by the name of the field; of networks that find fractures also how they are calibrated."""
    facts: dict[str, Any] = {}
    if family.finds_fractures:
        request, facts = _calibrated(run, request)
    training_set = sum({part} != set(request.folds) for part in run.facts.folds.values())
    return facts | {
        "name": request.name,
        "version": request.version,
        "training_data": request.training_data,
        "trained_on": f"{_WHOM[request.training_data]}: {request.data}",
        "training": TrainingFacts(
            recipe=family.recipe.name,
            data=request.data,
            patients=training_set or run.facts.studies,
            seed=family.recipe.seed,
            software=f"cspine {run.facts.cspine_version}, {run.facts.software}",
            figures=request.figures,
        ),
    }


def _calibrated(run: Run, request: PackageRequest) -> tuple[PackageRequest, dict[str, Any]]:
    """Returns probabilities and thresholds of a network; the request gets figures on the same patients where it has none.

    Raises:
        TrainingError: They are too few, of one kind or the other.
    """
    scores = calibration_scores(run, request.folds)
    calibration = fit_calibration(scores)
    probabilities = replace(scores, scores=calibration.apply(scores.scores))
    points = choose_points(probabilities.truth, probabilities.scores, calibration)
    if not request.figures:
        out_of_fold = ", out of fold" if len(request.folds) > 1 else ""
        whom = f"{len(scores)} held-out {_MEASURED_ON[request.training_data]}{out_of_fold}"
        request = replace(request, figures=_figures(evaluate(probabilities, points), whom))
    return request, {
        "calibration": calibration,
        "operating_points": points,
        "default_point": points[0].name,
        "quality": QualityLimits() if request.coarse_mm is None else QualityLimits(coarse_mm=request.coarse_mm),
    }


def _figures(evaluation: Evaluation, whom: str) -> tuple[Figure, ...]:
    """Returns what was measured, and on how many fractures; nothing of what could not be."""
    overall, levels = evaluation.outputs[0], evaluation.fractured_levels
    measured = (
        (f"AUROC of any fracture, {whom}, {overall.fractured} of them fractured", overall.estimates["auroc"]),
        (f"AUROC of a level, mean of C1..C7, {whom}, {levels} levels fractured", evaluation.mean_level_auroc),
    )
    return tuple(_figure(name, estimate) for name, estimate in measured if not math.isnan(estimate.value))


def _figure(name: str, estimate: Estimate) -> Figure:
    low, high = (estimate.low, estimate.high) if estimate.has_interval else (None, None)
    return Figure(name, estimate.value, low, high)
