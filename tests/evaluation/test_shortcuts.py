import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from cspine.evaluation.shortcuts import shortcuts
from tests.evaluation.reports import scores


def test_a_trait_that_the_model_follows_is_told() -> None:
    given = scores(studies=200)
    trait = np.random.default_rng(3).random(200)
    predicted = given.scores.copy()
    predicted[:, 0] = 0.8 * trait + 0.2 * predicted[:, 0]

    (rank_correlation,) = shortcuts(replace(given, scores=predicted), {"slices": trait}, resamples=100)

    intact = ~given.truth[:, 0]
    assert rank_correlation.rank_correlation.value == pytest.approx(spearmanr(trait[intact], predicted[intact, 0]).statistic)
    assert rank_correlation.rank_correlation.low > 0.5
    assert rank_correlation.trait_auroc.low < 0.5 < rank_correlation.trait_auroc.high


def test_a_trait_that_gives_fractures_away_is_told() -> None:
    given = scores(studies=200)
    trait = given.truth[:, 0] + np.random.default_rng(3).normal(0, 0.5, 200)

    (found,) = shortcuts(given, {"length_mm": trait}, resamples=100)

    assert found.trait_auroc.low > 0.8
    assert found.rank_correlation.low < 0 < found.rank_correlation.high


def test_a_trait_that_all_share_cannot_be_followed() -> None:
    (found,) = shortcuts(scores(), {"falls": np.ones(30)}, resamples=5)

    assert found.trait_auroc.value == 0.5
    assert math.isnan(found.rank_correlation.value)
