"""``vertebrae.png``: the spine from the side and from the front, laid straight along its line, with its vertebrae named."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.locating import Located
from cspine.locating.refining import Refined
from cspine.reporting.style import BACKGROUND, INK, QUIET
from cspine.reporting.views import BONE_WINDOW_HU
from cspine.results import DISCLAIMER, LevelStatus
from cspine.study import Study
from cspine.volume import Volume

SHADES = ("#e6794b", "#5aa9e6", "#f2d16b", "#8fd694", "#c792ea", "#4dd0c4", "#f291b5", "#9aa5ad")
"""C1..C7 and any further vertebra."""

_STEP_MM = 0.8
_ABOVE_MM, _BELOW_MM, _ASIDE_MM = 25.0, 25.0, 75.0
_TALLEST_MM = 420.0
_WHOLE_MM = 260.0
_INCHES = 7.2
_OUTLINE = [withStroke(linewidth=2.2, foreground="black")]


def write(refined: Refined, study: Study, path: Path) -> None:
    """Writes ``vertebrae.png``."""
    figure = draw(refined, study)
    figure.savefig(path, dpi=110, facecolor=BACKGROUND, metadata={"Software": "cspine"})


def draw(refined: Refined, study: Study) -> Figure:
    """Returns the picture as a figure of its own."""
    grid = _around(refined.located, study.volume)
    scan, labels = sample(study.volume, grid), refined.labels_on(grid).labels
    middles = _middles(refined.located, grid)
    figure = Figure(figsize=(2 * _INCHES * grid.shape[1] / grid.shape[0] + 3.4, _INCHES + 1.0), facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    sides = figure.subplots(1, 2)
    rows = np.arange(grid.shape[0])
    _draw_side(sides[0], scan.hu[rows, :, middles[:, 0]], labels[rows, :, middles[:, 0]], refined.located, grid)
    _draw_side(sides[1], scan.hu[rows, middles[:, 1], :], labels[rows, middles[:, 1], :], refined.located, grid)
    sides[0].set_title("from the right, front on the left", color=QUIET, fontsize=9)
    sides[1].set_title("from the front, patient's right on the left", color=QUIET, fontsize=9)
    figure.suptitle(_headline(refined.located), color=INK, fontsize=12)
    figure.text(0.5, 0.012, DISCLAIMER, color=QUIET, fontsize=8, ha="center")
    figure.subplots_adjust(left=0.01, right=0.93, bottom=0.045, top=0.9, wspace=0.16)
    return figure


def _headline(located: Located) -> str:
    whole = [v.level.name for v in located.vertebrae if v.status is LevelStatus.ASSESSED]
    cut = [v.level.name for v in located.vertebrae if v.status is LevelStatus.PARTLY_IN_VIEW]
    unsure = [v.level.name for v in located.vertebrae if v.status is LevelStatus.UNCERTAIN]
    parts = [f"{name}: {' '.join(levels)}" for name, levels in (("whole", whole), ("cut", cut), ("uncertain", unsure)) if levels]
    return "   ".join(parts) or "no cervical vertebra found"


def _around(located: Located, volume: Volume) -> Grid:
    """Returns upright voxels around the vertebrae, or the middle of the scan where there are none."""
    corners = volume.grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    if located.vertebrae:
        boxes = np.array([(v.box_mm.low_mm, v.box_mm.high_mm) for v in located.vertebrae])
        bottom, top = boxes[:, 0, 2].min() - _BELOW_MM, boxes[:, 1, 2].max() + _ABOVE_MM
        x, y = np.median([v.centre_mm[:2] for v in located.vertebrae], axis=0)
    else:
        (x, y, z), reach = (low + high) / 2, min((high - low)[2], _WHOLE_MM) / 2
        bottom, top = z - reach, z + reach
    bottom, top = max(bottom, low[2], top - _TALLEST_MM), min(top, high[2])
    count, side = max(round((top - bottom) / _STEP_MM), 2), round(2 * _ASIDE_MM / _STEP_MM)
    return Grid.upright((float(x), float(y), float(bottom + top) / 2), (count, side, side), (_STEP_MM,) * 3)


def _middles(located: Located, grid: Grid) -> NDArray[np.intp]:
    """Returns column and row of the line at each height, or of the middle of the picture, ``(z, 2)``."""
    middle = np.tile([grid.shape[2] // 2, grid.shape[1] // 2], (grid.shape[0], 1))
    if not len(located.line_mm):
        return middle
    line = grid.index(located.line_mm)
    order = np.argsort(line[:, 0])
    rows = np.arange(grid.shape[0])
    columns = np.stack([np.interp(rows, line[order, 0], line[order, axis]) for axis in (2, 1)], axis=1)
    return np.clip(np.rint(columns), 0, (grid.shape[2] - 1, grid.shape[1] - 1)).astype(np.intp)


def _draw_side(axes: Axes, hu: NDArray[np.float32], labels: NDArray[np.uint8], located: Located, grid: Grid) -> None:
    """Draws a section with its vertebrae in colours, their names beside them."""
    low, high = BONE_WINDOW_HU
    axes.imshow(hu[::-1], cmap="gray", vmin=low, vmax=high, interpolation="bilinear")
    shown = np.ma.masked_where((labels == 0) | (labels > Level.T1), labels)[::-1]
    axes.imshow(shown, cmap=ListedColormap(SHADES), vmin=1, vmax=len(SHADES), alpha=0.42, interpolation="nearest")
    for vertebra in located.vertebrae:
        row = grid.shape[0] - 1 - grid.index(vertebra.centre_mm)[0]
        mark = {LevelStatus.PARTLY_IN_VIEW: " cut", LevelStatus.UNCERTAIN: " ?"}.get(vertebra.status, "")
        text = f"{vertebra.level.name} {vertebra.confidence:.0%}{mark}"
        shade = SHADES[vertebra.level - 1]
        axes.text(grid.shape[2] + 2, row, text, color=shade, fontsize=8.5, va="center", path_effects=_OUTLINE)
    axes.set_axis_off()
