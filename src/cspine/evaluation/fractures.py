"""Measures a model by severity and kind of fracture, and on look-alikes: on phantoms, whose truth is known."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.errors import DatasetError, one_line
from cspine.evaluation.bootstrap import RESAMPLES, Bootstrap, Estimate
from cspine.evaluation.scores import StudyScores
from cspine.evaluation.weighted import resampled_auroc, resampled_share
from cspine.storage.strict_json import read_json

_STEPS = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0))
"""Of severity; see :mod:`cspine.phantoms.model.injuries.severity`."""

_GAPS_MM = (0.2, 0.3, 0.5, 1.0, 3.5)
"""Half a voxel of a fine scan, and wider."""


@dataclass(frozen=True, slots=True)
class LevelTruth:
    """Holds what is known of one level of one phantom.

    Attributes:
        patient: Place of the study among the scores.
        level: 1 for C1 to 7 for C7: its place among the outputs.
        severity: Of its worst fracture, 0..1; ``None`` where it is intact.
        kind: Of that fracture; empty where it is intact.
        lookalikes: Kinds of what it has that may be taken for a fracture.
        gap_mm: Width of the crack of its worst fracture, which may have moved too; ``None`` where it is intact.
    """

    patient: int
    level: int
    severity: float | None
    kind: str
    lookalikes: frozenset[str] = frozenset()
    gap_mm: float | None = None


@dataclass(frozen=True, slots=True)
class GroupMetrics:
    """Describes how a model does on some levels.

    Attributes:
        group: Which levels, in words.
        levels: How many.
        patients: Of how many.
        flagged: Share that is flagged at the operating point: sensitivity, or false positives for intact levels.
        auroc: Against all intact levels; NaN for intact ones.
    """

    group: str
    levels: int
    patients: int
    flagged: Estimate
    auroc: Estimate


def read_level_truths(folders: Sequence[Path | None]) -> list[LevelTruth] | None:
    """Returns the truth of each level of phantoms; ``None`` where one is a patient, whose truth is not known.

    Args:
        folders: What each case was made of: :attr:`cspine.datasets.Case.truth`.

    Raises:
        DatasetError: A phantom's truth cannot be read.
    """
    truths: list[LevelTruth] = []
    for patient, folder in enumerate(folders):
        if folder is None or not (folder / "truth.json").is_file():
            return None
        truths += _levels_of(patient, folder / "truth.json")
    return truths


def by_fracture(
    scores: StudyScores, truths: Sequence[LevelTruth], thresholds: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[GroupMetrics]:
    """Returns groups of levels by severity, by kind, and intact ones with and without look-alikes.

    Args:
        scores: Truth and probabilities.
        truths: Of the same studies, in the same order.
        thresholds: From which probability on each output counts as fractured, overall and C1..C7.
        resamples: Bootstrap samples of patients.
        seed: Of the bootstrap.
    """
    bootstrap = _GroupBootstrap(scores, list(truths), thresholds, Bootstrap(len(scores), resamples, seed))
    kinds = sorted({truth.kind for truth in truths if truth.kind})
    alike = sorted({one for truth in truths for one in truth.lookalikes})
    groups: list[tuple[str, Callable[[LevelTruth], bool]]] = [
        *((f"severity {low:g} to {high:g}", _within(low, high)) for low, high in _STEPS),
        *((f"gap {low:g} to {high:g} mm", _as_wide(low, high)) for low, high in pairwise(_GAPS_MM)),
        *((kind.replace("_", " "), _of_kind(kind)) for kind in kinds),
        ("intact, with a look-alike", lambda t: t.severity is None and bool(t.lookalikes)),
        ("intact, without", lambda t: t.severity is None and not t.lookalikes),
        *((f"intact, with {one.replace('_', ' ')}", _like(one)) for one in alike),
    ]
    return [bootstrap.group(name, np.array([chosen(truth) for truth in truths])) for name, chosen in groups]


class _GroupBootstrap:
    """Bootstraps groups of levels over patients."""

    def __init__(self, scores: StudyScores, truths: list[LevelTruth], thresholds: Sequence[float], bootstrap: Bootstrap) -> None:
        self._scores = np.array([scores.scores[truth.patient, truth.level] for truth in truths])
        self._patients = np.array([truth.patient for truth in truths])
        self._intact = np.array([truth.severity is None for truth in truths])
        self._flagged = self._scores >= np.array([thresholds[truth.level] for truth in truths])
        self._bootstrap = bootstrap

    def group(self, name: str, chosen: NDArray[np.bool_]) -> GroupMetrics:
        patients = len(np.unique(self._patients[chosen]))
        flagged = self._bootstrap.estimate(lambda times: self._share(chosen, times), patients)
        against = chosen | self._intact
        others = len(np.unique(self._patients[against & ~chosen]))
        only_intact = not np.any(chosen & ~self._intact)
        nothing = Estimate(math.nan, math.nan, math.nan)
        area = nothing if only_intact else self._bootstrap.estimate(lambda t: self._area(chosen, against, t), min(patients, others))
        return GroupMetrics(name, int(chosen.sum()), patients, flagged, area)

    def _share(self, chosen: NDArray[np.bool_], times: NDArray[np.float64]) -> NDArray[np.float64]:
        return resampled_share(np.ones(int(chosen.sum()), dtype=bool), self._flagged[chosen], times[:, self._patients[chosen]])

    def _area(self, chosen: NDArray[np.bool_], against: NDArray[np.bool_], times: NDArray[np.float64]) -> NDArray[np.float64]:
        return resampled_auroc(chosen[against], self._scores[against], times[:, self._patients[against]])


def _levels_of(patient: int, path: Path) -> list[LevelTruth]:
    try:
        truth = read_json(path)
        injuries = [(str(i["level"]), float(i["severity"]), str(i["kind"]), float(i["gap_mm"])) for i in truth["injuries"]]
        alike = [(str(one["level"]), str(one["kind"])) for one in truth["lookalikes"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} must list injuries and lookalikes as `cspine phantom` writes them: {one_line(str(error))}"
        ) from error
    found = []
    for level in CERVICAL:
        worst = max(((severity, kind, gap) for name, severity, kind, gap in injuries if name == level.name), default=None)
        severity, kind, gap = worst if worst is not None else (None, "", None)
        like = frozenset(kind_of for name, kind_of in alike if name == level.name)
        found.append(LevelTruth(patient, int(level), severity, kind, like, gap))
    return found


def _within(low: float, high: float) -> Callable[[LevelTruth], bool]:
    return lambda t: t.severity is not None and (low <= t.severity < high or t.severity == high == 1)


def _as_wide(low: float, high: float) -> Callable[[LevelTruth], bool]:
    return lambda t: t.gap_mm is not None and low <= t.gap_mm < high


def _like(kind: str) -> Callable[[LevelTruth], bool]:
    return lambda t: t.severity is None and kind in t.lookalikes


def _of_kind(kind: str) -> Callable[[LevelTruth], bool]:
    return lambda t: t.kind == kind
