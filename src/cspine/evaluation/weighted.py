"""Measures many samples of patients at once: each patient counts as often as a sample has it.

All take ``times``, how often each patient (or level, or whatever is ranked) counts in each sample, ``(k, n)``, and return a number
for each sample, ``(k,)``; NaN where it is not defined.
"""

import numpy as np
from numpy.typing import NDArray

from cspine.evaluation.competition import competition_weights, log_losses

_BINS = 10

Numbers = NDArray[np.float64]


def resampled_auroc(truth: NDArray[np.bool_], scores: Numbers, times: Numbers) -> Numbers:
    """Returns the area under the receiver operating characteristic; of two equal scores each ranks higher half the time."""
    positive, negative = _by_score(truth, scores, times)
    below = np.cumsum(negative, axis=1) - negative
    return _ratio((positive * (below + negative / 2)).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))


def resampled_precision(truth: NDArray[np.bool_], scores: Numbers, times: Numbers) -> Numbers:
    """Returns the average precision: the mean of the precision at each threshold, weighted by the fractures found there."""
    positive, negative = (part[:, ::-1] for part in _by_score(truth, scores, times))
    found, flagged = np.cumsum(positive, axis=1), np.cumsum(positive + negative, axis=1)
    return _ratio((positive * found / np.maximum(flagged, 1)).sum(axis=1), positive.sum(axis=1))


def resampled_calibration_error(truth: NDArray[np.bool_], probabilities: Numbers, times: Numbers) -> Numbers:
    """Returns the mean distance of probability and frequency over ten bins of equal width (Naeini, Cooper and Hauskrecht, 2015)."""
    gaps = np.where(_bin_of(probabilities)[:, None] == np.arange(_BINS), (probabilities - truth)[:, None], 0.0)
    return _ratio(np.abs(times @ gaps).sum(axis=1), times.sum(axis=1))


def simulated_calibration_error(probabilities: Numbers, draws: int, seed: int) -> Numbers:
    """Returns the calibration errors of draws in which every probability is right, ``(draws,)``.

    Fractures are drawn from the probabilities: consistency resampling (Bröcker and Smith, 2007). Of few patients such an error is
    well above 0, so one that was measured is to be seen beside these.
    """
    fractured = np.random.default_rng(seed).random((draws, len(probabilities))) < probabilities
    inside = _bin_of(probabilities)[:, None] == np.arange(_BINS)
    gaps = (probabilities - fractured) @ inside.astype(np.float64)
    return _ratio(np.abs(gaps).sum(axis=1), np.full(draws, float(len(probabilities))))


def resampled_level_auroc(truth: NDArray[np.bool_], scores: Numbers, times: Numbers) -> Numbers:
    """Returns the mean of the AUROC of C1..C7, ``(n, 8)`` each, over those that have both fractured and intact ones."""
    levels = range(1, truth.shape[1])
    each = np.array([resampled_auroc(truth[:, level], scores[:, level], times) for level in levels])
    return _ratio(np.nansum(each, axis=0), np.isfinite(each).sum(axis=0).astype(np.float64))


def resampled_share(counted: NDArray[np.bool_], found: NDArray[np.bool_], times: Numbers) -> Numbers:
    """Returns the share that is ``found`` of those that are counted, ``(n,)`` each."""
    return _ratio(times[:, counted] @ found[counted].astype(np.float64), times[:, counted].sum(axis=1))


def resampled_mean(values: Numbers, times: Numbers) -> Numbers:
    """Returns the mean of values, ``(n,)``; those that are NaN do not count."""
    known = np.isfinite(values)
    return _ratio(times[:, known] @ values[known], times[:, known].sum(axis=1))


def resampled_rank_correlation(one: Numbers, other: Numbers, times: Numbers) -> Numbers:
    """Returns Spearman's correlation; NaN for fewer than three patients, and where one of the two is the same everywhere."""
    first, second = _ranks(one, times), _ranks(other, times)
    count = times.sum(axis=1, keepdims=True)
    first, second = (ranks - (times * ranks).sum(axis=1, keepdims=True) / count for ranks in (first, second))
    spread = (times * first**2).sum(axis=1) * (times * second**2).sum(axis=1)
    return _ratio((times * first * second).sum(axis=1), np.where(count[:, 0] < 3, 0.0, np.sqrt(spread)))


def resampled_loss_per_study(truth: NDArray[np.bool_], probabilities: Numbers, times: Numbers) -> Numbers:
    """Returns the competition's loss A (:mod:`cspine.evaluation.competition`), normalised within each study, ``(n, 8)`` each."""
    weights = competition_weights(truth)
    each = (weights * log_losses(truth, probabilities)).sum(axis=1) / weights.sum(axis=1)
    return _ratio(times @ each, times.sum(axis=1))


def resampled_loss_overall(truth: NDArray[np.bool_], probabilities: Numbers, times: Numbers) -> Numbers:
    """Returns the competition's loss B, normalised over all studies at once, ``(n, 8)`` each."""
    weights = competition_weights(truth)
    return _ratio(times @ (weights * log_losses(truth, probabilities)).sum(axis=1), times @ weights.sum(axis=1))


def _bin_of(probabilities: Numbers) -> NDArray[np.int_]:
    number: NDArray[np.int_] = np.minimum((probabilities * _BINS).astype(np.int_), _BINS - 1)
    return number


def _by_score(truth: NDArray[np.bool_], scores: Numbers, times: Numbers) -> tuple[Numbers, Numbers]:
    """Returns how often each score is that of a fractured, and of an intact one, from the lowest on, ``(k, scores)`` each."""
    order = np.argsort(scores, kind="stable")
    begins = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    sorted_times = times[:, order]
    positive = np.add.reduceat(sorted_times * truth[order], begins, axis=1)
    return positive, np.add.reduceat(sorted_times, begins, axis=1) - positive


def _ranks(values: Numbers, times: Numbers) -> Numbers:
    """Returns the rank of each value among those of its sample; equal ones share the middle of their ranks, ``(k, n)``."""
    _, place = np.unique(values, return_inverse=True)
    often = np.zeros((len(times), int(place.max()) + 1))
    np.add.at(often.T, place, times.T)
    found: Numbers = (np.cumsum(often, axis=1) - often / 2)[:, place]
    return found


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    """Returns a quotient; NaN where it would be one by nothing."""
    found: Numbers = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return found
