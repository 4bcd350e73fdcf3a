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
    said = given.scores.copy()
    said[:, 0] = 0.8 * trait + 0.2 * said[:, 0]

    (followed,) = shortcuts(replace(given, scores=said), {"slices": trait}, resamples=100)

    whole = ~given.truth[:, 0]
    assert followed.followed.value == pytest.approx(spearmanr(trait[whole], said[whole, 0]).statistic)
    assert followed.followed.low > 0.5
    assert followed.tells.low < 0.5 < followed.tells.high


def test_a_trait_that_gives_fractures_away_is_told() -> None:
    given = scores(studies=200)
    trait = given.truth[:, 0] + np.random.default_rng(3).normal(0, 0.5, 200)

    (found,) = shortcuts(given, {"length_mm": trait}, resamples=100)

    assert found.tells.low > 0.8
    assert found.followed.low < 0 < found.followed.high


def test_a_trait_that_all_share_cannot_be_followed() -> None:
    (found,) = shortcuts(scores(), {"falls": np.ones(30)}, resamples=5)

    assert found.tells.value == 0.5
    assert math.isnan(found.followed.value)
