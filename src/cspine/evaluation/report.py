"""An evaluation as JSON, CSV and a table for people."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cspine.anatomy import CERVICAL
from cspine.evaluation.bootstrap import LEAST, Estimate
from cspine.evaluation.fractures import GroupMetrics
from cspine.evaluation.leaky import LeakyAccuracy
from cspine.evaluation.localisation import FALSE_POSITIVES, LocalisationMetrics
from cspine.evaluation.metrics import Evaluation, OutputMetrics
from cspine.evaluation.scores import StudyScores
from cspine.evaluation.shortcuts import Shortcut

_COLUMNS = ("auroc", "average_precision", "sensitivity_balanced", "specificity_balanced", "ece")


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that an evaluation says.

    Attributes:
        about: What was evaluated, on whom.
        evaluation: How good the probabilities are.
        scores: The probabilities, with the truth.
        fractures: How levels fared by severity and kind; empty for patients, of whom that is not known.
        localisation: Whether the model points at the fracture; ``None`` where that was not requested.
        shortcuts: Traits of scans that must not predict fractures.
        leaky: What a protocol that is known to be wrong reports.
    """

    about: dict[str, Any]
    evaluation: Evaluation
    scores: StudyScores = field(repr=False)
    fractures: Sequence[GroupMetrics] = ()
    localisation: LocalisationMetrics | None = None
    shortcuts: Sequence[Shortcut] = ()
    leaky: LeakyAccuracy | None = None


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One number of an evaluation.

    Attributes:
        part: Which part of the evaluation.
        of: What it is about.
        metric: Its name.
        estimate: The number.
        patients: How many it comes from.
        count: Of what it counts, fractured patients or levels or slices, how many.
    """

    part: str
    of: str
    metric: str
    estimate: Estimate
    patients: int
    count: int


def to_json(report: Report) -> str:
    """Returns every number; what is not defined is ``null``."""
    numbers = asdict(report.evaluation) | {
        "fractures": [asdict(group) for group in report.fractures],
        "localisation": asdict(report.localisation) if report.localisation else None,
        "shortcuts": [asdict(shortcut) for shortcut in report.shortcuts],
        "leaky_protocol": asdict(report.leaky) if report.leaky else None,
    }
    return json.dumps(_without_nan({"about": report.about, **numbers}), indent=2) + "\n"


def to_csv(report: Report) -> str:
    """Returns one row per number: part, of, metric, value, low, high, patients, count."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["part", "of", "metric", "value", "low", "high", "patients", "count"])
    for row in rows(report):
        writer.writerow([row.part, row.of, row.metric, *_cells(row.estimate), row.patients, row.count])
    return text.getvalue()


def rows(report: Report) -> Iterator[ReportRow]:
    """Yields every number of an evaluation, one by one."""
    evaluation = report.evaluation
    fitted = (evaluation.fitted_overall,) if evaluation.fitted_overall else ()
    for output in (*evaluation.outputs, *fitted):
        for name, estimate in output.estimates.items():
            yield ReportRow("output", output.output, name, estimate, output.patients, output.fractured)
    overall = evaluation.outputs[0]
    for name, estimate in evaluation.of_all.items():
        count = evaluation.fractured_levels if name == "mean_level_auroc" else overall.fractured
        yield ReportRow("all", "all", name, estimate, overall.patients, count)
    for group in report.fractures:
        yield ReportRow("fractures", group.group, "flagged", group.flagged, group.patients, group.levels)
        yield ReportRow("fractures", group.group, "auroc", group.auroc, group.patients, group.levels)
    if report.localisation:
        yield from _localisation_rows(report.localisation)
    for shortcut in report.shortcuts:
        yield ReportRow("shortcuts", shortcut.trait, "auroc_of_trait", shortcut.trait_auroc, overall.patients, overall.fractured)
        yield ReportRow(
            "shortcuts", shortcut.trait, "rank_correlation", shortcut.rank_correlation, overall.patients, overall.fractured
        )
    if report.leaky:
        for name in ("accuracy", "all_negative"):
            value = float(getattr(report.leaky, name))
            yield ReportRow(
                "leaky protocol", "slices", name, Estimate(value, math.nan, math.nan), overall.patients, report.leaky.slices
            )


def _localisation_rows(localisation: LocalisationMetrics) -> Iterator[ReportRow]:
    yield ReportRow("localisation", "strongest", "hit_rate", localisation.hit_rate, localisation.studies, localisation.lesions)
    for rate, found in zip(FALSE_POSITIVES, localisation.found, strict=True):
        yield ReportRow(
            "localisation", f"{rate:g} false positives per study", "found", found, localisation.studies, localisation.lesions
        )
    for level, dice in zip(CERVICAL, localisation.dice, strict=True):
        yield ReportRow("localisation", level.name, "dice", dice, localisation.masked, localisation.masked)


def to_table(report: Report) -> str:
    """Returns what a person reads, with 95 % intervals."""
    evaluation = report.evaluation
    named = {name for output in evaluation.outputs for name in output.estimates}
    columns = [name for name in _COLUMNS if name in named]
    titles = ("", "fractured", *(name.replace("_", " ") for name in columns))
    outputs = [*evaluation.outputs, *([evaluation.fitted_overall] if evaluation.fitted_overall else [])]
    table = [_row(output, columns) for output in outputs]
    widths = [max(len(row[i]) for row in [titles, *table]) for i in range(len(titles))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [titles, *table]]
    more = [f"{name.replace('_', ' ')}: {estimate}" for name, estimate in evaluation.of_all.items()]
    more.append(_whom(evaluation))
    overall = evaluation.outputs[0].estimates
    for point in evaluation.points:
        if f"ppv_{point.name}" in overall:
            ppv, npv = overall[f"ppv_{point.name}"], overall[f"npv_{point.name}"]
            more.append(f"{point.name}, prevalence {report.about.get('prevalence')}: PPV {ppv}, NPV {npv}")
    if report.localisation and not math.isnan(report.localisation.hit_rate.value):
        more.append(f"strongest place on a fracture: {report.localisation.hit_rate} of fractured studies")
    if report.leaky:
        more.append(
            f"leaky protocol: accuracy {report.leaky.accuracy:.3f} on {report.leaky.slices} slices of patients of the training "
            f"set (saying that nothing is there: {report.leaky.all_negative:.3f})"
        )
    return "\n".join([*lines, "", *more])


def _whom(evaluation: Evaluation) -> str:
    """Returns from how many fractures the numbers come, and what it means where there are too few."""
    overall = evaluation.outputs[0]
    whom = f"from {overall.patients} patients, {overall.fractured} of them with {evaluation.fractured_levels} fractured levels"
    estimates = [*evaluation.of_all.values(), *(one for output in evaluation.outputs for one in output.estimates.values())]
    if all(one.has_interval or math.isnan(one.value) for one in estimates):
        return whom
    return f"{whom}; too few: no interval from fewer than {LEAST} fractured or intact ones, nor where all bootstrap samples agree"


def _row(output: OutputMetrics, columns: Sequence[str]) -> tuple[str, ...]:
    cells = (str(output.estimates[name]) if name in output.estimates else "" for name in columns)
    return (output.output, f"{output.fractured}/{output.patients}", *cells)


def _cells(estimate: Estimate) -> list[str]:
    return ["" if math.isnan(v) else f"{v:.6f}" for v in (estimate.value, estimate.low, estimate.high)]


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
