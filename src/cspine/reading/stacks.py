"""Frames of one series in order: from positions and directions alone to a grid.

A tilted gantry gives a sheared grid, exactly. Uneven distances give an even grid and the place of each slice on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cspine.errors import StudyError
from cspine.geometry import Grid
from cspine.reading import limits
from cspine.reading.frames import Frame, Plane
from cspine.reading.messages import Notice, Refusal
from cspine.reading.pixels import refusal_of_format
from cspine.study import ReadingWarning

_FARTHEST_MM = 1e5
_SAME_PIXEL_MM = 1e-4
_LOCALIZER = "LOCALIZER"


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
        """Whether there is exactly one frame per slice of the grid."""
        return len(self.places) == self.grid.shape[0] and np.array_equal(self.places, np.arange(len(self.places)))


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames that belong together.

    Attributes:
        frames: Along the normal, one for each position; in the order of the files where they have no geometry.
        duplicates: Further frames, each with the frame at the same position.
        layout: Their geometry, or ``None`` where it is refused.
        refusal: Why they cannot be read, or ``None``.
    """

    frames: tuple[Frame, ...] = field(repr=False)
    duplicates: tuple[tuple[Frame, Frame], ...] = field(repr=False)
    layout: Layout | None
    refusal: StudyError | None

    @property
    def first(self) -> Frame:
        """A frame to ask what all have in common."""
        return self.frames[0]


def stacks_of(frames: Sequence[Frame]) -> tuple[Stack, ...]:
    """The stacks in the frames of one series: one kind of image, one size and one direction each."""
    groups: list[list[Frame]] = []
    for frame in frames:
        for group in groups:
            if _belong_together(group[0], frame):
                group.append(frame)
                break
        else:
            groups.append([frame])
        if len(groups) > limits.MAX_STACKS:
            refusal = Refusal.TOO_MIXED.error(limit=limits.MAX_STACKS, uid=_uid(frame))
            return (Stack(tuple(frames), (), None, refusal),)
    return tuple(_stack(group) for group in groups)


def _belong_together(one: Frame, other: Frame) -> bool:
    if _kind(one) != _kind(other):
        return False
    if one.plane is None or other.plane is None:
        return True
    if not all(abs(a - b) < _SAME_PIXEL_MM for a, b in zip(one.plane.pixel_mm, other.plane.pixel_mm, strict=True)):
        return False
    ours, theirs = (*one.plane.along_row, *one.plane.along_column), (*other.plane.along_row, *other.plane.along_column)
    return all(abs(a - b) < limits.SAME_DIRECTION for a, b in zip(ours, theirs, strict=True))


def _kind(frame: Frame) -> tuple[object, ...]:
    pixels, placed = frame.pixels, frame.plane is not None
    frame_of_reference = frame.series.frame_of_reference_uid if placed else None
    return frame.series.sop_class_uid, pixels.rows, pixels.columns, pixels.samples, is_localizer(frame), placed, frame_of_reference


def is_localizer(frame: Frame) -> bool:
    """Whether a frame is a scout view."""
    return _LOCALIZER in frame.series.image_type


def _directions(plane: Plane) -> NDArray[np.float64]:
    return np.array((plane.along_row, plane.along_column), dtype=np.float64)


def _stack(frames: list[Frame]) -> Stack:
    refusal = _refusal_of_header(frames)
    if refusal is not None:
        return Stack(tuple(frames), (), None, refusal)
    try:
        ordered, duplicates, along = _in_order(frames)
        if len(ordered) == 1:
            raise Refusal.SINGLE_SLICE.error(uid=_uid(frames[0]))
        return Stack(tuple(ordered), tuple(duplicates), _layout(ordered, along), None)
    except StudyError as error:
        return Stack(tuple(frames), (), None, error)


def _refusal_of_header(frames: list[Frame]) -> StudyError | None:
    """What speaks against a stack before its geometry is looked at."""
    first, uid = frames[0], _uid(frames[0])
    if first.pixels.samples != 1:
        return Refusal.COLOUR.error(uid=uid, samples=first.pixels.samples)
    if not 2 <= min(first.pixels.rows, first.pixels.columns) <= max(first.pixels.rows, first.pixels.columns) <= limits.MAX_SIDE:
        return Refusal.BAD_SIZE.error(limit=limits.MAX_SIDE, uid=uid, rows=first.pixels.rows, columns=first.pixels.columns)
    if first.plane is None:
        return Refusal.NO_POSITIONS.error(uid=uid)
    for frame in frames:
        form = refusal_of_format(frame)
        if form is not None:
            pixels, rescale = frame.pixels, frame.rescale
            bits = f"{pixels.bits_allocated} bits, {pixels.bits_stored} of them stored, up to bit {pixels.high_bit}"
            found = bits if form is Refusal.BAD_PIXEL_FORMAT else f"{rescale.slope:g} and {rescale.intercept:g}"
            return form.error(uid=uid, name=frame.name, syntax=pixels.transfer_syntax, found=found)
        if frame.plane is not None and np.max(np.abs(frame.plane.position_mm)) > _FARTHEST_MM:
            return Refusal.BAD_GEOMETRY.error(uid=uid, found=f"a position of {frame.plane.position_mm} mm")
    return _refusal_of_directions(first.plane, uid)


def _refusal_of_directions(plane: Plane, uid: str) -> StudyError | None:
    if np.max(np.abs(_directions(plane))) > 2:
        return Refusal.BAD_GEOMETRY.error(uid=uid, found=f"directions {plane.along_row} and {plane.along_column}")
    lengths = np.linalg.norm(_directions(plane), axis=1)
    if np.any(np.abs(lengths - 1) > 0.01) or abs(np.dot(plane.along_row, plane.along_column)) > 0.01:
        return Refusal.BAD_GEOMETRY.error(uid=uid, found=f"directions {plane.along_row} and {plane.along_column}")
    if not 0.01 <= min(plane.pixel_mm) <= max(plane.pixel_mm) <= 20:
        return Refusal.BAD_GEOMETRY.error(uid=uid, found=f"a pixel spacing of {plane.pixel_mm} mm")
    return None


def _in_order(frames: list[Frame]) -> tuple[list[Frame], list[tuple[Frame, Frame]], NDArray[np.float64]]:
    """Frames by position along the normal, duplicates apart, and those positions in millimetres."""
    planes = [frame.plane for frame in frames if frame.plane is not None]
    normal = _normal(planes[0])
    along = np.array([np.dot(plane.position_mm, normal) for plane in planes])
    order = np.argsort(along, kind="stable")
    gaps = np.diff(along[order])
    near = limits.SAME_PLACE * float(np.median(gaps[gaps > 1e-3])) if np.any(gaps > 1e-3) else 1e-3
    ordered, duplicates, where = [frames[order[0]]], [], [along[order[0]]]
    for index in order[1:]:
        if along[index] - where[-1] > near:
            ordered.append(frames[index])
            where.append(along[index])
        else:
            duplicates.append((ordered[-1], frames[index]))
    return ordered, duplicates, np.array(where)


def _normal(plane: Plane) -> NDArray[np.float64]:
    normal = np.cross(plane.along_row, plane.along_column)
    unit: NDArray[np.float64] = normal / np.linalg.norm(normal)
    return unit


def _layout(frames: list[Frame], along: NDArray[np.float64]) -> Layout:
    first, uid = frames[0], _uid(frames[0])
    positions = np.array([frame.plane.position_mm for frame in frames if frame.plane is not None])
    _check_line(positions, along, frames[0])
    _check_gaps(positions, along, uid)
    step, places, notices = _spacing(along, positions)
    count = round(float(places[-1])) + 1
    line = (positions[-1] - positions[0]) / (along[-1] - along[0])
    plane = first.plane
    if plane is None or max(count, len(frames)) * first.pixels.rows * first.pixels.columns > limits.MAX_VOXELS:
        raise Refusal.TOO_LARGE.error(
            limit=limits.MAX_VOXELS, uid=uid, slices=count, rows=first.pixels.rows, columns=first.pixels.columns
        )
    row, column = (direction / np.linalg.norm(direction) for direction in _directions(plane))
    affine = np.eye(4)
    affine[:3, 0] = line * step
    affine[:3, 1] = column * plane.pixel_mm[0]
    affine[:3, 2] = row * plane.pixel_mm[1]
    affine[:3, 3] = positions[0]
    tilt = float(np.degrees(np.arccos(np.clip(np.dot(line / np.linalg.norm(line), _normal(plane)), -1, 1))))
    if tilt > limits.MAX_SHEAR_DEGREES:
        raise Refusal.STEEP_SHEAR.error(limit=limits.MAX_SHEAR_DEGREES, uid=uid, degrees=tilt)
    if tilt >= limits.TILT_DEGREES:
        notices = (Notice.GANTRY_TILT.warning(degrees=tilt), *notices)
    grid = Grid((count, first.pixels.rows, first.pixels.columns), affine, first.series.frame_of_reference_uid)
    return Layout(grid, places, notices)


def _check_line(positions: NDArray[np.float64], along: NDArray[np.float64], first: Frame) -> None:
    """Slices of a tilted gantry lie on an oblique line; those of two acquisitions on none."""
    share = ((along - along[0]) / (along[-1] - along[0]))[:, None]
    beside = np.linalg.norm(positions - (positions[0] + share * (positions[-1] - positions[0])), axis=1)
    pixel = min(first.plane.pixel_mm) if first.plane is not None else 0.0
    if float(beside.max()) > limits.MAX_CROOKED * pixel:
        raise Refusal.CROOKED_STACK.error(uid=_uid(first), offset=float(beside.max()))


def _check_gaps(positions: NDArray[np.float64], along: NDArray[np.float64], uid: str) -> None:
    gaps = np.diff(along)
    widest = int(np.argmax(gaps))
    if gaps[widest] > limits.MAX_GAP_MM:
        low, high = _named(positions, widest)
        raise Refusal.WIDE_GAP.error(limit=limits.MAX_GAP_MM, uid=uid, low=low, high=high)


def _named(positions: NDArray[np.float64], gap: int) -> tuple[str, str]:
    """The two ends of a gap along the world axis that the stack runs along most, as in ``z 12.5``."""
    axis = int(np.argmax(np.abs(positions[-1] - positions[0])))
    low, high = (f"{'xyz'[axis]} {positions[index, axis]:.1f}" for index in (gap, gap + 1))
    return low, high


def _spacing(
    along: NDArray[np.float64], positions: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], tuple[ReadingWarning, ...]]:
    """Distance of even slices, the place of each slice on them, and what to say about it."""
    count, length = len(along), float(along[-1] - along[0])
    whole = np.arange(count, dtype=np.float64)
    if _is_even((along - along[0]) * ((count - 1) / length), whole, length / (count - 1)):
        return length / (count - 1), whole, ()
    gaps = np.diff(along)
    low, high = _named(positions, int(np.argmax(gaps)))
    usual = _usual_step(gaps)
    slices = int(np.sum(np.maximum(1, np.round(gaps / usual))))
    places = (along - along[0]) * (slices / length)
    if _is_even(places, np.round(places), length / slices):
        missing = slices + 1 - count
        return length / slices, np.round(places), (Notice.MISSING_SLICES.warning(count=missing, low=low, high=high),)
    slices = max(1, round(length / usual))
    step = length / slices
    notice = Notice.UNEVEN_SPACING.warning(least=float(gaps.min()), most=float(gaps.max()), low=low, high=high, step=step)
    return step, (along - along[0]) / step, (notice,)


def _is_even(places: NDArray[np.float64], wanted: NDArray[np.float64], step: float) -> bool:
    """Whether places, in slices, are those wanted but for jitter and rounding; never so much that slices could swap."""
    allowed = max(limits.MAX_JITTER, min(limits.MAX_ROUNDING_MM / step, 0.3))
    return bool(np.max(np.abs(places - wanted)) <= allowed and np.min(np.diff(wanted)) >= 1)


def _usual_step(gaps: NDArray[np.float64]) -> float:
    """The smallest distance that at least a tenth of the neighbours have."""
    for gap in np.sort(gaps):
        alike = np.abs(gaps - gap) <= 0.1 * gap
        if np.count_nonzero(alike) >= max(1, 0.1 * len(gaps)):
            return float(np.median(gaps[alike]))
    return float(np.median(gaps))


def _uid(frame: Frame) -> str:
    return frame.series.series_uid or "without UID"


def with_rest_named(stack: Stack, left_out: int) -> Stack:
    """The stack, saying that other images of its series are left out."""
    if left_out == 0 or stack.layout is None:
        return stack
    notices = (*stack.layout.notices, Notice.STACKS_LEFT_OUT.warning(count=left_out))
    return replace(stack, layout=replace(stack.layout, notices=notices))
