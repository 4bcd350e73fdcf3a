"""Derives a grid from positions and directions alone.

A tilted gantry gives a sheared grid, exactly. Uneven distances give an even grid and the place of each slice on it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.reading import limits
from cspine.reading.frames import Frame, ImagePlane
from cspine.reading.messages import Notice, Refusal
from cspine.study import ReadingWarning

Positions = NDArray[np.float64]
Indices = NDArray[np.intp]

_UNITS_MM = (1.0, 0.5, 0.1)
_LEAST_JUMPS = 3
_MOST_SHARED = 0.45
"""So many neighbours may share a position that was rounded; more could as well be two images for each position."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Slices in order.

    Attributes:
        grid: Even slices.
        places: Where each frame lies along the grid, in slices, ``(n,)``; whole numbers 0, 1, 2 … where the stack is even.
        notices: What is unusual.
    """

    grid: Grid
    places: NDArray[np.float64] = field(repr=False)
    notices: tuple[ReadingWarning, ...]

    @property
    def is_even(self) -> bool:
        """Says whether there is exactly one frame per slice of the grid."""
        return len(self.places) == self.grid.shape[0] and np.array_equal(self.places, np.arange(len(self.places)))


@dataclass(frozen=True, slots=True, eq=False)
class SlicePositions:
    """Says where slices of one size and direction stand.

    Attributes:
        positions_mm: Image Positions, ``(n, 3)``.
        along_mm: The same along their normal, ``(n,)``.
        numbers: Instance Numbers, ``(n,)``; NaN where there is none.
        pixel_mm: The smaller distance of pixels.
    """

    positions_mm: Positions
    along_mm: NDArray[np.float64]
    numbers: NDArray[np.float64]
    pixel_mm: float

    @classmethod
    def of(cls, frames: Sequence[Frame]) -> "SlicePositions":
        """Makes the row of frames that all have a plane."""
        planes = [frame.plane for frame in frames if frame.plane is not None]
        positions = np.array([plane.position_mm for plane in planes], dtype=np.float64)
        instances = [frame.acquisition.instance for frame in frames]
        numbers = np.array([np.nan if number is None else float(number) for number in instances])
        return cls(positions, positions @ normal_of(planes[0]), numbers, min(planes[0].pixel_mm))

    def taken(self, indices: Indices) -> "SlicePositions":
        """Returns some of the slices."""
        return SlicePositions(self.positions_mm[indices], self.along_mm[indices], self.numbers[indices], self.pixel_mm)


@dataclass(frozen=True, slots=True, eq=False)
class Spacing:
    """The distances of slices in order.

    Attributes:
        step_mm: Distance of even slices.
        places: The place of each slice on them, ``(n,)``.
        missing: How many even slices are not there; ``None`` where the slices are uneven.
        rounded_mm: The unit to which positions were rounded so much that it shows, or ``None``.
    """

    step_mm: float
    places: NDArray[np.float64]
    missing: int | None = 0
    rounded_mm: float | None = None


class Regularity(IntEnum):
    """Measures how much slices look like one stack; the smaller, the more."""

    EVEN = 0
    WITH_GAPS = 1
    UNEVEN = 2
    NONE = 3


def normal_of(plane: ImagePlane) -> NDArray[np.float64]:
    """Returns the unit normal of an image."""
    normal = np.cross(plane.along_row, plane.along_column)
    unit: NDArray[np.float64] = normal / np.linalg.norm(normal)
    return unit


def in_order(row: SlicePositions) -> tuple[Indices, list[tuple[int, int]]]:
    """Returns slices by position along the normal, and duplicates, each behind the slice at whose position it lies."""
    order = np.argsort(row.along_mm, kind="stable")
    gaps = np.diff(row.along_mm[order])
    near = limits.SAME_PLACE * float(np.median(gaps[gaps > 1e-3])) if np.any(gaps > 1e-3) else 1e-3
    if np.any(gaps <= near) and (numbered := _order_of_rounded(row)) is not None:
        return numbered, []
    kept, duplicates = [int(order[0])], []
    for index in order[1:]:
        if row.along_mm[index] - row.along_mm[kept[-1]] > near:
            kept.append(int(index))
        else:
            duplicates.append((kept[-1], int(index)))
    return np.array(kept, dtype=np.intp), duplicates


def regularity(row: SlicePositions) -> Regularity:
    """Returns how much slices look like one stack."""
    if len(row.along_mm) == 1:
        return Regularity.EVEN
    order, duplicates = in_order(row)
    if duplicates:
        return Regularity.NONE
    positions, along = row.positions_mm[order], row.along_mm[order]
    if _beside(positions, along) > _crooked_mm(row) or np.diff(along).max() > limits.MAX_GAP_MM:
        return Regularity.NONE
    missing = measured(along, positions).missing
    if missing == 0:
        return Regularity.EVEN
    few = missing is not None and missing <= limits.FEW_MISSING * len(along)
    return Regularity.WITH_GAPS if few else Regularity.UNEVEN


def layout_of(frames: Sequence[Frame], row: SlicePositions, uid: str) -> Layout:
    """Returns the grid of frames in their order.

    Args:
        frames: In order, one for each position.
        row: Where they stand.
        uid: What to call them in a message.

    Raises:
        StudyError: They are no stack.
    """
    first, positions, along = frames[0], row.positions_mm, row.along_mm
    beside = _beside(positions, along)
    if beside > _crooked_mm(row):
        raise Refusal.CROOKED_STACK.error(uid=uid, offset=beside)
    _check_gaps(positions, along, uid)
    spacing = measured(along, positions)
    count, notices = round(float(spacing.places[-1])) + 1, _notices(spacing, along, positions)
    line = (positions[-1] - positions[0]) / (along[-1] - along[0])
    plane = first.plane
    if plane is None or max(count, len(frames)) * first.pixels.rows * first.pixels.columns > limits.MAX_VOXELS:
        raise Refusal.TOO_LARGE.error(
            limit=limits.MAX_VOXELS, uid=uid, slices=count, rows=first.pixels.rows, columns=first.pixels.columns
        )
    tilt = float(np.degrees(np.arccos(np.clip(np.dot(line / np.linalg.norm(line), normal_of(plane)), -1, 1))))
    if tilt > limits.MAX_SHEAR_DEGREES:
        raise Refusal.STEEP_SHEAR.error(limit=limits.MAX_SHEAR_DEGREES, uid=uid, degrees=tilt)
    if tilt >= limits.TILT_DEGREES:
        notices = (Notice.GANTRY_TILT.warning(degrees=tilt), *notices)
    affine = _affine(plane, line * spacing.step_mm, positions[0])
    return Layout(
        Grid((count, first.pixels.rows, first.pixels.columns), affine, _frame_of_reference(frames)), spacing.places, notices
    )


def measured(along: NDArray[np.float64], positions: Positions) -> Spacing:
    """Returns the spacing of slices in order, at least two of them."""
    count, length = len(along), float(along[-1] - along[0])
    whole = np.arange(count, dtype=np.float64)
    if _is_even((along - along[0]) * ((count - 1) / length), whole, length / (count - 1)):
        return Spacing(length / (count - 1), whole)
    rounded = _rounded(along, positions)
    if rounded is not None:
        return Spacing(rounded[1], whole, rounded_mm=rounded[0])
    usual = _usual_step(np.diff(np.unique(along)))
    slices = int(np.sum(np.maximum(1, np.round(np.diff(along) / usual))))
    places = (along - along[0]) * (slices / length)
    if slices < 2 * count and _is_even(places, np.round(places), length / slices):
        return Spacing(length / slices, np.round(places), missing=slices + 1 - count)
    step = length / max(1, round(length / usual))
    return Spacing(step, (along - along[0]) / step, missing=None)


def unit_of(positions: Positions) -> float:
    """Returns the unit, a tenth of a millimetre or more, of which all positions that vary are multiples; 0 where there is none."""
    varying = positions[:, np.ptp(positions, axis=0) > 1e-6]
    return next((unit for unit in _UNITS_MM if np.allclose(varying / unit, np.round(varying / unit), atol=1e-4)), 0.0)


def fits_rounded(along: NDArray[np.float64], unit: float) -> float | None:
    """Returns the distance of even slices that give these positions when rounded to a unit, or ``None``."""
    places = np.arange(len(along), dtype=np.float64)
    if len(along) < 4:
        return None
    step = float(np.polyfit(places, along, 1)[0])
    off = np.ptp(along - step * places) / 2
    return step if off <= 0.55 * unit and step > 0 else None


def shared_by_rounding(frames: Sequence[Frame]) -> float | None:
    """Returns the unit to which positions of even slices are rounded so that some of them share one, or ``None``."""
    row = SlicePositions.of(frames)
    along, unit = np.sort(row.along_mm), unit_of(row.positions_mm)
    shared = float(np.mean(np.diff(along) < 1e-3))
    return unit if unit >= 0.5 and shared > 0 and fits_rounded(along, unit) is not None else None


def _rounded(along: NDArray[np.float64], positions: Positions) -> tuple[float, float] | None:
    """Returns the unit to which positions are rounded and the distance of the slices, where rounding is what makes them uneven."""
    unit, gaps = unit_of(positions), np.diff(along)
    jumps = np.count_nonzero(np.abs(gaps - np.median(gaps)) > 0.5 * unit)
    if (
        unit == 0
        or jumps < _LEAST_JUMPS
        or np.ptp(gaps) > 1.01 * unit * np.sqrt(np.count_nonzero(np.ptp(positions, axis=0) > 1e-6))
    ):
        return None
    step = fits_rounded(along, unit)
    return None if step is None else (unit, step)


def _order_of_rounded(row: SlicePositions) -> Indices | None:
    """Returns the order by Instance Number of slices some of which share a position because of rounding; else ``None``."""
    unit = unit_of(row.positions_mm)
    if unit < 0.5 or len(np.unique(row.numbers)) < len(row.numbers) or np.isnan(row.numbers).any():
        return None
    order = np.argsort(row.numbers)
    order = order if row.along_mm[order[-1]] > row.along_mm[order[0]] else order[::-1]
    gaps = np.diff(row.along_mm[order])
    if gaps.min() < 0 or np.mean(gaps == 0) > _MOST_SHARED or np.ptp(gaps) > 1.01 * unit:
        return None
    return None if fits_rounded(row.along_mm[order], unit) is None else order


def _affine(plane: ImagePlane, step: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
    row, column = (np.asarray(along, dtype=np.float64) for along in (plane.along_row, plane.along_column))
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = column / np.linalg.norm(column) * plane.pixel_mm[0]
    affine[:3, 2] = row / np.linalg.norm(row) * plane.pixel_mm[1]
    affine[:3, 3] = origin
    return affine


def _frame_of_reference(frames: Sequence[Frame]) -> str | None:
    """Returns what most of the frames that name one say; some archives name another for every slice."""
    named = [frame.series.frame_of_reference_uid for frame in frames if frame.series.frame_of_reference_uid]
    usual, count = Counter(named).most_common(1)[0] if named else (None, 0)
    return usual if count > 1 or len(named) == 1 else None


def _beside(positions: Positions, along: NDArray[np.float64]) -> float:
    """Returns how far slices lie beside the line through the first and the last, which is oblique where the gantry was tilted."""
    share = ((along - along[0]) / (along[-1] - along[0]))[:, None]
    return float(np.linalg.norm(positions - (positions[0] + share * (positions[-1] - positions[0])), axis=1).max())


def _crooked_mm(row: SlicePositions) -> float:
    """Returns how far slices of one stack may lie beside the line: half a pixel, or what rounding may do."""
    varying = int(np.count_nonzero(np.ptp(row.positions_mm, axis=0) > 1e-6))
    rounding = unit_of(row.positions_mm) * np.sqrt(varying) if varying > 1 else 0.0
    return max(limits.MAX_CROOKED * row.pixel_mm, float(rounding))


def _check_gaps(positions: Positions, along: NDArray[np.float64], uid: str) -> None:
    gaps = np.diff(along)
    widest = int(np.argmax(gaps))
    if gaps[widest] > limits.MAX_GAP_MM:
        low, high = _named(positions, widest)
        raise Refusal.WIDE_GAP.error(limit=limits.MAX_GAP_MM, uid=uid, low=low, high=high)


def _named(positions: Positions, gap: int) -> tuple[str, str]:
    """Returns the two ends of a gap along the world axis that the stack runs along most, as in ``z 12.5``."""
    axis = int(np.argmax(np.abs(positions[-1] - positions[0])))
    low, high = (f"{'xyz'[axis]} {positions[index, axis]:.1f}" for index in (gap, gap + 1))
    return low, high


def _notices(spacing: Spacing, along: NDArray[np.float64], positions: Positions) -> tuple[ReadingWarning, ...]:
    """Returns what to say about distances."""
    gaps = np.diff(along)
    low, high = _named(positions, int(np.argmax(gaps)))
    if spacing.rounded_mm is not None:
        return (Notice.ROUNDED_POSITIONS.warning(unit=spacing.rounded_mm, step=spacing.step_mm),)
    if spacing.missing is None:
        least, most = float(gaps.min()), float(gaps.max())
        return (Notice.UNEVEN_SPACING.warning(least=least, most=most, low=low, high=high, step=spacing.step_mm),)
    return (Notice.MISSING_SLICES.warning(count=spacing.missing, low=low, high=high),) if spacing.missing else ()


def _is_even(places: NDArray[np.float64], wanted: NDArray[np.float64], step: float) -> bool:
    """Says whether places, in slices, are those wanted but for jitter and rounding; never so much that slices could swap."""
    allowed = max(limits.MAX_JITTER, min(limits.MAX_ROUNDING_MM / step, 0.3))
    return bool(np.max(np.abs(places - wanted)) <= allowed and np.min(np.diff(wanted)) >= 1)


def _usual_step(gaps: NDArray[np.float64]) -> float:
    """Returns the smallest distance that at least a tenth of the neighbours have."""
    for gap in np.sort(gaps):
        alike = np.abs(gaps - gap) <= 0.1 * gap
        if np.count_nonzero(alike) >= max(1, 0.1 * len(gaps)):
            return float(np.median(gaps[alike]))
    return float(np.median(gaps))
