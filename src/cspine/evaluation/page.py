"""An evaluation as one HTML page that needs nothing beside it."""

import math
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cspine.anatomy import CERVICAL
from cspine.evaluation import plots
from cspine.evaluation.bootstrap import Estimate
from cspine.evaluation.localisation import FALSE_POSITIVES
from cspine.evaluation.report import Report
from cspine.evaluation.subjects import SUBJECTS
from cspine.results import DISCLAIMER


def to_html(report: Report) -> str:
    """Returns the page: tables, pictures, what each means."""
    return str(template("evaluation.html").render(context(report)))


def context(report: Report) -> dict[str, Any]:
    """Returns what the page's template is given.

    ``about``: what was evaluated, by name. ``warning``: what to mind. ``disclaimer``. ``outputs``: overall and C1..C7, and the
    fitted overall where there is one. ``points``: operating points. ``of_all``: numbers of all outputs together, by name.
    ``fractured_levels``: how many there are.
    ``plots``: SVG by name. ``fractures``, ``shortcuts``, ``localisation``, ``leaky``: as in :class:`.Report`. ``found``: pairs of
    false positives per study and the share of fractures found. ``dice``: pairs of level and overlap.
    """
    evaluation = report.evaluation
    fitted = [evaluation.fitted_overall] if evaluation.fitted_overall else []
    localisation = report.localisation
    return {
        "about": report.about,
        "warning": SUBJECTS.get(str(report.about.get("subjects")), ""),
        "disclaimer": DISCLAIMER,
        "outputs": [*evaluation.outputs, *fitted],
        "points": evaluation.points,
        "of_all": evaluation.of_all,
        "fractured_levels": evaluation.fractured_levels,
        "plots": _plots(report),
        "fractures": report.fractures,
        "localisation": localisation,
        "found": list(zip(FALSE_POSITIVES, localisation.found, strict=True)) if localisation else [],
        "dice": list(zip((level.name for level in CERVICAL), localisation.dice, strict=True)) if localisation else [],
        "shortcuts": report.shortcuts,
        "leaky": report.leaky,
    }


def template(name: str) -> Any:
    """Returns a page's template; what it names and is not given is an error."""
    environment = Environment(
        loader=PackageLoader("cspine.evaluation"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["estimate"] = _estimate
    environment.filters["words"] = lambda name: name.replace("_", " ")
    return environment.get_template(name)


def _estimate(estimate: Estimate) -> Markup:
    """Returns a number with its interval."""
    if math.isnan(estimate.value):
        return Markup('<span class="none">-</span>')
    if not estimate.has_interval:
        return Markup('{:.3f} <span class="interval">too few</span>').format(estimate.value)
    return Markup('{:.3f} <span class="interval">{:.3f}-{:.3f}</span>').format(estimate.value, estimate.low, estimate.high)


def _plots(report: Report) -> dict[str, Markup]:
    scores = report.scores
    plotted = {
        "roc": plots.roc(scores),
        "precision_recall": plots.precision_recall(scores),
        "reliability": plots.reliability(scores),
        "confusion": plots.confusion(scores, report.evaluation.points),
    }
    if report.localisation and report.localisation.froc.found:
        plotted["froc"] = plots.froc(report.localisation)
    if report.fractures:
        plotted["severity"] = plots.by_severity(report.fractures)
    return {name: Markup(svg) for name, svg in plotted.items()}
