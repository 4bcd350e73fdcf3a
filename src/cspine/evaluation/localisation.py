"""Measures localisation: whether a model points at the fracture (hit rate, FROC), and the overlap of levels (Dice)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.evaluation.bootstrap import RESAMPLES, Bootstrap, Estimate, Statistic
from cspine.evaluation.weighted import resampled_mean

FALSE_POSITIVES = (0.5, 1.0, 2.0, 4.0)
"""False positives per study at which FROC is reported."""

NOT_A_LESION = -1


@dataclass(frozen=True, slots=True, eq=False)
class StudyLocalisation:
    """Says where a model suspects fractures in a study, against where they are.

    Attributes:
        lesions: How many fractures are marked; ``None`` where it is not known where they are.
        scores: How strongly each place is suspected, 0..1, ``(k,)``.
        hits: Which fracture each place lies on, ``(k,)``; :data:`NOT_A_LESION` where on none.
        dice: Overlap of C1..C7 as seen and as they are (Dice, 1945), ``(7,)``; NaN where that is not known.
    """

    lesions: int | None
    scores: NDArray[np.float64] = field(repr=False)
    hits: NDArray[np.intp] = field(repr=False)
    dice: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Froc:
    """Free-response ROC: share of fractures found against false positives per study (Bunch et al., 1977).

    Attributes:
        false_positives: Per study.
        found: Share of fractures, one for each.
    """

    false_positives: tuple[float, ...]
    found: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LocalisationMetrics:
    """Describes how well a model localises fractures and levels.

    Attributes:
        studies: Of how many studies it is known where their fractures are, intact ones among them.
        lesions: Fractures in these.
        masked: Of how many studies it is known where their levels are.
        hit_rate: Share of fractured studies whose most suspected place lies on a fracture (pointing game, Zhang et al., 2016).
        found: Share of fractures found at each of :data:`FALSE_POSITIVES`.
        froc: The whole curve.
        dice: Mean overlap of C1..C7.
    """

    studies: int
    lesions: int
    masked: int
    hit_rate: Estimate
    found: tuple[Estimate, ...]
    froc: Froc
    dice: tuple[Estimate, ...]


def localisation_metrics(places: Sequence[StudyLocalisation], *, resamples: int = RESAMPLES, seed: int = 0) -> LocalisationMetrics:
    """Returns how well a model localises, with intervals over patients.

    Args:
        places: Of each study.
        resamples: Bootstrap samples of patients.
        seed: Of the bootstrap.
    """
    marked = [place for place in places if place.lesions is not None]
    pooled = _Marked(marked)
    masked = [place for place in places if np.any(np.isfinite(place.dice))]
    dice = np.array([place.dice for place in masked]).reshape(-1, len(CERVICAL))
    fractured = sum(bool(place.lesions) for place in marked)
    bootstrap = Bootstrap(len(marked), resamples, seed) if marked else None
    of_masks = Bootstrap(len(masked), resamples, seed) if masked else None
    return LocalisationMetrics(
        studies=len(marked),
        lesions=sum(place.lesions or 0 for place in marked),
        masked=len(masked),
        hit_rate=_over(bootstrap, pooled.hit_rate, fractured),
        found=tuple(_over(bootstrap, partial(pooled.found_at, rate), fractured) for rate in FALSE_POSITIVES),
        froc=pooled.curve(),
        dice=tuple(_over(of_masks, partial(resampled_mean, values), int(np.isfinite(values).sum())) for values in dice.T),
    )


class _Marked:
    """Studies of which it is known where they are fractured; each may count several times."""

    def __init__(self, places: Sequence[StudyLocalisation]) -> None:
        wrong = [place.scores[place.hits == NOT_A_LESION] for place in places]
        best = [_best_of_each(place) for place in places]
        self._wrong_study = np.repeat(np.arange(len(places)), [len(scores) for scores in wrong])
        self._wrong = np.concatenate([*wrong, []])
        order = np.argsort(-self._wrong, kind="stable")
        self._wrong, self._wrong_study = self._wrong[order], self._wrong_study[order]
        self._best_study = np.repeat(np.arange(len(places)), [len(scores) for scores in best])
        self._best = np.concatenate([*best, []])
        self._pointed = np.array([_points_at_a_lesion(place) if place.lesions else math.nan for place in places])

    def hit_rate(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        return resampled_mean(self._pointed, times)

    def found_at(self, rate: float, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the share of fractures whose score is above that of the first false positive too many, of each sample."""
        alarms = np.cumsum(times[:, self._wrong_study], axis=1)
        within = np.count_nonzero(alarms <= rate * times.sum(axis=1, keepdims=True), axis=1)
        limit = np.append(self._wrong, 0.0)[within]
        weight = times[:, self._best_study]
        total = weight.sum(axis=1)
        found = (weight * (self._best > limit[:, None])).sum(axis=1)
        shares: NDArray[np.float64] = np.divide(found, total, out=np.full(len(times), np.nan), where=total > 0)
        return shares

    def curve(self) -> Froc:
        once = np.ones((1, len(self._pointed)))
        most = len(self._wrong) / max(len(self._pointed), 1)
        rates = np.unique(np.concatenate([np.linspace(0, most, 60), [rate for rate in FALSE_POSITIVES if rate <= most]]))
        if not len(self._best):
            return Froc((), ())
        return Froc(tuple(rates.tolist()), tuple(float(self.found_at(rate, once)[0]) for rate in rates))


def _best_of_each(place: StudyLocalisation) -> NDArray[np.float64]:
    """Returns the strongest suspicion on each fracture; 0 where there is none."""
    return np.array([place.scores[place.hits == lesion].max(initial=0.0) for lesion in range(place.lesions or 0)])


def _points_at_a_lesion(place: StudyLocalisation) -> float:
    return float(len(place.scores) > 0 and place.hits[np.argmax(place.scores)] != NOT_A_LESION)


def _over(bootstrap: Bootstrap | None, statistic: Statistic, cases: int) -> Estimate:
    return bootstrap.estimate(statistic, cases) if bootstrap is not None else Estimate(math.nan, math.nan, math.nan)
