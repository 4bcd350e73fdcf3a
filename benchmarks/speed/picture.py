"""Draws where the time of a study goes, and how it grows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_BAR, _FLOOR, _LINE = "#9ecae1", "#08519c", "#08519c"
_BUSY, _UP = "processor_seconds", "processor seconds"
_WIDTH, _HEIGHT, _DPI = 9.0, 5.4, 90


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """Draws four panels: stages beside their floors, and growth with slices, field and number of studies.

    Growth is in processor seconds: others on the machine slow the clock only.

    Args:
        figures: As :func:`benchmarks.speed.__main__.main` writes them to ``--json``.
        path: The file, ``.png``.
    """
    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, layout="constrained")
    ((stages, slices), (field, studies)) = figure.subplots(2, 2)
    _stages(stages, figures["stages"])
    _line(slices, [(row["slices"], row[_BUSY]) for row in figures["slices"]], "slices of 512 x 512", _UP)
    _bars(field, [(row["name"], row[_BUSY]) for row in figures["field"]])
    each = [(row["studies"], row[_BUSY] / row["studies"]) for row in figures["studies"]]
    _line(studies, each, "studies in one call", f"{_UP} a study")
    figure.savefig(path, metadata={"Software": None})


def _stages(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    names = [row["name"] for row in rows]
    axes.barh(names, [row["seconds"] for row in rows], color=_BAR, label="measured")
    axes.barh(names, [row["floor_s"] or 0.0 for row in rows], height=0.3, color=_FLOOR, label="floor of this machine")
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.legend(frameon=False, fontsize="small")
    _plain(axes)


def _bars(axes: Axes, rows: Sequence[tuple[str, float]]) -> None:
    axes.barh([name for name, _ in rows], [seconds for _, seconds in rows], color=_BAR)
    axes.axvline(2.5 * rows[0][1], color=_FLOOR, linewidth=1, linestyle="--", label="2.5 times the neck")
    axes.invert_yaxis()
    axes.set_xlabel(_UP)
    axes.legend(frameon=False, fontsize="small", loc="upper right", bbox_to_anchor=(0.96, 1.0))
    _plain(axes)


def _line(axes: Axes, points: Sequence[tuple[float, float]], across: str, up: str) -> None:
    axes.plot(*zip(*points, strict=True), color=_LINE, marker="o", markersize=4)
    axes.set_xticks([place for place, _ in points])
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_ylim(bottom=0)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize="small")
