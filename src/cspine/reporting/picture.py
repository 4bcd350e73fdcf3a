"""``result.png``: one page with the spine from the side, the most suspicious slices and the seven probabilities."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from cspine.evidence import Prediction
from cspine.reporting.numbering import numbering_of
from cspine.reporting.strip import draw_strip
from cspine.reporting.style import BACKGROUND, INK, MARK, QUIET, shade, shade_of_level
from cspine.reporting.suspicion import by_suspicion
from cspine.reporting.views import (
    BONE_WINDOW_HU,
    AnatomicalPlane,
    SliceView,
    axial_view,
    is_upright,
    key_height_mm,
    sagittal_view,
    stored_as,
)
from cspine.reporting.words import headline, moment, notes, short_name, spanned
from cspine.reporting.written import Written
from cspine.results import LevelFinding, StudyResult
from cspine.study import Study

FILES = ("result.png",)

_COMPRESSION = 3
"""Half the time of the usual 6, for a seventh more bytes."""

_MOST_SUSPICIOUS = 2
_RULER_MM = 20.0
_NARROW = 0.55
"""Width by height below which a title is short."""

_NAMES = 0.1
"""Where names of levels begin, as a share of the width from the right."""

_APART = 0.045
"""Distance of a letter from a name, as a share of the height."""

_OUTLINE = [withStroke(linewidth=2.2, foreground="black")]
_LABEL: dict[str, Any] = {"fontsize": 10.5, "weight": "bold", "path_effects": _OUTLINE}

# Inches of the page.
_WIDTH, _MARGIN, _BETWEEN = 13.0, 0.6, 0.22
_HEAD, _GAP, _STRIP, _FOOT, _NOTE = 1.2, 0.7, 1.75, 0.95, 0.18
_LOWEST_ROW, _HIGHEST_ROW = 2.5, 6.0


def write(prediction: Prediction, study: Study, folder: Path) -> Written:
    """Writes ``result.png``."""
    figure = draw(prediction.result, study)
    quick = {"compress_level": _COMPRESSION}
    figure.savefig(folder / FILES[0], dpi=120, facecolor=BACKGROUND, metadata={"Software": "cspine"}, pil_kwargs=quick)
    return Written(FILES)


def draw(result: StudyResult, study: Study) -> Figure:
    """Returns the page as a figure of its own, without any global state."""
    shown = most_suspicious(result)
    sagittal = sagittal_view(study, result)
    axials = [axial_view(study, finding) for finding in shown] or [axial_view(study)]
    shapes = [view.shape for view in (sagittal, *axials)]
    row = min(max((_WIDTH - 2 * _MARGIN - _BETWEEN * len(axials)) / sum(shapes), _LOWEST_ROW), _HIGHEST_ROW)
    footnotes = _key_images(study, shown) + notes(result)
    page = _Page(_HEAD + row + _GAP + _STRIP + _FOOT + _NOTE * len(footnotes))
    left = _MARGIN
    frames = []
    for shape in shapes:
        frames.append(page.frame(left, _HEAD, min(shape * row, _WIDTH - 2 * _MARGIN), row))
        left += shape * row + _BETWEEN
    _draw_sagittal(frames[0], sagittal, study, result, shown)
    for place, (frame, view) in enumerate(zip(frames[1:], axials, strict=True)):
        _draw_axial(frame, view, shown[place] if shown else None, study)
    draw_strip(page.frame(_MARGIN, _HEAD + row + _GAP, _WIDTH - 2 * _MARGIN, _STRIP), result)
    _draw_words(page, result, footnotes)
    return page.figure


@dataclass(frozen=True, slots=True)
class _Letters:
    """Says which side of the patient is left, right, up and down, and how high the first two stand, as a share."""

    text: str
    beside: float = 0.5


_FROM_BELOW = _Letters("RLAP")


class _Page:
    """A figure measured in inches from its upper left corner."""

    def __init__(self, height: float) -> None:
        self.figure = Figure(figsize=(_WIDTH, height), facecolor=BACKGROUND)
        FigureCanvasAgg(self.figure)
        self._height = height

    def frame(self, left: float, top: float, width: float, height: float) -> Axes:
        """Adds axes at a place."""
        place = (left / _WIDTH, 1 - (top + height) / self._height, width / _WIDTH, height / self._height)
        return self.figure.add_axes(place)

    def write(self, top: float, text: str, **how: Any) -> None:
        """Writes a line of text that begins at the left margin."""
        self.figure.text(_MARGIN / _WIDTH, 1 - top / self._height, text, va="top", **how)

    def write_below(self, bottom: float, text: str, **how: Any) -> None:
        """Writes text whose last line stands this far above the lower edge."""
        self.figure.text(_MARGIN / _WIDTH, bottom / self._height, text, va="bottom", **how)


def most_suspicious(result: StudyResult) -> list[LevelFinding]:
    """Returns the levels of which an axial slice is drawn, the most suspicious one first."""
    return by_suspicion(result)[:_MOST_SUSPICIOUS]


def _draw_sagittal(axes: Axes, view: SliceView, study: Study, result: StudyResult, shown: list[LevelFinding]) -> None:
    where = "middle of the spine" if shown else "middle of the scan"
    placed = [(finding, finding.centre_mm[2]) for finding in result.levels if finding.centre_mm is not None]
    lines = [(finding, key_height_mm(study, finding)) for finding in shown]
    beside = _free_height(view, [height for _, height in placed + lines])
    _draw_view(axes, view, f"Sagittal, {where}" if view.shape > _NARROW else "Sagittal", _Letters("APHF", beside))
    left, right, _, _ = view.extent_mm
    names = right - _NAMES * (right - left)
    for finding, height in placed:
        axes.text(names, height, finding.level.name, color=shade_of_level(finding), va="center", **_LABEL)
    for finding, height in lines:
        ends = (left, names - 0.02 * (right - left))
        axes.plot(ends, (height, height), color=shade_of_level(finding), linewidth=1.0, linestyle=(0, (5, 4)), alpha=0.9)
    axes.set_xlim(*view.extent_mm[:2])
    axes.set_ylim(*view.extent_mm[2:])


def _free_height(view: SliceView, taken_mm: list[float]) -> float:
    """Returns the height nearest to the middle of a view at which a letter covers no name and no line, as a share, 0..1."""
    _, _, bottom, top = view.extent_mm
    taken = np.array([(height - bottom) / (top - bottom) for height in taken_mm])
    tried = sorted(np.linspace(0.1, 0.9, 81), key=lambda share: abs(share - 0.5))
    free = (float(share) for share in tried if not taken.size or np.abs(taken - share).min() > _APART)
    return next(free, 0.5)


def _draw_axial(axes: Axes, view: SliceView, finding: LevelFinding | None, study: Study) -> None:
    if finding is None or finding.assessment is None:
        _draw_view(axes, view, "Axial, middle of the scan", _FROM_BELOW)
        return
    title = f"{finding.level.name}  {spanned(finding.assessment)}, {_shown(study, finding)}"
    _draw_view(axes, view, title, _FROM_BELOW, shade(finding.assessment))
    if finding.box_mm is not None:
        (x0, y0, _), (x1, y1, _) = finding.box_mm.low_mm, finding.box_mm.high_mm
        axes.add_patch(
            Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=shade(finding.assessment), linewidth=0.9, alpha=0.8)
        )


def _shown(study: Study, finding: LevelFinding) -> str:
    """Returns which slice of a level is drawn: a stored image by its number, or a reformatted one."""
    if finding.key_slice is None or stored_as(study) is not AnatomicalPlane.AXIAL:
        return "axial, reformatted"
    number = numbering_of(study).numbers[finding.key_slice.index]
    return f"key image {number}" if is_upright(study) else f"reformatted at key image {number}"


def _key_images(study: Study, shown: list[LevelFinding]) -> list[str]:
    """Returns a line that says which stored images to open, and how they are numbered; none where no level is shown."""
    numbering = numbering_of(study)
    named = [f"{one.level.name} {numbering.numbers[one.key_slice.index]}" for one in shown if one.key_slice is not None]
    return [f"Key images, stored {study.orientation}, numbered {numbering.meaning}: {', '.join(named)}."] if named else []


def _draw_view(axes: Axes, view: SliceView, title: str, letters: _Letters, colour: str = INK) -> None:
    """Draws a slice with its title, a ruler and the letters for left, right, top and bottom."""
    low, high = BONE_WINDOW_HU
    axes.imshow(view.hu, cmap="gray", vmin=low, vmax=high, extent=view.extent_mm, origin="upper", interpolation="bilinear")
    axes.set_title(title, color=colour, fontsize=11.5, loc="left", pad=6, y=1.0)
    axes.set_axis_off()
    places = ((0.02, letters.beside), (0.98, letters.beside), (0.5, 0.98), (0.5, 0.02))
    aligned = (("left", "center"), ("right", "center"), ("center", "top"), ("center", "bottom"))
    for letter, (x, y), (horizontal, vertical) in zip(letters.text, places, aligned, strict=True):
        axes.text(x, y, letter, transform=axes.transAxes, color=MARK, ha=horizontal, va=vertical, **_LABEL)
    left, right, bottom, top = view.extent_mm
    start, height = left + 0.04 * (right - left), bottom + 0.045 * (top - bottom)
    axes.plot((start, start + _RULER_MM), (height, height), color=MARK, linewidth=2, solid_capstyle="butt")
    axes.text(
        start,
        height + 0.012 * (top - bottom),
        f"{_RULER_MM / 10:g} cm",
        color=MARK,
        fontsize=8.5,
        va="bottom",
        path_effects=_OUTLINE,
    )


def _draw_words(page: _Page, result: StudyResult, footnotes: list[str]) -> None:
    study, model = result.study, result.model
    facts = (short_name(result), f"{study.slices} slices", f"{model.name} {model.version}", moment(result.created))
    page.write(0.28, headline(result), color=INK if result.overall is None else shade(result.overall), fontsize=17, weight="bold")
    page.write(0.66, "   ·   ".join(facts), color=QUIET, fontsize=9.5)
    page.write_below(0.5, "\n".join(footnotes), color=QUIET, fontsize=9, linespacing=1.45)
    page.write_below(0.2, result.disclaimer, color=INK, fontsize=9.5, weight="bold")
