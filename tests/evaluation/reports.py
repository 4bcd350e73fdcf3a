"""Evaluations of made-up scores."""

import numpy as np

from cspine.evaluation import StudyScores
from cspine.evaluation.bootstrap import Estimate
from cspine.evaluation.fractures import GroupMetrics
from cspine.evaluation.leaky import entry_accuracy
from cspine.evaluation.localisation import StudyLocalisation, localisation_metrics
from cspine.evaluation.metrics import evaluate
from cspine.evaluation.report import Report
from cspine.evaluation.shortcuts import shortcuts
from cspine.modelpack import OperatingPoint

POINTS = tuple(OperatingPoint(name, (t,) * 8) for name, t in (("balanced", 0.5), ("rule_out", 0.2), ("rule_in", 0.8)))


def scores(seed: int = 0, studies: int = 30, signal: float = 0.0) -> StudyScores:
    """Returns scores of studies of which none is fractured at C3."""
    rng = np.random.default_rng(0)
    levels = rng.random((studies, 7)) < 0.3
    levels[:, 2] = False
    truth = np.column_stack([levels.any(axis=1), levels])
    predicted = np.random.default_rng(seed + 1).random(truth.shape)
    return StudyScores(tuple(f"1.{i}" for i in range(studies)), truth, np.where(truth, predicted ** (1 / (1 + signal)), predicted))


def places(count: int = 30) -> list[StudyLocalisation]:
    """Returns suspected places: every other study has one fracture, which its second place is on."""
    dice = np.linspace(0.2, 0.8, 7)
    found = []
    for i in range(count):
        hits = np.array([-1, 0 if i % 2 else -1])
        found.append(StudyLocalisation(i % 2, np.array([0.8, 0.5]), hits, dice))
    return found


def report() -> Report:
    """Returns a report that holds all that it can."""
    given = scores()
    half = Estimate(0.5, 0.4, 0.6)
    return Report(
        {"recipe": "custom_cnn", "run": "a", "subjects": "phantoms"},
        evaluate(given, POINTS, given.scores[:, 0], resamples=20),
        given,
        [GroupMetrics("severity 0 to 0.2", 12, 10, half, half)],
        localisation_metrics(places(), resamples=20),
        shortcuts(given, {"slices": np.arange(30.0)}, resamples=20),
        entry_accuracy(np.eye(7, dtype=bool), np.zeros((7, 7), dtype=bool)),
    )
