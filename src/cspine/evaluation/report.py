"""An evaluation as JSON, CSV and a table for people."""

import csv
import io
import json
import math
from dataclasses import asdict
from typing import Any

from cspine.evaluation.metrics import Estimate, Evaluation

_COLUMNS = ("auroc", "average_precision", "sensitivity", "specificity", "ece")


def to_json(evaluation: Evaluation, about: dict[str, Any]) -> str:
    """Every number; what is not defined is ``null``.

    Args:
        evaluation: The numbers.
        about: What was evaluated, on whom; stands first.
    """
    return json.dumps(_without_nan({"about": about, **asdict(evaluation)}), indent=2) + "\n"


def to_csv(evaluation: Evaluation) -> str:
    """One row per number: output, metric, value, low, high, patients, fractured."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["output", "metric", "value", "low", "high", "patients", "fractured"])
    for output in evaluation.outputs:
        for name, estimate in output.estimates.items():
            writer.writerow([output.output, name, *_cells(estimate), output.patients, output.fractured])
    patients, fractured = evaluation.outputs[0].patients, evaluation.outputs[0].fractured
    for name, estimate in _of_all(evaluation).items():
        writer.writerow(["all", name, *_cells(estimate), patients, fractured])
    return text.getvalue()


def to_table(evaluation: Evaluation) -> str:
    """What a person reads, with 95 % intervals."""
    titles = ("", "fractured", *(name.replace("_", " ") for name in _COLUMNS))
    rows = [(o.output, f"{o.fractured}/{o.patients}", *(str(o.estimates[name]) for name in _COLUMNS)) for o in evaluation.outputs]
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(len(titles))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [titles, *rows]]
    return "\n".join([*lines, "", *(f"{name.replace('_', ' ')}: {estimate}" for name, estimate in _of_all(evaluation).items())])


def _of_all(evaluation: Evaluation) -> dict[str, Estimate]:
    return {
        "mean_level_auroc": evaluation.mean_level_auroc,
        "competition_loss_a": evaluation.competition_a,
        "competition_loss_b": evaluation.competition_b,
    }


def _cells(estimate: Estimate) -> list[str]:
    return ["" if math.isnan(v) else f"{v:.6f}" for v in (estimate.value, estimate.low, estimate.high)]


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
