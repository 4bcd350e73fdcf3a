"""The pictures of an evaluation, as SVG."""

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from cspine.evaluation.fractures import GroupMetrics
from cspine.evaluation.localisation import FALSE_POSITIVES, LocalisationMetrics
from cspine.evaluation.scores import StudyScores
from cspine.modelpack import OUTPUTS, OperatingPoint

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8f98",
    "axes.labelcolor": "#30343b",
    "xtick.color": "#565b64",
    "ytick.color": "#565b64",
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "legend.frameon": False,
}
INK, QUIET = "#14507a", "#8a8f98"
_LEVEL_COLOURS = ("#7a3e9d", "#3b6fb6", "#1b9aaa", "#3a9d5d", "#a2a33a", "#d98a29", "#c2453d")
_BINS = 10


def roc(scores: StudyScores) -> str:
    """Returns the receiver operating characteristic of every output that has fractured and intact patients."""
    return _curves("roc", scores, _draw_roc, ("1 - specificity", "sensitivity"))


def precision_recall(scores: StudyScores) -> str:
    """Returns the precision against recall of every output that has fractured patients."""
    return _curves("precision-recall", scores, _draw_precision, ("recall (sensitivity)", "precision"))


def reliability(scores: StudyScores) -> str:
    """Returns a reliability diagram: frequency against probability in ten bins, for any fracture and for all levels."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        for ax, title, columns in zip(axes, ("any fracture", "C1 to C7"), (slice(0, 1), slice(1, None)), strict=True):
            _reliability(ax, scores.truth[:, columns].ravel(), scores.scores[:, columns].ravel())
            ax.set(title=title, xlabel="probability", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes[0].set_ylabel("frequency found")

    return svg("reliability", (6.6, 3.4), draw)


def confusion(scores: StudyScores, points: Sequence[OperatingPoint]) -> str:
    """Returns confusion matrices at each operating point: any fracture above, all levels together below."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots(2, len(points), squeeze=False)
        for row, columns in enumerate((slice(0, 1), slice(1, None))):
            truth, predicted = scores.truth[:, columns], scores.scores[:, columns]
            for ax, point in zip(axes[row], points, strict=True):
                _confusion(
                    ax, confusion_matrix(truth.ravel(), (predicted >= point.thresholds[columns]).ravel(), labels=[True, False])
                )
                if row == 0:
                    ax.set_title(point.name.replace("_", " "))
            axes[row][0].set_ylabel("any fracture" if row == 0 else "C1 to C7")

    return svg("confusion", (2.3 * len(points), 4.4), draw)


def froc(localisation: LocalisationMetrics) -> str:
    """Returns the share of fractures found against false positives per study."""

    def draw(figure: Figure) -> None:
        ax = figure.subplots()
        ax.plot(localisation.froc.false_positives, localisation.froc.found, color=INK, linewidth=1.6)
        for rate, found in zip(FALSE_POSITIVES, localisation.found, strict=True):
            if not math.isnan(found.value):
                ax.vlines(rate, found.low, found.high, color=INK, linewidth=1)
                ax.plot(rate, found.value, "o", color=INK, markersize=4)
        ax.set(xlabel="false positives per study", ylabel="share of fractures found", ylim=(0, 1), xlim=(0, None))

    return svg("froc", (4.2, 3.4), draw)


def by_severity(groups: Sequence[GroupMetrics]) -> str:
    """Returns the share of levels that are flagged, by group, with intervals."""

    def draw(figure: Figure) -> None:
        ax = figure.subplots()
        height = np.arange(len(groups))[::-1]
        for y, group in zip(height, groups, strict=True):
            if not math.isnan(group.flagged.value):
                colour = QUIET if group.group.startswith("intact") else INK
                ax.hlines(y, group.flagged.low, group.flagged.high, color=colour, linewidth=1.4)
                ax.plot(group.flagged.value, y, "o", color=colour, markersize=5)
        ax.set_yticks(height, [f"{group.group} ({group.levels})" for group in groups])
        ax.set(xlim=(-0.02, 1.02), xlabel="flagged share, balanced operating point")

    return svg("severity", (6.6, 0.8 + 0.26 * len(groups)), draw)


def forest(title: str, names: Sequence[str], estimates: Sequence[tuple[float, float, float]], neutral: float | None = None) -> str:
    """Draws numbers with their intervals, one under the other.

    Args:
        title: What they are.
        names: Of the rows.
        estimates: Value, low and high of each.
        neutral: Where a line shows that there is no difference.
    """

    def draw(figure: Figure) -> None:
        ax = figure.subplots()
        height = np.arange(len(names))[::-1]
        for y, (value, low, high) in zip(height, estimates, strict=True):
            if not math.isnan(value):
                ax.hlines(y, low, high, color=INK, linewidth=1.4)
                ax.plot(value, y, "o", color=INK, markersize=5)
        if neutral is not None:
            ax.axvline(neutral, color=QUIET, linewidth=0.8, linestyle="--")
        ax.set_yticks(height, list(names))
        ax.set(title=title, ylim=(-0.6, len(names) - 0.4))

    return svg(title, (6.6, 0.9 + 0.3 * len(names)), draw)


def _curves(name: str, scores: StudyScores, draw_one: Callable[..., None], labels: tuple[str, str]) -> str:
    def draw(figure: Figure) -> None:
        ax = figure.subplots()
        for i, output in reversed(list(enumerate(OUTPUTS))):
            truth = scores.truth[:, i]
            if truth.any() and not truth.all():
                style = {"color": INK, "linewidth": 2.2} if i == 0 else {"color": _LEVEL_COLOURS[i - 1], "linewidth": 1}
                draw_one(ax, truth, scores.scores[:, i], label=output, **style)
        ax.set(xlabel=labels[0], ylabel=labels[1], xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        handles, names = ax.get_legend_handles_labels()
        ax.legend(handles[::-1], names[::-1], loc="center left", bbox_to_anchor=(1, 0.5))

    return svg(name, (4.6, 3.6), draw)


def _draw_roc(ax: Axes, truth: NDArray[np.bool_], predicted: NDArray[np.float64], **style: object) -> None:
    false, true, _ = roc_curve(truth, predicted)
    ax.plot(false, true, **style)  # type: ignore[arg-type]
    ax.plot((0, 1), (0, 1), color=QUIET, linewidth=0.5, linestyle=":")


def _draw_precision(ax: Axes, truth: NDArray[np.bool_], predicted: NDArray[np.float64], **style: object) -> None:
    precision, recall, _ = precision_recall_curve(truth, predicted)
    ax.step(recall, precision, where="post", **style)  # type: ignore[arg-type]


def _reliability(ax: Axes, truth: NDArray[np.bool_], predicted: NDArray[np.float64]) -> None:
    which = np.minimum((predicted * _BINS).astype(int), _BINS - 1)
    ax.plot((0, 1), (0, 1), color=QUIET, linewidth=0.8, linestyle="--")
    for b in range(_BINS):
        inside = which == b
        count = int(inside.sum())
        if count:
            found = truth[inside].mean()
            ax.plot(
                predicted[inside].mean(),
                found,
                "o",
                color=INK,
                alpha=0.85,
                markersize=3 + 9 * math.sqrt(count / len(predicted)),
                clip_on=False,
            )
    ax.hist(
        predicted,
        bins=np.linspace(0, 1, _BINS + 1).tolist(),
        weights=np.full(len(predicted), 0.25 / len(predicted)),
        color=QUIET,
        alpha=0.35,
    )


def _confusion(ax: Axes, counts: NDArray[np.int_]) -> None:
    """Draws counts; rows are fractured and intact, columns flagged and not flagged."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1.4)
    for (i, j), count in np.ndenumerate(counts):
        ax.text(j, i, f"{count}\n{shares[i, j]:.0%}", ha="center", va="center", color="#101418")
    ax.set_xticks((0, 1), ("flagged", "not flagged"))
    ax.set_yticks((0, 1), ("fractured", "intact"), rotation=90, va="center")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def svg(name: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """Returns the SVG element of a figure; the same input gives the same text, and no two names share an identifier."""
    with mpl.rc_context(_STYLE), mpl.rc_context({"svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    whole = text.getvalue()
    return whole[whole.index("<svg") :]
