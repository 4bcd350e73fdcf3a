"""What a trained network says about studies, from all views, as the service asks."""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.evaluation import StudyScores
from cspine.modelpack.tta import TtaPrediction, combine_tta, tta_inputs
from cspine.training.vertebrae.batches import study_input, unchanged
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.settings import VertebraRecipe

VIEWS = 2
"""How often a study is judged."""


def study_views(study: StudyCrops, recipe: VertebraRecipe) -> NDArray[np.float32]:
    """A study as often as it is judged, ``(views, 7, slices, rows, columns, channels)``."""
    return tta_inputs(np.stack([study_input(study, unchanged(raised), recipe)[0] for raised in range(VIEWS)]))


def views_by(model: keras.Model, study: StudyCrops, recipe: VertebraRecipe) -> TtaPrediction:
    """What a network says about a study."""
    said = [model.predict_on_batch(view[None]) for view in study_views(study, recipe)]
    return combine_tta({name: np.concatenate([np.asarray(one[name]) for one in said]) for name in said[0]})


def all_views(model: keras.Model, studies: Sequence[StudyCrops], recipe: VertebraRecipe) -> list[TtaPrediction]:
    """What a network says about some studies."""
    return [views_by(model, study, recipe) for study in studies]


def scores_of(studies: Sequence[StudyCrops], seen: Sequence[TtaPrediction]) -> StudyScores:
    """Scores of labelled studies, overall and C1..C7; 0 for levels that are not in the scan."""
    truth, scores = [], []
    for study, one in zip(studies, seen, strict=True):
        truth.append([study.broken.any(), *study.broken])
        scores.append(np.where(np.concatenate([[study.there.any()], study.there]), one.scores, 0.0))
    return StudyScores(tuple(study.case.study_uid for study in studies), np.array(truth, dtype=bool), np.array(scores, np.float64))
