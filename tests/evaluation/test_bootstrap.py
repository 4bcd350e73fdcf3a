import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from cspine.evaluation.bootstrap import LEAST, RESAMPLES, Bootstrap, Estimate, interval, with_interval
from cspine.evaluation.competition import competition_loss
from cspine.evaluation.metrics import evaluate
from cspine.evaluation.report import to_table
from cspine.evaluation.weighted import (
    resampled_auroc,
    resampled_calibration_error,
    resampled_level_auroc,
    resampled_loss_overall,
    resampled_loss_per_study,
    resampled_mean,
    resampled_precision,
    resampled_rank_correlation,
    resampled_share,
)
from tests.evaluation.reports import POINTS, report, scores

STUDIES = 40
TRUTH = np.random.default_rng(1).random((STUDIES, 8)) < 0.3
NOISE: NDArray[np.float64] = np.random.default_rng(2).random((STUDIES, 8))
P: NDArray[np.float64] = np.round(0.3 * TRUTH.astype(np.float64) + 0.7 * NOISE, 1)  # many are equal
OTHER: NDArray[np.float64] = np.round(np.random.default_rng(3).random(STUDIES), 1)

Slow = Callable[[NDArray[np.intp]], float]


def ece(chosen: NDArray[np.intp]) -> float:
    """Calculates the calibration error as it is defined."""
    truth, p = TRUTH[chosen, 0], P[chosen, 0]
    which = np.minimum((p * 10).astype(int), 9)
    return sum(abs(p[which == b].sum() - truth[which == b].sum()) for b in range(10)) / len(chosen)


SLOW: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], Slow]] = {
    "auroc": (lambda t: resampled_auroc(TRUTH[:, 0], P[:, 0], t), lambda c: float(roc_auc_score(TRUTH[c, 0], P[c, 0]))),
    "precision": (
        lambda t: resampled_precision(TRUTH[:, 0], P[:, 0], t),
        lambda c: float(average_precision_score(TRUTH[c, 0], P[c, 0])),
    ),
    "ece": (lambda t: resampled_calibration_error(TRUTH[:, 0], P[:, 0], t), ece),
    "levels": (
        lambda t: resampled_level_auroc(TRUTH, P, t),
        lambda c: float(np.mean([roc_auc_score(TRUTH[c, i], P[c, i]) for i in range(1, 8)])),
    ),
    "share": (lambda t: resampled_share(TRUTH[:, 0], P[:, 0] >= 0.5, t), lambda c: float(np.mean(P[c, 0][TRUTH[c, 0]] >= 0.5))),
    "mean": (lambda t: resampled_mean(np.where(OTHER > 0.8, np.nan, OTHER), t), lambda c: float(OTHER[c][OTHER[c] <= 0.8].mean())),
    "rank": (lambda t: resampled_rank_correlation(P[:, 0], OTHER, t), lambda c: float(spearmanr(P[c, 0], OTHER[c]).statistic)),
    "loss a": (lambda t: resampled_loss_per_study(TRUTH, P, t), lambda c: competition_loss(TRUTH[c], P[c]).per_study),
    "loss b": (lambda t: resampled_loss_overall(TRUTH, P, t), lambda c: competition_loss(TRUTH[c], P[c]).overall),
}


@pytest.mark.parametrize("name", SLOW)
def test_what_is_measured_of_counted_patients_is_what_is_measured_of_the_sample_itself(name: str) -> None:
    """The samples are drawn as they always were: the same seed gives the same intervals."""
    quick, slow = SLOW[name]
    samples = np.random.default_rng(5).integers(STUDIES, size=(150, STUDIES))

    found = Bootstrap(STUDIES, 150, seed=5).resampled(quick)

    np.testing.assert_allclose(found, [slow(sample) for sample in samples], rtol=1e-12)


def test_an_interval_is_the_middle_95_percent_of_what_samples_give() -> None:
    resampled = np.random.default_rng(4).permutation(np.arange(1001.0))

    found = interval(500.0, resampled)

    assert (found.value, found.low, found.high) == (500.0, 25.0, 975.0)
    assert interval(500.0, np.append(resampled, [math.nan, math.inf])) == found


def test_the_interval_of_a_share_is_as_wide_as_theory_says() -> None:
    """A share of 0.3 of 400 patients has an interval of 1.96 standard errors either way."""
    flagged = np.arange(400) < 120

    found = Bootstrap(400, 4000).estimate(lambda t: resampled_share(np.ones(400, dtype=bool), flagged, t), 120)

    half = 1.96 * math.sqrt(0.3 * 0.7 / 400)
    assert found.value == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half), abs=0.006)


def test_the_intervals_of_an_auroc_hold_its_true_value_about_as_often_as_they_say() -> None:
    """Normal scores that are a distance of 1 apart have an AUROC of 0.760."""
    held, tries = 0, 200
    for seed in range(tries):
        truth = np.arange(80) < 30
        p = np.random.default_rng(seed).normal(truth, 1.0)
        found = Bootstrap(80, 300, seed).estimate(partial(resampled_auroc, truth, p), 30)
        held += found.low <= 0.7602 <= found.high
    assert 0.88 <= held / tries <= 0.99


def test_patients_are_drawn_with_replacement_and_another_seed_draws_others() -> None:
    times = Bootstrap(30, 500, seed=1).times

    assert times.shape == (500, 30)
    assert np.all(times.sum(axis=1) == 30)
    assert 0.33 < np.mean(times == 0) < 0.40  # 1 / e are left out
    assert not np.array_equal(times, Bootstrap(30, 500, seed=2).times)
    assert RESAMPLES >= 1000


@pytest.mark.parametrize(("cases", "has_one"), [(0, False), (LEAST - 1, False), (LEAST, True)])
def test_fewer_than_five_cases_of_a_kind_have_no_interval(cases: int, has_one: bool) -> None:
    found = with_interval(0.5, np.linspace(0.2, 0.8, 100), cases)

    assert found.value == 0.5
    assert found.has_interval is has_one
    assert str(found) == ("0.500 (0.215-0.785)" if has_one else "0.500 (too few)")


def test_samples_that_all_agree_are_no_interval() -> None:
    found = with_interval(1.0, np.ones(100), 50)

    assert not found.has_interval
    assert str(found) == "1.000 (too few)"
    assert str(Estimate(math.nan, math.nan, math.nan)) == "-"


def test_four_patients_who_are_told_apart_have_an_auroc_without_an_interval() -> None:
    given = scores(studies=4)
    truth = np.zeros((4, 8), dtype=bool)
    truth[:2, :2] = True
    p = np.where(truth, 0.9, 0.1)

    found = evaluate(replace(given, truth=truth, scores=p), POINTS, resamples=50)

    assert str(found.outputs[0].estimates["auroc"]) == "1.000 (too few)"
    assert str(found.mean_level_auroc) == "1.000 (too few)"
    assert not any(one.has_interval for output in found.outputs for one in output.estimates.values())
    assert not any(one.has_interval for one in found.of_all.values())


def test_sensitivity_needs_fractures_only_and_specificity_intact_patients_only() -> None:
    truth = np.zeros((40, 8), dtype=bool)
    truth[:3, :2] = True
    p = np.clip(np.random.default_rng(0).random((40, 8)), 0.01, 0.99)

    found = evaluate(replace(scores(studies=40), truth=truth, scores=p), POINTS[:1], resamples=50).outputs[0].estimates

    assert not found["sensitivity_balanced"].has_interval
    assert found["specificity_balanced"].has_interval
    assert not found["auroc"].has_interval


def test_a_mean_of_levels_has_no_interval_where_one_of_them_has_too_few_fractures() -> None:
    given = scores(studies=60)
    few = given.truth.copy()
    few[np.flatnonzero(few[:, 4])[LEAST - 1 :], 4] = False

    enough = evaluate(given, (), resamples=50)
    too_few = evaluate(replace(given, truth=few), (), resamples=50)

    assert enough.mean_level_auroc.has_interval
    assert not too_few.mean_level_auroc.has_interval
    assert too_few.fractured_levels == few[:, 1:].sum()


def test_people_are_told_from_how_many_fractures_numbers_come() -> None:
    table = to_table(report())
    fractured, levels = report().evaluation.outputs[0].fractured, report().evaluation.fractured_levels

    assert f"from 30 patients, {fractured} of them with {levels} fractured levels" in table
