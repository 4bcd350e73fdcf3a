"""Several models on the same patients: what each does, and by how much it differs from the first."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from cspine.errors import DatasetError
from cspine.evaluation import plots
from cspine.evaluation.bootstrap import LEAST, RESAMPLES, Bootstrap, Estimate, Statistic, interval, with_interval
from cspine.evaluation.metrics import rarer, rarer_of_levels
from cspine.evaluation.page import template
from cspine.evaluation.scores import StudyScores
from cspine.evaluation.weighted import (
    resampled_auroc,
    resampled_calibration_error,
    resampled_level_auroc,
    resampled_loss_overall,
    resampled_loss_per_study,
    resampled_precision,
)
from cspine.results import DISCLAIMER

Metric = Callable[[NDArray[np.bool_], NDArray[np.float64]], Statistic]

METRICS: Mapping[str, Metric] = {
    "auroc_overall": lambda t, p: partial(resampled_auroc, t[:, 0], p[:, 0]),
    "average_precision_overall": lambda t, p: partial(resampled_precision, t[:, 0], p[:, 0]),
    "mean_level_auroc": lambda t, p: partial(resampled_level_auroc, t, p),
    "competition_loss_a": lambda t, p: partial(resampled_loss_per_study, t, p),
    "competition_loss_b": lambda t, p: partial(resampled_loss_overall, t, p),
    "ece_overall": lambda t, p: partial(resampled_calibration_error, t[:, 0], p[:, 0]),
}
"""What is compared, of truth and probabilities ``(n, 8)``."""

LOWER_IS_BETTER = {"competition_loss_a", "competition_loss_b", "ece_overall"}


@dataclass(frozen=True, slots=True)
class Compared:
    """One model among others.

    Attributes:
        name: Its name.
        estimates: What it does, by metric.
        differences: By how much it differs from the first, over the same samples of patients; empty for the first.
    """

    name: str
    estimates: dict[str, Estimate]
    differences: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Models on the same patients.

    Attributes:
        studies: How many patients.
        fractured: How many of them have a fracture.
        models: In the order in which they were given.
    """

    studies: int
    fractured: int
    models: tuple[Compared, ...]


def compare(models: Mapping[str, StudyScores], *, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Compares models, each with the first.

    Args:
        models: Truth and calibrated probabilities, by name.
        resamples: Bootstrap samples of patients, the same for all.
        seed: Of the bootstrap.

    Raises:
        DatasetError: They do not speak of the same patients, or not of the same truth.
    """
    (first, *_), aligned = models, _aligned(models)
    truth = aligned[first].truth
    bootstrap = Bootstrap(len(truth), resamples, seed)
    resampled = {name: {m: bootstrap.resampled(how(truth, s.scores)) for m, how in METRICS.items()} for name, s in aligned.items()}
    values = {name: {m: bootstrap.value(how(truth, s.scores)) for m, how in METRICS.items()} for name, s in aligned.items()}
    cases = {m: rarer_of_levels(truth) if m == "mean_level_auroc" else rarer(truth[:, 0]) for m in METRICS}
    found = []
    for name in models:
        own = {m: with_interval(values[name][m], resampled[name][m], cases[m]) for m in METRICS}
        apart = {
            m: _difference(values[name][m] - values[first][m], resampled[name][m] - resampled[first][m], cases[m]) for m in METRICS
        }
        found.append(Compared(name, own, {} if name == first else apart))
    return Comparison(len(truth), int(truth[:, 0].sum()), tuple(found))


def comparison_json(comparison: Comparison) -> str:
    """Returns every number; what is not defined is ``null``."""
    return json.dumps(asdict(comparison), indent=2).replace("NaN", "null") + "\n"


def comparison_csv(comparison: Comparison) -> str:
    """Returns one row per model and metric, with the difference to the first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "metric", "value", "low", "high", "difference", "difference_low", "difference_high", "patients"])
    for model in comparison.models:
        for metric, estimate in model.estimates.items():
            apart = model.differences.get(metric, Estimate(math.nan, math.nan, math.nan))
            numbers = (*_numbers(estimate), *_numbers(apart))
            cells = ("" if math.isnan(n) else f"{n:.6f}" for n in numbers)
            writer.writerow([model.name, metric, *cells, comparison.studies])
    return text.getvalue()


def comparison_table(comparison: Comparison) -> str:
    """Returns what a person reads."""
    titles = ("", *(metric.replace("_", " ") for metric in METRICS))
    table = [titles, *((m.name, *(str(m.estimates[metric]) for metric in METRICS)) for m in comparison.models)]
    widths = [max(len(row[i]) for row in table) for i in range(len(titles))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)


def comparison_html(comparison: Comparison) -> str:
    """Returns one page: the table, the differences, a picture of both."""
    return str(template("comparison.html").render(comparison_context(comparison)))


def comparison_context(comparison: Comparison) -> dict[str, object]:
    """Returns what the page's template is given.

    ``comparison``: as above. ``metrics``: what is compared. ``lower_is_better``: names of metrics. ``pictures``: SVG by metric, of
    values and, where there are several models, of differences. ``disclaimer``.
    """
    first, *others = comparison.models
    pictures = {}
    for metric in ("auroc_overall", "mean_level_auroc", "competition_loss_b"):
        words = metric.replace("_", " ")
        plotted = [
            plots.forest(words, [m.name for m in comparison.models], [_numbers(m.estimates[metric]) for m in comparison.models])
        ]
        if others:
            title = f"{words}, minus that of {first.name}"
            plotted.append(plots.forest(title, [m.name for m in others], [_numbers(m.differences[metric]) for m in others], 0.0))
        pictures[metric] = [Markup(svg) for svg in plotted]
    return {
        "comparison": comparison,
        "metrics": list(METRICS),
        "lower_is_better": LOWER_IS_BETTER,
        "pictures": pictures,
        "disclaimer": DISCLAIMER,
    }


def _difference(value: float, resampled: NDArray[np.float64], cases: int) -> Estimate:
    """Returns a difference; that of two models that say the same is 0 for all samples, however many patients there are."""
    return interval(value, resampled) if cases >= LEAST else Estimate(value, math.nan, math.nan)


def _numbers(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _aligned(models: Mapping[str, StudyScores]) -> dict[str, StudyScores]:
    """Returns all in one order of studies."""
    found = {name: scores.some(np.argsort(scores.study_uids)) for name, scores in models.items()}
    (first, reference), *rest = found.items()
    for name, scores in rest:
        odd = set(scores.study_uids) ^ set(reference.study_uids)
        if odd or len(scores) != len(reference):
            raise DatasetError(
                f"Models can be compared on the same patients only. {first} has {len(reference)}, {name} has {len(scores)}, "
                f"and {len(odd)} are in one of them only. Evaluate both on one data set, or train them with one split."
            )
        if not np.array_equal(scores.truth, reference.truth):
            raise DatasetError(
                f"Models can be compared on the same labels only. {first} and {name} have other labels for some patients. "
                "Evaluate both on one data set."
            )
    return found
