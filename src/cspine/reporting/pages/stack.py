"""The axial slices around the spine that a page carries, so that people can scroll through them."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.evidence import HeatMap, Prediction
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.reporting.numbering import numbering_of
from cspine.reporting.pages.heat import hottest_mm, ramp
from cspine.reporting.pages.packing import HOUNSFIELD, coded, packed, packed_slices
from cspine.reporting.pages.tone import Tone, tone
from cspine.reporting.style import LEVEL_COLOURS
from cspine.reporting.suspicion import by_suspicion
from cspine.reporting.views import AnatomicalPlane, is_upright, key_height_mm, stored_as
from cspine.results import Box, LevelFinding, StudyResult
from cspine.study import Study
from cspine.volume import LabelMap, Volume

_WIDTH_MM = 100.0
_IN_FRONT_MM, _BEHIND_MM = 40.0, 36.0
"""Reach before the foremost and behind the hindmost level: no face is in it."""

_ABOVE_AND_BELOW_MM = 18.0
_FINEST_MM, _THINNEST_MM = 0.5, 0.8
_MOST_VOXELS = 5_500_000
"""About 3 MB in the page; a larger neck gets larger pixels."""

_HEAT_MM = 2.0
_BELOW = (170, 170, 170)
"""The colour of the vertebra below C7."""


@dataclass(frozen=True, slots=True)
class StackLevel:
    """A level in the stack.

    Attributes:
        name: Which one.
        tone: How it is coloured.
        key: Its key slice, counted from 0 at the head.
        middle: The slice through its middle.
        first: The first slice of its box.
        last: The last one.
        box: Left, top, width and height of its box in pixels, or ``None``.
        row: The row to put the crosshair on: of the hottest point in its box, else of its middle.
        column: The column, likewise.
    """

    name: str
    tone: Tone
    key: int
    middle: int
    first: int
    last: int
    box: tuple[float, float, float, float] | None
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class ViewerStack:
    """Axial slices around the spine, from the head to the feet, seen from the feet.

    Attributes:
        shape: Slices, rows, columns.
        pixel_mm: Size of a pixel.
        step_mm: Distance of slices.
        names: What each slice is: the stored image nearest to it, by its number, or a reformatted slice.
        key_words: What the slice of a level to look at first is called.
        levels: Those that were placed.
        start: The slice to begin with.
        hounsfield: What each code of ``voxels`` stands for.
        voxels: Codes of :mod:`cspine.reporting.pages.packing`.
        labels: Vertebrae, one byte per pixel, packed; ``None`` where none are known.
        heat: The heat map, 0..255, on rows and columns of its own, packed; ``None`` where there is none.
        heat_shape: Its slices, rows, columns.
        ramp: Red, green, blue and opacity of the values of a heat map, packed.
        colours: Red, green and blue of the labels from 1 on.
    """

    shape: tuple[int, int, int]
    pixel_mm: float
    step_mm: float
    names: tuple[str, ...]
    key_words: str
    levels: tuple[StackLevel, ...]
    start: int
    hounsfield: tuple[int, ...] = field(repr=False)
    voxels: str = field(repr=False)
    labels: str | None = field(repr=False)
    heat: str | None = field(repr=False)
    heat_shape: tuple[int, int, int] | None
    ramp: str = field(repr=False)
    colours: tuple[tuple[int, int, int], ...]


def make_stack(prediction: Prediction, study: Study, grid: Grid) -> ViewerStack:
    """Returns the slices on a grid of :func:`stack_grid`."""
    evidence, result = prediction.evidence, prediction.result
    codes = coded(sample(study.volume, grid).hu)[::-1]
    coarse, heat = _heat(evidence.heat, grid)
    is_axial = stored_as(study) is AnatomicalPlane.AXIAL
    return ViewerStack(
        shape=grid.shape,
        pixel_mm=grid.spacing_mm[1],
        step_mm=grid.spacing_mm[0],
        names=_images(study, grid) if is_axial else _reformatted(grid),
        key_words="key image" if is_axial else "look here first",
        levels=tuple(_level(prediction, study, finding, grid) for finding in result.levels if finding.centre_mm is not None),
        start=_start(study, result, grid),
        hounsfield=tuple(int(hu) for hu in HOUNSFIELD),
        voxels=packed_slices(codes),
        labels=_labels(evidence.labels, grid),
        heat=heat,
        heat_shape=coarse,
        ramp=packed(ramp()),
        colours=(*LEVEL_COLOURS.values(), _BELOW),
    )


def stack_grid(study: Study, result: StudyResult) -> Grid | None:
    """Returns upright voxels around the levels, within the scan from head to feet; ``None`` where no level has a place."""
    centres = np.array([finding.centre_mm for finding in result.levels if finding.centre_mm is not None])
    if not len(centres):
        return None
    boxes = [finding.box_mm for finding in result.levels if finding.box_mm is not None]
    scan = study.volume.grid.corners_mm()
    bottom = min([box.low_mm[2] for box in boxes] + list(centres[:, 2])) - _ABOVE_AND_BELOW_MM
    top = max([box.high_mm[2] for box in boxes] + list(centres[:, 2])) + _ABOVE_AND_BELOW_MM
    bottom, top = max(bottom, scan[:, 2].min()), min(top, scan[:, 2].max())
    front, back = centres[:, 1].min() - _IN_FRONT_MM, centres[:, 1].max() + _BEHIND_MM
    stored = study.volume.grid.canonical()
    step = stored.spacing_mm[0] * math.ceil(_THINNEST_MM / stored.spacing_mm[0] - 1e-6)
    count = max(1, math.floor((top - bottom) / step + 1e-6))
    x, y = float(np.median(centres[:, 0])), (front + back) / 2
    pixel = max(_FINEST_MM, *stored.spacing_mm[1:], math.sqrt(_WIDTH_MM * (back - front) * count / _MOST_VOXELS))
    size = (count, math.ceil((back - front) / pixel), math.ceil(_WIDTH_MM / pixel))
    lowest = _on_a_stored_slice(stored, (x, y, bottom + step / 2))
    return Grid.upright((x, y, lowest + step * (count - 1) / 2), size, (step, pixel, pixel))


def slice_at(grid: Grid, height_mm: float) -> int:
    """Returns the slice of a stack at a height, counted from 0 at the head."""
    index = round(float(grid.index((*grid.centre_mm[:2], height_mm))[0]))
    return grid.shape[0] - 1 - min(max(index, 0), grid.shape[0] - 1)


def _images(study: Study, grid: Grid) -> tuple[str, ...]:
    """Returns the stored axial image nearest to each slice, from the head."""
    middle = ((grid.shape[1] - 1) / 2, (grid.shape[2] - 1) / 2)
    numbers, what = numbering_of(study).numbers, "image" if is_upright(study) else "nearest image"
    points = grid.world([(index, *middle) for index in reversed(range(grid.shape[0]))])
    return tuple(f"{what} {numbers[index]}" for index in study.nearest_slices(points))


def _reformatted(grid: Grid) -> tuple[str, ...]:
    """Returns the place of each slice, from the head, where no stored image is axial."""
    return tuple(f"axial, reformatted, {place + 1} of {grid.shape[0]}" for place in range(grid.shape[0]))


def _start(study: Study, result: StudyResult, grid: Grid) -> int:
    """Returns the key slice of the most suspicious level."""
    for finding in by_suspicion(result):
        return slice_at(grid, key_height_mm(study, finding))
    return grid.shape[0] // 2


def _on_a_stored_slice(stored: Grid, point_mm: tuple[float, float, float]) -> float:
    """Returns the world z of the stored slice nearest to a point, so that a stack along stored slices interpolates nothing."""
    z, y, x = stored.index(point_mm)
    return float(stored.world((round(float(z)), y, x))[2])


def _level(prediction: Prediction, study: Study, finding: LevelFinding, grid: Grid) -> StackLevel:
    if finding.centre_mm is None:
        raise ValueError(f"A level in the stack needs a centre. Received: {finding}")
    key, heat = slice_at(grid, key_height_mm(study, finding)), prediction.evidence.heat
    crossing_mm = finding.centre_mm if heat is None or finding.box_mm is None else hottest_mm(heat, finding.box_mm)
    _, row, column = grid.index(crossing_mm)
    box = finding.box_mm
    first, last = (key, key) if box is None else (slice_at(grid, box.high_mm[2]), slice_at(grid, box.low_mm[2]))
    return StackLevel(
        name=finding.level.name,
        tone=tone(finding.assessment),
        key=key,
        middle=slice_at(grid, finding.centre_mm[2]),
        first=first,
        last=last,
        box=None if box is None else _in_pixels(box, grid),
        row=min(max(round(float(row)), 0), grid.shape[1] - 1),
        column=min(max(round(float(column)), 0), grid.shape[2] - 1),
    )


def _in_pixels(box: Box, grid: Grid) -> tuple[float, float, float, float]:
    _, top, left = grid.index(box.low_mm) + 0.5
    _, bottom, right = grid.index(box.high_mm) + 0.5
    return round(float(left), 1), round(float(top), 1), round(float(right - left), 1), round(float(bottom - top), 1)


def _labels(labels: LabelMap | None, grid: Grid) -> str | None:
    """Keeps vertebrae only; those below C7 look alike."""
    if labels is None:
        return None
    shown: NDArray[np.uint8] = sample(labels, grid).labels[::-1]
    return packed(np.where(shown > Level.T1, np.uint8(0), shown))


def _heat(heat: HeatMap | None, grid: Grid) -> tuple[tuple[int, int, int] | None, str | None]:
    if heat is None:
        return None, None
    count = grid.shape[0]
    _, height, width = grid.extent_mm
    shape = (count, max(1, round(height / _HEAT_MM)), max(1, round(width / _HEAT_MM)))
    coarse = Grid.upright(grid.centre_mm, shape, (grid.spacing_mm[0], height / shape[1], width / shape[2]))
    values = sample(Volume(heat.values, heat.grid), coarse, fill=0.0).hu[::-1]
    return shape, packed(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))
