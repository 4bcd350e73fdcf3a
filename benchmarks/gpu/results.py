"""Tables of a run, and the weights that fit into a file that comes back."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.necks import Slices
from benchmarks.gpu.plan import MOST_BYTES
from benchmarks.gpu.training import Course
from cspine.evaluation import StudyScores
from cspine.evaluation.bootstrap import Bootstrap, Estimate
from cspine.evaluation.leaky import entry_accuracy
from cspine.evaluation.metrics import rarer, rarer_of_levels
from cspine.evaluation.weighted import resampled_auroc, resampled_level_auroc
from cspine.modelpack import pool_slices

_POSITIVE = 0.5


@dataclass(frozen=True, slots=True)
class Result:
    """Holds what became of a row.

    Attributes:
        name: Of its recipe.
        reached: ``trained``, or why not.
        weights_millions: Of the network.
        patches: Training on patches.
        slices: Training on slices.
        any_fracture: AUROC of unseen necks, with low and high.
        levels: Mean AUROC of a level, the same.
        entry_accuracy: Share of right entries of slices, at a probability of 0.5: the protocol of the founding description.
        all_negative_accuracy: The same for predicting that nothing is ever there.
        file: Where its weights are, or why they are not there.
    """

    name: str
    reached: str
    weights_millions: float = math.nan
    patches: Course | None = None
    slices: Course | None = None
    any_fracture: Estimate | None = None
    levels: Estimate | None = None
    entry_accuracy: float = math.nan
    all_negative_accuracy: float = math.nan
    file: str = ""


def study_scores(slices: Slices, fracture: NDArray[np.float32]) -> StudyScores:
    """Returns scores of necks, pooled as in service, with the levels where their masks say that they are."""
    parts = [fracture[low:high] for low, high in pairwise(slices.first)]
    return StudyScores(
        tuple(neck.study_uid for neck in slices.necks),
        np.array([[neck.broken.any(), *neck.broken] for neck in slices.necks], bool),
        np.array([pool_slices(part, neck.visible).outputs for part, neck in zip(parts, slices.necks, strict=True)]),
    )


def measured(slices: Slices, fracture: NDArray[np.float32]) -> dict[str, Any]:
    """Returns the numbers of :class:`Result` that say how good a network is."""
    scores = study_scores(slices, fracture)
    bootstrap = Bootstrap(len(scores))
    entries = entry_accuracy(np.concatenate([neck.fracture for neck in slices.necks]) >= _POSITIVE, fracture >= _POSITIVE)
    return {
        "any_fracture": bootstrap.estimate(
            lambda times: resampled_auroc(scores.truth[:, 0], scores.scores[:, 0], times), rarer(scores.truth[:, 0])
        ),
        "levels": bootstrap.estimate(
            lambda times: resampled_level_auroc(scores.truth, scores.scores, times), rarer_of_levels(scores.truth)
        ),
        "entry_accuracy": entries.accuracy,
        "all_negative_accuracy": entries.all_negative,
    }


def save_weights(model: keras.Model, path: Path) -> str:
    """Writes weights in half precision if they fit into a file that comes back; returns its name, or why there is none."""
    size = 2 * model.count_params()
    if size > MOST_BYTES - (1 << 20):
        return f"none: {size / 2**20:.0f} MiB in half precision, and {MOST_BYTES >> 20} MiB come back at most"
    np.savez_compressed(path, *[np.asarray(weight.value, np.float16) for weight in model.weights])
    return path.name


def write(results: Sequence[Result], facts: dict[str, Any], out: Path) -> str:
    """Writes ``results.json`` and ``results.csv``; returns the table, Markdown."""
    content = {"facts": facts, "rows": [asdict(result) for result in results]}
    (out / "results.json").write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    text = io.StringIO()
    lines = [_cells(result) for result in results]
    csv.writer(text, lineterminator="\n").writerows([list(lines[0]), *(line.values() for line in lines)])
    (out / "results.csv").write_text(text.getvalue(), encoding="utf-8")
    rows = ["| " + " | ".join(lines[0]) + " |", "|---" * len(lines[0]) + "|"]
    return "\n".join([*rows, *("| " + " | ".join(line.values()) + " |" for line in lines)])


def _cells(result: Result) -> dict[str, str]:
    courses = {"patches": result.patches, "slices": result.slices}
    return {
        "row": result.name,
        "reached": result.reached,
        "million weights": f"{result.weights_millions:.3f}",
        **{f"steps on {name}": str(course.steps) if course else "" for name, course in courses.items()},
        **{f"seconds on {name}": f"{course.seconds:.0f}" if course else "" for name, course in courses.items()},
        "any fracture": str(result.any_fracture or ""),
        "mean of levels": str(result.levels or ""),
        "accuracy of entries": f"{result.entry_accuracy:.3f}",
        "all-negative accuracy": f"{result.all_negative_accuracy:.3f}",
        "weights": result.file,
    }
