"""Predicts studies with a trained network and test-time augmentation, as the service does, and localises suspected fractures."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import CERVICAL
from cspine.evaluation import StudyScores
from cspine.evaluation.localisation import NOT_A_LESION, StudyLocalisation
from cspine.imaging.vertebrae import own_cells
from cspine.modelpack.tta import TtaPrediction, combine_tta, tta_inputs
from cspine.specs import VertebraSpec
from cspine.training.vertebrae.augmentation import unchanged
from cspine.training.vertebrae.batches import Targets, fracture_bit, study_input
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.settings import VertebraRecipe

TTA_PASSES = 2
"""How often a study is classified."""

_EVERY_SIDE = np.ones((3, 3, 3), dtype=bool)


def tta_study_inputs(study: StudyCrops, recipe: VertebraRecipe) -> NDArray[np.float32]:
    """Returns a study as often as it is classified, ``(passes, 7, slices, rows, columns, channels)``."""
    return tta_inputs(np.stack([study_input(study, unchanged(raised), recipe)[0] for raised in range(TTA_PASSES)]))


def predict_study(model: keras.Model, study: StudyCrops, recipe: VertebraRecipe) -> TtaPrediction:
    """Returns what a network predicts for a study."""
    passes = [model.predict_on_batch(one[None]) for one in tta_study_inputs(study, recipe)]
    return combine_tta({name: np.concatenate([np.asarray(one[name]) for one in passes]) for name in passes[0]})


def predict_studies(model: keras.Model, studies: Sequence[StudyCrops], recipe: VertebraRecipe) -> list[TtaPrediction]:
    """Returns what a network predicts for some studies."""
    return [predict_study(model, study, recipe) for study in studies]


def scores_of(studies: Sequence[StudyCrops], predictions: Sequence[TtaPrediction]) -> StudyScores:
    """Returns scores of labelled studies, overall and C1..C7; 0 for levels that are not in the scan."""
    truth, scores = [], []
    for study, one in zip(studies, predictions, strict=True):
        truth.append([study.broken.any(), *study.broken])
        scores.append(np.where(np.concatenate([[study.there.any()], study.there]), one.scores, 0.0))
    return StudyScores(tuple(study.case.study_uid for study in studies), np.array(truth, dtype=bool), np.array(scores, np.float64))


def localise_fractures(study: StudyCrops, prediction: TtaPrediction, recipe: VertebraRecipe) -> StudyLocalisation:
    """Returns where each vertebra of a study is suspected to be fractured, and whether it is fractured there.

    Each fractured level is one fracture; the place of a level is its strongest cell, and lies on the fracture if it is at most one
    cell away. A study whose fracture has no known place is not counted.
    """
    fed, targets = study_input(study, unchanged(), recipe)
    known = fracture_bit(study, recipe) is not None
    return _localised(study, prediction, _Known(own_cells_of(fed, recipe.input), targets) if known else None)


def own_cells_of(crops: NDArray[np.float32], spec: VertebraSpec) -> NDArray[np.bool_]:
    """Returns which cells are each vertebra's own, ``(7, slices, rows / 8, columns / 8)``."""
    return np.stack([own_cells(crop, spec) for crop in crops])


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Says where fractures are, and which cells belong to the vertebrae."""

    own: NDArray[np.bool_]
    targets: Targets


def _localised(study: StudyCrops, prediction: TtaPrediction, known: _Known | None) -> StudyLocalisation:
    dice, fractured = np.full(len(CERVICAL), np.nan), study.broken
    if known is None and fractured.any():
        return StudyLocalisation(None, np.empty(0), np.empty(0, dtype=np.intp), dice)
    lesion, hits = np.cumsum(fractured) - 1, []
    for i in np.flatnonzero(study.there):
        on = False
        if fractured[i] and known is not None:
            cells = prediction.cells[i] * known.own[i]
            marked = ndimage.binary_dilation(known.targets["fracture_map"][i] > 0, _EVERY_SIDE)
            on = bool(marked[np.unravel_index(int(np.argmax(cells)), cells.shape)])
        hits.append(int(lesion[i]) if on else NOT_A_LESION)
    return StudyLocalisation(int(fractured.sum()), prediction.scores[1:][study.there], np.array(hits, dtype=np.intp), dice)
