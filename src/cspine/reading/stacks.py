"""The stacks in one series: one kind of image, one size, one direction and one pass each."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cspine.errors import StudyError
from cspine.reading import limits
from cspine.reading.frames import Frame, ImagePlane
from cspine.reading.layouts import Layout, SlicePositions, in_order, layout_of
from cspine.reading.meaning import Unusual, unusual
from cspine.reading.messages import Notice, Refusal
from cspine.reading.parting import SeriesPart, parts_of
from cspine.reading.pixels import refusal_of_format
from cspine.study import ReadingWarning

_FARTHEST_MM = 1e5
_SAME_PIXEL_MM = 1e-4
_LOCALIZER = "LOCALIZER"
_SLAB = 2.5
_THICK_MM = 3.0


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames that belong together.

    Attributes:
        name: The Series Instance UID; behind it ``#`` and a number where the series has several stacks.
        frames: Along the normal, one for each position; in the order of the files where they have no geometry.
        duplicates: Further frames, each with the frame at the same position.
        layout: Their geometry, or ``None`` where it is refused.
        refusal: Why they cannot be read, or ``None``.
    """

    name: str
    frames: tuple[Frame, ...] = field(repr=False)
    duplicates: tuple[tuple[Frame, Frame], ...] = field(repr=False)
    layout: Layout | None
    refusal: StudyError | None

    @property
    def first(self) -> Frame:
        """Returns a frame to ask what all have in common."""
        return self.frames[0]

    @property
    def thickness_mm(self) -> float | None:
        """Returns the usual Slice Thickness, or ``None`` where no frame has one."""
        stated = [frame.acquisition.thickness_mm for frame in self.frames if frame.acquisition.thickness_mm is not None]
        return float(np.median(stated)) if stated else None

    @property
    def unusual(self) -> Unusual | None:
        """Returns what the images are instead of thin cross-sections in Hounsfield units, or ``None``."""
        return unusual(self.first.series) or self._slab()

    @property
    def resolution_mm(self) -> float:
        """Returns the distance of the slices, or their thickness where that is much more."""
        if self.layout is None:
            return float("inf")
        distance, thickness = self.layout.grid.spacing_mm[0], self.thickness_mm
        return thickness if thickness is not None and thickness > _SLAB * distance else distance

    def _slab(self) -> Unusual | None:
        if self.layout is None or self.resolution_mm <= max(_THICK_MM, self.layout.grid.spacing_mm[0]):
            return None
        slab = f"made of slabs of {self.resolution_mm:g} mm every {self.layout.grid.spacing_mm[0]:.3g} mm"
        return Unusual(slab, has_hounsfield_units=True)


def stacks_of(frames: Sequence[Frame]) -> tuple[Stack, ...]:
    """Returns the stacks in the frames of one series, in the order in which they came about."""
    groups = _groups(frames)
    if len(groups) > limits.MAX_STACKS:
        refusal = Refusal.TOO_MIXED.error(limit=limits.MAX_STACKS, uid=_uid(frames[0]))
        return (Stack(_uid(frames[0]), tuple(frames), (), None, refusal),)
    parts = sorted((part for group in groups for part in _parts(group)), key=_came_about)
    if len(parts) == 1:
        return (_stack(parts[0].frames, frames[0].series.series_uid),)
    differ = tuple(dict.fromkeys([*_differences(groups), *(name for part in parts for name in part.told_apart_by)]))
    uid = frames[0].series.series_uid
    stacks = [_stack(part.frames, f"{uid}#{number}") for number, part in enumerate(parts, 1)]
    return tuple(_with_rest_named(stack, number, stacks, differ) for number, stack in enumerate(stacks, 1))


def _groups(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Returns frames of one kind, size and direction together."""
    kinds: dict[tuple[object, ...], list[list[Frame]]] = {}
    for frame in frames:
        groups = kinds.setdefault(_kind(frame), [])
        fitting = next((group for group in groups if _same_plane(group[0], frame)), None)
        if fitting is None:
            groups.append([frame])
            if sum(map(len, kinds.values())) > limits.MAX_STACKS:
                break
        else:
            fitting.append(frame)
    return [group for groups in kinds.values() for group in groups]


def _kind(frame: Frame) -> tuple[object, ...]:
    pixels = frame.pixels
    shown = is_localizer(frame), unusual(frame.series)
    return shown, frame.series.sop_class_uid, pixels.samples, (pixels.rows, pixels.columns), frame.plane is not None


def _differences(groups: Sequence[Sequence[Frame]]) -> list[str]:
    """Returns in what groups differ, for a message."""
    kinds = [_kind(group[0]) for group in groups]
    names = ("kind of image", "kind of object", "colours", "size", "geometry")
    found = [name for name, values in zip(names, zip(*kinds, strict=True), strict=True) if len(set(values)) > 1]
    return found if len(set(kinds)) == len(kinds) else [*found, "direction or pixel spacing"]


def _same_plane(one: Frame, other: Frame) -> bool:
    if one.plane is None or other.plane is None:
        return True
    if not all(abs(a - b) < _SAME_PIXEL_MM for a, b in zip(one.plane.pixel_mm, other.plane.pixel_mm, strict=True)):
        return False
    ours, theirs = (*one.plane.along_row, *one.plane.along_column), (*other.plane.along_row, *other.plane.along_column)
    return all(abs(a - b) < limits.SAME_DIRECTION for a, b in zip(ours, theirs, strict=True))


def is_localizer(frame: Frame) -> bool:
    """Says whether a frame is a scout view."""
    return _LOCALIZER in frame.series.image_type


def _parts(group: Sequence[Frame]) -> tuple[SeriesPart, ...]:
    """Returns the passes of a group; a group whose geometry is refused is one."""
    return (SeriesPart(tuple(group)),) if _refusal_of_planes(group) is not None else parts_of(group)


def _came_about(part: SeriesPart) -> tuple[object, ...]:
    """Returns a key by which stacks of one series stand in the order of acquisition, as far as their headers tell."""
    acquisitions = [frame.acquisition for frame in part.frames]
    numbers = [int(one.number) for one in acquisitions if one.number.isdecimal()]
    instances = [one.instance for one in acquisitions if one.instance is not None]
    times = [one.time for one in acquisitions if one.time]
    uid = min(frame.sop_instance_uid for frame in part.frames)
    return min(numbers, default=1 << 31), min(times, default="~"), min(instances, default=1 << 31), -len(part.frames), uid


def _stack(frames: Sequence[Frame], name: str) -> Stack:
    shown = name or "without UID"
    refusal = _refusal_of_header(frames, shown)
    if refusal is not None:
        return Stack(name, tuple(frames), (), None, refusal)
    row = SlicePositions.of(frames)
    try:
        order, twice = in_order(row)
        if len(frames) == 1:
            raise Refusal.SINGLE_SLICE.error(uid=shown)
        if len(order) == 1:
            raise Refusal.ONE_POSITION.error(uid=shown, count=len(frames))
        ordered = [frames[index] for index in order]
        layout = layout_of(ordered, row.taken(order), shown)
    except StudyError as error:
        return Stack(name, tuple(frames), (), None, error)
    duplicates = tuple((frames[kept], frames[other]) for kept, other in twice)
    stack = Stack(name, tuple(ordered), duplicates, layout, None)
    return _saying(stack, _notices(stack))


def _saying(stack: Stack, notices: Sequence[ReadingWarning]) -> Stack:
    if stack.layout is None or not notices:
        return stack
    return replace(stack, layout=replace(stack.layout, notices=(*stack.layout.notices, *notices)))


def _notices(stack: Stack) -> list[ReadingWarning]:
    """Returns what headers tell beyond the geometry."""
    notices = []
    if stack.unusual is not None:
        notices.append(Notice.UNUSUAL_IMAGES.warning(kind=stack.unusual.kind))
    named = {frame.series.frame_of_reference_uid for frame in stack.frames} - {None}
    if len(named) > 1:
        notices.append(Notice.FRAMES_OF_REFERENCE.warning(count=len(named)))
    if any(frame.has_commas for frame in stack.frames):
        notices.append(Notice.DECIMAL_COMMA.warning())
    cited = {(frame.sop_instance_uid, frame.place and frame.place.frame) for frame in stack.frames if frame.sop_instance_uid}
    if len(cited) < len(stack.frames):
        notices.append(Notice.NOT_CITABLE.warning())
    return notices


def _refusal_of_header(frames: Sequence[Frame], uid: str) -> StudyError | None:
    """Returns what speaks against a stack before its geometry is checked."""
    first = frames[0]
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
    return _refusal_of_planes(frames, uid)


def _refusal_of_planes(frames: Sequence[Frame], uid: str = "") -> StudyError | None:
    """Returns what speaks against single positions and directions."""
    for frame in frames:
        if frame.plane is None:
            return Refusal.NO_POSITIONS.error(uid=uid)
        if max(map(abs, frame.plane.position_mm)) > _FARTHEST_MM:
            return Refusal.BAD_GEOMETRY.error(uid=uid, found=f"a position of {frame.plane.position_mm} mm")
    return _refusal_of_directions(frames[0].plane, uid) if frames[0].plane else None


def _refusal_of_directions(plane: ImagePlane, uid: str) -> StudyError | None:
    if np.max(np.abs(_directions(plane))) > 2:
        return Refusal.BAD_GEOMETRY.error(uid=uid, found=f"directions {plane.along_row} and {plane.along_column}")
    lengths = np.linalg.norm(_directions(plane), axis=1)
    if np.any(np.abs(lengths - 1) > 0.01) or abs(np.dot(plane.along_row, plane.along_column)) > 0.01:
        return Refusal.BAD_GEOMETRY.error(uid=uid, found=f"directions {plane.along_row} and {plane.along_column}")
    if not 0.01 <= min(plane.pixel_mm) <= max(plane.pixel_mm) <= 20:
        return Refusal.BAD_GEOMETRY.error(uid=uid, found=f"a pixel spacing of {plane.pixel_mm} mm")
    return None


def _directions(plane: ImagePlane) -> NDArray[np.float64]:
    return np.array((plane.along_row, plane.along_column), dtype=np.float64)


def _uid(frame: Frame) -> str:
    return frame.series.series_uid or "without UID"


def _with_rest_named(stack: Stack, number: int, stacks: Sequence[Stack], differ: Sequence[str]) -> Stack:
    """Returns the stack, with a notice that other images of its series are left out."""
    left_out = sum(len(one.frames) + len(one.duplicates) for one in stacks) - len(stack.frames) - len(stack.duplicates)
    about = {"number": number, "stacks": len(stacks), "count": left_out, "differ": ", ".join(differ)}
    return _saying(stack, [Notice.STACKS_LEFT_OUT.warning(**about)])
