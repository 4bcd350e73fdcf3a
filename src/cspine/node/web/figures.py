"""Watches what the package says over time: drift of scores by site, scanner and kernel, refusals, agreement with readers."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import chi2

from cspine.node.store import State
from cspine.node.store.scores import Scored
from cspine.node.store.verdicts import KeptVerdict

REFERENCE, RECENT_S = 200, 7 * 86400.0
"""The first results of a package on this node are its own distribution; a week is held against it."""

LEAST_IN_GROUP, LEAST_IN_REFERENCE = 30, 100
LEAST_OF_A_KIND = 10
"""Studies with a fracture, and without, that a calibration is fitted to at least, as in :mod:`cspine.evaluation`."""

_BINS, _SMALLEST, _CONFIDENCE = 10, 0.5, 0.99
_STABLE, _SHIFTED = 0.1, 0.25


class Drift(StrEnum):
    """Names how far scores have moved, by the usual bounds of the population stability index."""

    TOO_FEW = "too few"
    STABLE = "stable"
    SHIFTED = "shifted"
    DRIFTED = "drifted"


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """Holds a week of a site, a scanner or a kernel.

    Attributes:
        kind: ``all``, ``site``, ``scanner`` or ``kernel``.
        name: Which.
        studies: How many ended.
        positive: Share of the assessed ones that are positive; ``None`` where none was assessed.
        unsure: Share of the assessed ones whose passes disagree.
        refused: How many were rejected or failed, by code.
        index: Population stability index of the scores; ``None`` where there are too few.
        by_chance: What chance alone exceeds once in a hundred weeks; ``None`` likewise.
        drift: What it means.
    """

    kind: str
    name: str
    studies: int
    positive: float | None
    unsure: float | None
    refused: dict[str, int]
    index: float | None
    by_chance: float | None
    drift: Drift


@dataclass(frozen=True, slots=True)
class ReaderAgreement:
    """Holds how probabilities of any fracture agree with readers.

    Attributes:
        package: Name and version.
        studies: How many have a verdict on every assessed level, and no dispute.
        fractured: In how many of them readers saw a fracture.
        flagged: Fractured ones that were flagged.
        passed: Intact ones that were not flagged.
        brier: Mean squared error of the probability; NaN where there is none.
        slope: Of the line through logits that would calibrate them (Platt, 1999); ``None`` where there are too few.
        intercept: Of the same line.
    """

    package: str
    studies: int
    fractured: int
    flagged: int
    passed: int
    brier: float
    slope: float | None
    intercept: float | None

    @property
    def missing(self) -> int:
        """Returns how many more studies of the rarer kind a calibration needs."""
        return max(0, LEAST_OF_A_KIND - min(self.fractured, self.studies - self.fractured))


def stability_index(reference: Sequence[float], recent: Sequence[float]) -> float:
    """Returns the population stability index of scores in tenths of the reference: 0 where both are alike.

    The sum of ``(q - p) ln(q / p)`` over the shares of both, a symmetrised divergence of Kullback and Leibler (1951). Tenths that
    are empty on one side count as half a study, so that it stays finite; those that are empty on both do not count.
    """
    edges = np.unique(np.quantile(np.asarray(reference, dtype=np.float64), np.linspace(0, 1, _BINS + 1)[1:-1]))
    counts = np.array([_counts(scores, edges) for scores in (reference, recent)])
    counts = np.maximum(counts[:, counts.sum(axis=0) > 0], _SMALLEST)
    expected, actual = counts / counts.sum(axis=1, keepdims=True)
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def index_by_chance(reference: int, recent: int) -> float:
    """Returns the index that samples of one distribution exceed once in a hundred weeks (Yurdakul, 2018).

    Args:
        reference: How many results one sample has.
        recent: How many the other one has.
    """
    return float((1 / reference + 1 / recent) * chi2.ppf(_CONFIDENCE, _BINS - 1))


def _counts(scores: Sequence[float], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    places = np.searchsorted(edges, np.asarray(scores, dtype=np.float64), side="right")
    return np.bincount(places, minlength=len(edges) + 1).astype(np.float64)


def group_figures(scores: Sequence[Scored], now: float) -> tuple[GroupFigures, ...]:
    """Returns the last week by site, scanner and kernel, each against the package's own first results.

    Args:
        scores: All results, the oldest first.
        now: The present moment.
    """
    references: dict[str, list[float]] = defaultdict(list)
    for one in scores:
        if one.probability is not None and len(references[one.package]) < REFERENCE:
            references[one.package].append(one.probability)
    groups: dict[tuple[str, str], list[Scored]] = defaultdict(list)
    for one in scores:
        if one.finished_at >= now - RECENT_S:
            for kind, name in (("all", "all"), ("site", one.site), ("scanner", one.scanner), ("kernel", one.kernel)):
                if name:
                    groups[kind, name].append(one)
    order = ("all", "site", "scanner", "kernel")
    ordered = sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1].casefold()))
    return tuple(_figures(kind, name, members, references) for (kind, name), members in ordered)


def _figures(kind: str, name: str, members: Sequence[Scored], references: dict[str, list[float]]) -> GroupFigures:
    assessed = [one for one in members if one.probability is not None]
    package = assessed[-1].package if assessed else ""
    recent = [one.probability for one in assessed if one.package == package and one.probability is not None]
    reference, index, by_chance = references.get(package, []), None, None
    if len(recent) >= LEAST_IN_GROUP and len(reference) >= LEAST_IN_REFERENCE:
        index, by_chance = stability_index(reference, recent), index_by_chance(len(reference), len(recent))
    return GroupFigures(
        kind=kind,
        name=name,
        studies=len(members),
        positive=_share(bool(one.positive) for one in assessed),
        unsure=_share(not one.sure for one in assessed),
        refused=dict(Counter(one.code or "unknown" for one in members if one.state is not State.DONE)),
        index=index,
        by_chance=by_chance,
        drift=_drift(index, by_chance),
    )


def _drift(index: float | None, by_chance: float | None) -> Drift:
    """Returns what an index means: by the usual bounds, and nothing where chance alone gives as much."""
    if index is None or by_chance is None:
        return Drift.TOO_FEW
    if index < max(_STABLE, by_chance):
        return Drift.STABLE
    return Drift.SHIFTED if index < _SHIFTED else Drift.DRIFTED


def _share(values: Iterable[bool]) -> float | None:
    flags = list(values)
    return sum(flags) / len(flags) if flags else None


def agreements(scores: Iterable[Scored], verdicts: Iterable[KeptVerdict]) -> tuple[ReaderAgreement, ...]:
    """Returns how each package agrees with readers; a study that readers disagree about does not count."""
    said: dict[str, list[dict[str, bool]]] = defaultdict(list)
    for kept in verdicts:
        said[kept.verdict.key].append(kept.verdict.levels)
    pairs: dict[str, list[tuple[float, bool, bool]]] = defaultdict(list)
    for one in scores:
        fractured = _any_fracture(said.get(one.key, []), one.levels)
        if one.probability is not None and one.positive is not None and fractured is not None:
            pairs[one.package].append((one.probability, one.positive, fractured))
    return tuple(_agreement(package, found) for package, found in sorted(pairs.items()))


def _any_fracture(said: list[dict[str, bool]], assessed: dict[str, float]) -> bool | None:
    """Returns whether readers saw a fracture of an assessed level; ``None`` where they disagree or left a level out."""
    if not said or any(not set(assessed) <= set(levels) for levels in said):
        return None
    answers = {any(levels[name] for name in assessed) for levels in said}
    return answers.pop() if len(answers) == 1 else None


def _agreement(package: str, pairs: list[tuple[float, bool, bool]]) -> ReaderAgreement:
    probabilities = np.array([probability for probability, _, _ in pairs])
    truth = np.array([fractured for _, _, fractured in pairs])
    fractured, slope, intercept = int(truth.sum()), None, None
    if min(fractured, len(pairs) - fractured) >= LEAST_OF_A_KIND:
        slope, intercept = _line(probabilities, truth)
    return ReaderAgreement(
        package=package,
        studies=len(pairs),
        fractured=fractured,
        flagged=sum(positive and broken for _, positive, broken in pairs),
        passed=sum(not positive and not broken for _, positive, broken in pairs),
        brier=float(np.mean((probabilities - truth) ** 2)) if pairs else math.nan,
        slope=slope,
        intercept=intercept,
    )


def _line(probabilities: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Returns slope and intercept of a logistic regression on logits, drawn a little towards what the package says."""
    kept = np.clip(probabilities, 1e-6, 1 - 1e-6)
    logits, signs = np.log(kept / (1 - kept)), np.where(truth, 1.0, -1.0)

    def loss(line: NDArray[np.float64]) -> float:
        margins = signs * (line[0] * logits + line[1])
        return float(np.sum(np.logaddexp(0, -margins)) + 0.05 * ((line[0] - 1) ** 2 + line[1] ** 2))

    slope, intercept = minimize(loss, np.array([1.0, 0.0])).x
    return float(slope), float(intercept)
