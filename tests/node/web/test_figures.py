"""Figures for monitoring: drift, refusals, agreement with readers."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from cspine.node.store import State
from cspine.node.store.scores import Scored
from cspine.node.store.verdicts import KeptVerdict, Verdict, put_verdict
from cspine.node.web.figures import Drift, agreements, group_figures, index_by_chance, stability_index
from tests.node.web.sites import FAILED, NEGATIVE, POSITIVE, Made

_NOW = 1_700_000_000.0
_DAY = 86400.0


def _scored(number: int, probability: float | None, at: float = _NOW, **about: object) -> Scored:
    plain = {
        "low": None,
        "high": None,
        "levels": {"C1": 0.1, "C2": probability or 0.0},
        "code": None,
        "timings": {},
        "kernel": "B60",
    }
    given = {"site": "ER", "scanner": "X", "package": "blocks 1.0", "state": State.DONE, **plain, **about}
    positive = None if probability is None else probability >= 0.5
    return Scored(key=f"k{number}", probability=probability, threshold=0.5, positive=positive, finished_at=at, **given)  # type: ignore[arg-type]


def _sampled(seed: int, count: int, shift: float = 0.0) -> list[float]:
    logits = np.random.default_rng(seed).normal(-2 + shift, 1, count)
    return [float(value) for value in 1 / (1 + np.exp(-logits))]


def test_the_stability_index_is_that_of_two_shares() -> None:
    """Worked by hand: shares of one half and one half against three quarters and one quarter."""
    reference, recent = [0.1] * 50 + [0.9] * 50, [0.1] * 75 + [0.9] * 25

    assert stability_index(reference, recent) == pytest.approx(0.25 * np.log(0.75 / 0.5) + -0.25 * np.log(0.25 / 0.5), rel=1e-9)
    assert stability_index(reference, reference) == 0


def test_it_tells_the_same_scores_from_others_and_stays_finite() -> None:
    reference = _sampled(0, 2000)

    assert stability_index(reference, _sampled(1, 2000)) < 0.02
    assert 0.1 < stability_index(reference, _sampled(1, 2000, 0.5)) < 1
    assert stability_index(reference, [0.999] * 50) < 20
    assert stability_index([0.5] * 100, [0.5] * 50) == 0
    assert np.isfinite(stability_index([0.5] * 100, [0.1] * 50))


def test_a_week_is_held_against_the_first_results_of_the_package_by_site_scanner_and_kernel() -> None:
    first = [_scored(n, p, _NOW - 30 * _DAY) for n, p in enumerate(_sampled(0, 200))]
    week = [_scored(1000 + n, p) for n, p in enumerate(_sampled(1, 300))]
    week += [_scored(2000 + n, p, site="Ward", scanner="Y", kernel="") for n, p in enumerate(_sampled(2, 300, 1.5))]

    found = {(one.kind, one.name): one for one in group_figures([*first, *week], _NOW)}

    assert set(found) == {("all", "all"), ("site", "ER"), ("site", "Ward"), ("scanner", "X"), ("scanner", "Y"), ("kernel", "B60")}
    assert found["site", "ER"].drift is Drift.STABLE
    assert found["site", "Ward"].drift is Drift.DRIFTED
    assert found["all", "all"].studies == 600


def test_chance_alone_is_seldom_told_as_drift_however_few_results_there_are() -> None:
    """Thirty results of the very distribution: the usual bounds alone would call nearly all of them drifted."""
    first = [_scored(n, p, _NOW - 30 * _DAY) for n, p in enumerate(_sampled(0, 200))]

    told = [
        group_figures([*first, *[_scored(1000 + n, p) for n, p in enumerate(_sampled(seed, 30))]], _NOW)[0]
        for seed in range(1, 101)
    ]

    assert sum(one.drift is not Drift.STABLE for one in told) <= 5
    assert sum((one.index or 0) > 0.25 for one in told) > 50
    assert index_by_chance(200, 30) == pytest.approx(21.666 * (1 / 200 + 1 / 30), rel=1e-4)


def test_too_few_results_tell_no_drift() -> None:
    first = [_scored(n, p, _NOW - 30 * _DAY) for n, p in enumerate(_sampled(0, 99))]

    (few, *_) = group_figures([*first, *[_scored(1000 + n, 0.9) for n in range(29)]], _NOW)
    (enough, *_) = group_figures([*first, *[_scored(1000 + n, 0.9) for n in range(30)]], _NOW)

    assert (few.drift, few.index) == (Drift.TOO_FEW, None)
    assert enough.drift is Drift.DRIFTED


def test_another_package_has_its_own_distribution() -> None:
    old = [_scored(n, p, _NOW - 30 * _DAY) for n, p in enumerate(_sampled(0, 200))]
    new = [_scored(1000 + n, p, package="blocks 2.0") for n, p in enumerate(_sampled(1, 200, 3.0))]

    (whole, *_) = group_figures([*old, *new], _NOW)

    assert whole.drift is Drift.STABLE


def test_refusals_are_counted_by_code_and_what_is_unsure_is_a_share_of_the_assessed() -> None:
    scores = [_scored(1, 0.6, low=0.4, high=0.8), _scored(2, 0.1), _scored(3, None, state=State.REJECTED, code="no_neck")]
    scores += [_scored(4, None, state=State.FAILED, code="pixels"), _scored(5, None, state=State.REJECTED, code="no_neck")]

    (whole, *_) = group_figures(scores, _NOW)

    assert whole.refused == {"no_neck": 2, "pixels": 1}
    assert (whole.studies, whole.positive, whole.unsure) == (5, 0.5, 0.5)


def _said(number: int, fractured: bool, reader: str = "ada", **more: bool) -> KeptVerdict:
    verdict = Verdict(f"k{number}", reader, {"C1": False, "C2": fractured} | more)
    return KeptVerdict(verdict, "1.9", "1.2", 1, "blocks", "1.0", 0.0)


def test_agreement_counts_studies_whose_assessed_levels_all_have_an_answer() -> None:
    scores = [_scored(1, 0.9), _scored(2, 0.9), _scored(3, 0.1), _scored(4, 0.1), _scored(5, 0.9)]
    verdicts = [_said(1, True), _said(2, False), _said(3, False), _said(4, True), _said(4, False, "bob")]
    verdicts += [replace(_said(5, True), verdict=Verdict("k5", "ada", {"C2": True}))]

    (found,) = agreements(scores, verdicts)

    assert (found.package, found.studies, found.fractured, found.flagged, found.passed) == ("blocks 1.0", 3, 1, 1, 1)
    assert found.brier == pytest.approx((0.01 + 0.81 + 0.01) / 3)
    assert (found.slope, found.missing) == (None, 9)


def test_with_enough_verdicts_the_calibration_is_found() -> None:
    """Scores whose logits are twice what they should be, and one too high."""
    generator = np.random.default_rng(0)
    true = generator.normal(0, 1.5, 4000)
    fractured = generator.random(4000) < 1 / (1 + np.exp(-true))
    told = 1 / (1 + np.exp(-(2 * true + 1)))
    scores = [_scored(n, float(p)) for n, p in enumerate(told)]

    (found,) = agreements(scores, [_said(n, bool(f)) for n, f in enumerate(fractured)])

    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.intercept == pytest.approx(-0.5, abs=0.1)
    assert found.missing == 0


def test_readers_whom_every_score_satisfies_give_a_finite_line() -> None:
    scores = [_scored(n, 0.99 if n < 10 else 0.01) for n in range(20)]

    (found,) = agreements(scores, [_said(n, n < 10) for n in range(20)])

    assert found.slope is not None
    assert 0 < found.slope < 100


def test_the_page_of_figures_shows_them_in_words(node: Made) -> None:
    for name, finished in (("1", POSITIVE), ("2", NEGATIVE), ("3", FAILED)):
        key = node.assess(name, finished)
    put_verdict(node.store, Verdict(node.assess("4", NEGATIVE), "ada", {f"C{number}": False for number in range(1, 7)}))

    page = node.client().get("/monitoring").text

    words = " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())
    assert key
    assert "all 4 33 % 33 % pixels 1 too few" in words
    assert "site ER 4" in words
    assert "blocks 1.0 1 0 0 of 0 1 of 1 0.001 needs 10 more of the rarer kind" in words
