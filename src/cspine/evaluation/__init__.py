"""Measures how good a model is: metrics with intervals, calibration, operating points, tables."""

from cspine.evaluation.scores import StudyScores as StudyScores
