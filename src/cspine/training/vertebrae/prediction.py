"""What a trained network says about studies, vertebra by vertebra."""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.evaluation import StudyScores
from cspine.training.vertebrae.batches import study_input, unchanged
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.recipe import VertebraRecipe

Said = dict[str, NDArray[np.float32]]


def said_of(model: keras.Model, study: StudyCrops, recipe: VertebraRecipe) -> Said:
    """Every output for one study, without the axis of the batch."""
    fed, _ = study_input(study, unchanged(), recipe)
    return {name: np.asarray(output, np.float32)[0] for name, output in model.predict_on_batch(fed[None]).items()}


def scores_of(studies: Sequence[StudyCrops], said: Sequence[Said]) -> StudyScores:
    """Scores of labelled studies, overall and C1..C7; 0 for levels that are not in the scan."""
    truth = [[any(study.case.fractured or ()), *(study.case.fractured or ())] for study in studies]
    scores = [
        np.concatenate([one["overall"], np.where(study.there, one["fracture"], 0.0)])
        for study, one in zip(studies, said, strict=True)
    ]
    return StudyScores(tuple(study.case.study_uid for study in studies), np.array(truth, dtype=bool), np.array(scores, np.float64))
