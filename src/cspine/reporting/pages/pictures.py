"""Slices as pictures in a page: grey pixels, and over them heat, boxes, letters and lines that stay sharp."""

import base64
from dataclasses import dataclass, field, replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cspine.evidence import Prediction
from cspine.geometry import Grid, Vector
from cspine.imaging.windowing import windowed
from cspine.reporting.numbering import numbering_of
from cspine.reporting.pages.heat import coloured, hottest_mm
from cspine.reporting.pages.tone import Tone, tone
from cspine.reporting.views import (
    BONE_WINDOW_HU,
    AnatomicalPlane,
    SliceView,
    axial_view,
    is_upright,
    key_height_mm,
    key_point_mm,
    section,
    stored_as,
)
from cspine.results import Box, LevelFinding
from cspine.study import Study
from cspine.volume import Volume

_LETTERS = {AnatomicalPlane.AXIAL: "RLAP", AnatomicalPlane.SAGITTAL: "APHF", AnatomicalPlane.CORONAL: "RLHF"}
_SIDES = {
    AnatomicalPlane.AXIAL: ("above", "below"),
    AnatomicalPlane.SAGITTAL: ("to the left of", "to the right of"),
    AnatomicalPlane.CORONAL: ("behind", "in front of"),
}
"""Which way of the middle, along x, y or z and against it."""

_LEVEL_MM = (84.0, 84.0)
_LONGEST = 480
_LARGE_MM = 250.0
_IN_THE_MIDDLE_MM = 1.5
_APART = 0.052
"""Distance of two names, as a share of the width of a picture."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A height in a picture.

    Attributes:
        name: What is written there.
        tone: How it is coloured.
        at: Distance of the name from the upper edge, mm.
        line: The same of a line across the picture, or ``None``.
    """

    name: str
    tone: Tone
    at: float
    line: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """A slice.

    Attributes:
        plane: How it lies.
        caption: What stands below it.
        alt: What it shows, for those who do not see it.
        width: Millimetres.
        height: Millimetres.
        image: Grey pixels, a data URI.
        heat: Coloured pixels over all of it, a data URI, or ``None``.
        box: Left, top, width and height of a box, mm, or ``None``.
        tone: How the box is coloured.
        letters: Which side of the patient is left, right, up and down.
        ruler: Length of the ruler, mm.
        marks: Levels beside it.
    """

    plane: AnatomicalPlane
    caption: str
    alt: str
    width: float
    height: float
    image: str = field(repr=False)
    letters: str
    ruler: int = 20
    heat: str | None = field(default=None, repr=False)
    box: tuple[float, float, float, float] | None = None
    tone: Tone = Tone.UNKNOWN
    marks: tuple[Mark, ...] = ()


def level_pictures(prediction: Prediction, study: Study, finding: LevelFinding) -> tuple[Picture, ...]:
    """Returns three slices through a level: at its key image, and reformatted ones through its hottest point or its middle."""
    if finding.centre_mm is None:
        return ()
    x, y, z = finding.centre_mm
    heat = prediction.evidence.heat
    hottest = finding.centre_mm if heat is None or finding.box_mm is None else hottest_mm(heat, finding.box_mm)
    centres = {
        AnatomicalPlane.AXIAL: (x, y, key_height_mm(study, finding)),
        AnatomicalPlane.SAGITTAL: (hottest[0], y, z),
        AnatomicalPlane.CORONAL: (x, hottest[1], z),
    }
    stored = stored_as(study)
    if stored is not None and finding.key_slice is not None:
        centres[stored] = key_point_mm(study, finding)
    return tuple(_level_picture(prediction, study, finding, plane, centre) for plane, centre in centres.items())


def scout(prediction: Prediction, study: Study, grid: Grid) -> Picture:
    """Returns the spine from the side, as high as the stack of slices and as deep."""
    result = prediction.result
    placed = [finding for finding in result.levels if finding.centre_mm is not None]
    middle = grid.centre_mm
    height, depth, _ = grid.extent_mm
    view = section(study.volume, AnatomicalPlane.SAGITTAL, middle, (depth, height))
    top = middle[2] + height / 2
    marks = _apart([_mark(study, finding, top) for finding in placed], _APART * depth, height)
    names = ", ".join(finding.level.name for finding in placed)
    alt = f"The cervical spine from the side, face to the left. Marked: {names}."
    dashed = "key images" if stored_as(study) is AnatomicalPlane.AXIAL else "heights to look at first"
    caption = f"From the side. Dashed: {dashed} of flagged levels."
    return Picture(
        AnatomicalPlane.SAGITTAL,
        caption,
        alt,
        depth,
        height,
        _grey(view.hu, BONE_WINDOW_HU),
        _LETTERS[AnatomicalPlane.SAGITTAL],
        marks=marks,
    )


def whole_pictures(study: Study) -> tuple[Picture, ...]:
    """Returns an unassessed scan from below and from the front; never from the side, where a face would be seen."""
    box = study.volume.grid.corners_mm()
    low, high = box.min(axis=0), box.max(axis=0)
    views = {
        AnatomicalPlane.AXIAL: axial_view(study),
        AnatomicalPlane.CORONAL: section(
            study.volume, AnatomicalPlane.CORONAL, (low + high) / 2, (high[0] - low[0], high[2] - low[2])
        ),
    }
    return tuple(_whole_picture(plane, view) for plane, view in views.items())


def _mark(study: Study, finding: LevelFinding, top: float) -> Mark:
    """Returns the name at the middle of a level, and a line at its key height where it is flagged."""
    middle = top - (finding.centre_mm or (0.0, 0.0, top))[2]
    positive = finding.assessment is not None and finding.assessment.positive
    line = round(top - key_height_mm(study, finding), 1) if positive else None
    return Mark(finding.level.name, tone(finding.assessment), round(middle, 1), line)


def _apart(marks: list[Mark], least: float, height: float) -> tuple[Mark, ...]:
    """Returns the same from above downwards, names moved so that none covers another and all lie in the picture."""
    marks = sorted(marks, key=lambda mark: mark.at)
    places = [mark.at for mark in marks]
    for place in range(len(places)):
        places[place] = max(places[place], places[place - 1] + least if place else least)
    for place in reversed(range(len(places))):
        places[place] = min(places[place], places[place + 1] - least if place + 1 < len(places) else height - least)
    return tuple(replace(mark, at=round(at, 1)) for mark, at in zip(marks, places, strict=True))


def _level_picture(
    prediction: Prediction, study: Study, finding: LevelFinding, plane: AnatomicalPlane, centre_mm: Vector
) -> Picture:
    view = section(study.volume, plane, centre_mm, _LEVEL_MM)
    heat = prediction.evidence.heat
    hot = None if heat is None else section(Volume(heat.values, heat.grid), plane, centre_mm, _LEVEL_MM, fill=0.0)
    over = "" if hot is None else ", heat map over it"
    boxed = "" if finding.box_mm is None else ", its region boxed"
    return Picture(
        plane=plane,
        caption=_caption(study, finding, plane, centre_mm),
        alt=f"{plane.capitalize()} slice through {finding.level.name}, bone window{over}{boxed}.",
        width=_LEVEL_MM[0],
        height=_LEVEL_MM[1],
        image=_grey(view.hu, BONE_WINDOW_HU),
        letters=_LETTERS[plane],
        heat=None if hot is None else _uri(Image.fromarray(coloured(hot.hu))),
        box=None if finding.box_mm is None else _on_view(finding.box_mm, plane, view),
        tone=tone(finding.assessment),
    )


def _caption(study: Study, finding: LevelFinding, plane: AnatomicalPlane, at_mm: Vector) -> str:
    """Returns what is shown: the key image by its number, or a reformatted slice; and its distance from the middle of the level."""
    what = f"{plane.capitalize()}, reformatted"
    if finding.key_slice is not None and plane is stored_as(study):
        number, how = numbering_of(study).numbers[finding.key_slice.index], "" if is_upright(study) else "reformatted at "
        what = f"{plane.capitalize()}, {how}key image {number}"
    away = float(np.subtract(at_mm, finding.centre_mm or at_mm)[plane.normal])
    if abs(away) < _IN_THE_MIDDLE_MM:
        return f"{what}, through its middle"
    return f"{what}, {abs(away):.0f} mm {_SIDES[plane][int(away < 0)]} its middle"


def _whole_picture(plane: AnatomicalPlane, view: SliceView) -> Picture:
    left, right, bottom, top = view.extent_mm
    low, high = (float(hu) for hu in np.percentile(view.hu, (1, 99)))
    return Picture(
        plane=plane,
        caption=f"{plane.capitalize()}, middle of the scan, grey from its darkest to its brightest parts",
        alt=f"{plane.capitalize()} slice through the middle of the whole scan, as it was read.",
        width=abs(right - left),
        height=abs(top - bottom),
        image=_grey(view.hu, (low, max(high, low + 1))),
        letters=_LETTERS[plane],
        ruler=100 if abs(right - left) > _LARGE_MM else 20,
    )


def _on_view(box: Box, plane: AnatomicalPlane, view: SliceView) -> tuple[float, float, float, float]:
    """Returns left, top, width and height in millimetres from the upper left corner of a view."""
    across, along = plane.axes
    left, _, _, top = view.extent_mm
    width, height = (box.high_mm[axis] - box.low_mm[axis] for axis in (across, along))
    upper = box.low_mm[along] - top if plane is AnatomicalPlane.AXIAL else top - box.high_mm[along]
    return round(box.low_mm[across] - left, 1), round(upper, 1), round(width, 1), round(height, 1)


def _grey(hu: NDArray[np.float32], window_hu: tuple[float, float]) -> str:
    image = Image.fromarray(np.rint(windowed(hu, window_hu) * 255).astype(np.uint8))
    image.thumbnail((_LONGEST, _LONGEST))
    return _uri(image)


def _uri(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "png")  # optimised it takes five times as long and is 2 % smaller
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
