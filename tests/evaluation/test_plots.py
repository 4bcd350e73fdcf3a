import math

from cspine.evaluation import plots
from cspine.evaluation.bootstrap import Estimate
from cspine.evaluation.fractures import GroupMetrics


def _group(name: str) -> GroupMetrics:
    return GroupMetrics(name, 5, 5, Estimate(0.5, 0.4, 0.6), Estimate(math.nan, math.nan, math.nan))


def test_intact_levels_are_drawn_in_a_quieter_colour_than_fractures() -> None:
    intact, fractured = (plots.by_severity([_group(name)]) for name in ("intact, with a look-alike", "severity 0.8 to 1"))

    recoloured = intact.count(plots.QUIET) - fractured.count(plots.QUIET)
    assert recoloured >= 2  # the interval and the point
    assert fractured.count(plots.INK) - intact.count(plots.INK) == recoloured
