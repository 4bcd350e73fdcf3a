"""From a trained run to a package that judges vertebra by vertebra, checked against the trained network."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.imaging.appearance import appearance_of
from cspine.modelpack import (
    AppearanceLimits,
    Manifest,
    NetworkFile,
    OwnOverall,
    Package,
    Samples,
    VertebraManifest,
    load_package,
    write_package,
)
from cspine.networks.loading import load_network
from cspine.training.core.calibration import held_out_scores
from cspine.training.core.export import PackageRequest, check_parity, difference, exported, facts_of, fit_to
from cspine.training.core.runs import Run
from cspine.training.slices.fitting import BEST
from cspine.training.vertebrae.batches import StudyChance, study_input, unchanged
from cspine.training.vertebrae.card import Agreement, vertebra_card
from cspine.training.vertebrae.coarse import draw_voxels
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.prediction import VIEWS
from cspine.training.vertebrae.settings import VertebraRecipe

SERVED = ("overall", "fracture", "fracture_map", "attention")
"""Outputs that a package has."""

NARROW = 0.05
"""By how much any output may change where an engine calculates in bf16, which keeps three digits."""

_FILE = "vertebrae.xml"
_SEVERAL = 2
_BEYOND = 0.25
_STORED = ((0, 1), (5, 6))
"""Levels that stored samples show: few, so that they take little room."""


def export_vertebrae(
    run: Run, recipe: VertebraRecipe, request: PackageRequest, studies: Sequence[StudyCrops], folder: Path
) -> Package[Manifest]:
    """Writes the package of one network.

    Args:
        run: The run.
        recipe: What it was started with.
        request: What the package shall be called.
        studies: Studies on which the exported network must agree with the trained one.
        folder: Where the package shall stand.

    Raises:
        TrainingError: The fold is not trained, or the exported network does not agree with the trained one.
        OutputError: ``folder`` cannot be written.
    """
    fitted = fit_to(run, request, OwnOverall)
    trained = load_network(run.fold(request.fold) / BEST)
    network = keras.Model(trained.inputs, {name: trained.output[name] for name in SERVED})
    stored = _said(network, np.stack([_only(_crops(study, recipe), shown) for study, shown in zip(studies, _STORED, strict=False)]))
    with exported(network, _FILE) as files:
        served = _agreement(files[_FILE], chain([stored], _several(network, studies, recipe)), request.precision)
        manifest = VertebraManifest(
            **facts_of(run, recipe, fitted),
            kind=VertebraManifest.KIND,
            spec=recipe.input,
            networks=(NetworkFile(VertebraManifest.KIND, _FILE, SERVED, served.precision, served.tolerance),),
            tta_passes=VIEWS,
            appearance=AppearanceLimits(seen=_seen(studies, recipe)),
        )
        text = vertebra_card(manifest, len(held_out_scores(run, request.fold)), fitted.patients, served)
        write_package(folder, manifest, files, {VertebraManifest.KIND: stored}, text)
    return load_package(folder)


def _several(network: keras.Model, studies: Sequence[StudyCrops], recipe: VertebraRecipe) -> Iterator[Samples]:
    """What a network says about some studies together, and about each."""
    yield _said(network, np.stack([_crops(study, recipe) for study in studies[:_SEVERAL]]))
    for study in studies:
        yield _said(network, _crops(study, recipe)[None])


def _agreement(path: Path, checked: Iterable[Samples], wanted: str) -> Agreement:
    """How far the exported network parts from the trained one; in ``f32`` where what is wanted moves it farther than it may.

    Raises:
        TrainingError: It parts from it in single precision already.
    """
    exact = moved = 0.0
    for said in checked:
        exact = max(exact, check_parity(path, said))
        moved = max(moved, exact if wanted == "f32" else difference(path, said, precision=wanted))
    return Agreement(exact, wanted, moved, NARROW) if wanted != "f32" and moved <= NARROW else Agreement(exact)


def _seen(studies: Sequence[StudyCrops], recipe: VertebraRecipe) -> dict[str, tuple[float, float]]:
    """Between which values the studies look like one another, as they are and as coarser scans, and a quarter of that beyond."""
    rng = np.random.default_rng(recipe.seed)
    pictures = (study_input(study, one, recipe)[0] for study in studies for one in _ways(rng, recipe))
    looks = [look.values() for crops in pictures if (look := appearance_of(crops, recipe.input)) is not None]
    ranges = {name: (min(one[name] for one in looks), max(one[name] for one in looks)) for name in looks[0]} if looks else {}
    return {name: (low - _BEYOND * (high - low), high + _BEYOND * (high - low)) for name, (low, high) in ranges.items()}


def _ways(rng: np.random.Generator, recipe: VertebraRecipe) -> tuple[StudyChance, StudyChance]:
    return unchanged(), replace(unchanged(), voxels=draw_voxels(rng, recipe.chance))


def _crops(study: StudyCrops, recipe: VertebraRecipe) -> NDArray[np.float32]:
    return study_input(study, unchanged(), recipe)[0]


def _only(crops: NDArray[np.float32], shown: Sequence[int]) -> NDArray[np.float32]:
    """A study that shows some levels alone, in the steps of grey that compress well."""
    kept = np.zeros_like(crops)
    kept[list(shown)] = crops[list(shown)]
    kept[..., -1] = np.rint(kept[..., -1] * 16) / 16
    return kept


def _said(network: keras.Model, crops: NDArray[np.float32]) -> Samples:
    return Samples(crops, {name: np.asarray(output, np.float32) for name, output in network.predict_on_batch(crops).items()})
