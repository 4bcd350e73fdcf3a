"""The story of a DICOM study: files, frames, series, stacks, one volume."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.concurrency.handover import not_needed, room
from cspine.concurrency.processors import processors
from cspine.concurrency.waiting import in_order
from cspine.errors import StudyError
from cspine.reading import limits
from cspine.reading.choosing import SeriesSummary, choose, orientation_of, summaries
from cspine.reading.effort import Budget, CostlyError
from cspine.reading.facts import DamagedFileError, WrongNumberError
from cspine.reading.frames import Frame
from cspine.reading.headers import beginning_of, frames_of
from cspine.reading.hounsfield import check_hounsfield
from cspine.reading.layouts import Layout, shared_by_rounding
from cspine.reading.messages import Notice, Refusal
from cspine.reading.passes import strangers
from cspine.reading.pixels import SYNTAXES, NoRoomError, PixelReader, is_filling, is_whole, most_hu, padding_hu
from cspine.reading.places import Place
from cspine.reading.stacks import Stack, stacks_of
from cspine.study import Origin, ReadingWarning, SourceSlice, Study
from cspine.volume import Volume

_EVERY, _TISSUE_ABOVE_HU = 2, -500.0
_SOME = 32


@dataclass(frozen=True, slots=True)
class FoundFrames:
    """Holds what is in a place.

    Attributes:
        frames: Every DICOM image.
        damaged: Files that begin like DICOM but cannot be parsed, with the reason.
    """

    frames: tuple[Frame, ...] = field(repr=False)
    damaged: tuple[tuple[str, DamagedFileError], ...]

    def refusal(self) -> StudyError:
        """Returns what speaks against the first damaged file."""
        name, cause = self.damaged[0]
        return refusal_of_file(name, cause)


def refusal_of_file(name: str, cause: DamagedFileError) -> StudyError:
    """Returns what speaks against a file that cannot be parsed."""
    kind = Refusal.WRONG_NUMBER if isinstance(cause, WrongNumberError) else Refusal.DAMAGED_FILE
    return kind.error(name=name, cause=cause)


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A stack with its pixels.

    Attributes:
        stack: The stack.
        layout: Its geometry.
        hu: Hounsfield units of its slices, ``(n, rows, columns)``, int16 where they are whole numbers.
        notices: What its pixels tell, and what was passed over.
    """

    stack: Stack
    layout: Layout
    hu: NDArray[Any]
    notices: tuple[ReadingWarning, ...]


_PASSED_OVER = {
    Refusal.NOT_HU.code: "its values cannot be Hounsfield units",
    Refusal.RESCALE_JUMPS.code: "its values jump where their scale changes",
    Refusal.HIGH_BITS.code: "bits that should be empty hold values",
    Refusal.CLIPPED.code: "its values are cut off within bone or above air",
    Refusal.DIFFERENT_DUPLICATES.code: "different images lie at one position",
    Refusal.ROUNDED_TOGETHER.code: "its positions are rounded so that images share one",
    Refusal.INTERLEAVED.code: "slices of several passes lie one between the other",
}
"""What shows in pixels only and makes the next series the better one."""


def find(place: Place) -> FoundFrames:
    """Lists every DICOM image of a place, by the headers alone."""
    frames: list[Frame] = []
    damaged: list[tuple[str, DamagedFileError]] = []
    budget = Budget(len(place.entries))
    starts = in_order(lambda entry: beginning_of(place, entry), place.entries)
    for entry, start in zip(place.entries, starts, strict=True):
        try:
            with budget.spent():
                frames.extend(frames_of(place, entry, start))
        except DamagedFileError as error:
            damaged.append((entry.name, error))
        except CostlyError as error:
            raise Refusal.COSTLY_HEADERS.error(place=place.path, cause=error) from error
    return FoundFrames(tuple(frames), tuple(damaged))


def series_in(place: Place, found: FoundFrames) -> tuple[SeriesSummary, ...]:
    """Returns every stack of a place, with the choice and the reasons; only of the chosen one are some images decoded."""
    stacks = _stacks(found.frames, None)
    while True:
        try:
            stack = choose(stacks, place.path)
        except StudyError:
            break
        fault = _fault_of_some(place, stack)
        if fault is None:
            break
        stacks = [replace(other, refusal=fault) if other is stack else other for other in stacks]
    return summaries(stacks, place.path)


def _fault_of_some(place: Place, stack: Stack) -> StudyError | None:
    """Returns what speaks against the values of some images of a stack, so that the next one would be used."""
    first, reader = stack.first.pixels, PixelReader(place)
    frames = stack.frames[:: max(1, len(stack.frames) // _SOME)]
    hu = np.empty((len(frames), first.rows, first.columns), dtype=np.float32)
    try:
        for frame, out in zip(frames, hu, strict=True):
            reader.decode(frame, out)
        check_hounsfield(hu, stack.name or place.path.name, max(most_hu(frame) for frame in frames))
    except StudyError as error:
        return error if error.code in _PASSED_OVER else None
    return None


def read(place: Place, found: FoundFrames, series_uid: str | None, name: str) -> Study:
    """Reads the chosen series of a place.

    Raises:
        StudyError: There is none, or it cannot be read.
    """
    made = _usable(place, _stacks(found.frames, series_uid), series_uid, name)
    stack, layout = made.stack, made.layout
    notices = [*layout.notices, *made.notices]
    if found.damaged:
        notices.append(Notice.DAMAGED_FILES.warning(count=len(found.damaged)))
    if place.links:
        notices.append(Notice.LINKS_IGNORED.warning(count=place.links))
    return Study(
        name=name,
        volume=Volume(made.hu if layout.is_even else _evened(made.hu, layout), layout.grid),
        study_uid=stack.first.series.study_uid or None,
        series_uid=stack.first.series.series_uid or None,
        orientation=orientation_of(stack),
        sources=tuple(_source(frame) for frame in stack.frames),
        warnings=tuple(notices),
        origin=Origin(place.path.resolve(), stack.first.place.entry.name) if stack.first.place else None,
    )


def _usable(place: Place, stacks: list[Stack], series: str | None, name: str) -> _Read:
    """Returns the first stack by the rules whose values can be those of one scan, and what is said about those before it."""
    passed_over: list[StudyError] = []
    while True:
        try:
            stack = choose(stacks, place.path, series)
        except StudyError as error:
            if passed_over and error.code != Refusal.AMBIGUOUS_SERIES.code:
                raise passed_over[0] from error
            raise
        if stack.layout is None:
            raise stack.refusal or Refusal.NO_POSITIONS.error(uid=stack.name)
        try:
            hu, noticed = _pixels(place, stack)
            unusual = check_hounsfield(hu, name, max(most_hu(frame) for frame in stack.frames))
        except StudyError as error:
            if error.code not in _PASSED_OVER:
                raise
            passed_over.append(error)
            stacks = [other for other in stacks if other is not stack]
            continue
        skipped = [Notice.NEXT_SERIES.warning(reason=_PASSED_OVER[error.code]) for error in passed_over]
        return _Read(stack, stack.layout, hu, (*skipped, *noticed, *unusual))


def _stacks(frames: tuple[Frame, ...], trusted: str | None) -> list[Stack]:
    """Returns the stacks of every series. A series that claims several studies is as many, unless the user names it."""
    series: dict[tuple[str, str], list[Frame]] = {}
    for frame in frames:
        uid = frame.series.series_uid
        is_trusted = trusted is not None and (trusted == uid or trusted.startswith(f"{uid}#"))
        series.setdefault(("" if is_trusted else frame.series.study_uid, uid), []).append(frame)
    return [stack for members in series.values() for stack in stacks_of(members)]


def _pixels(place: Place, stack: Stack) -> tuple[NDArray[Any], list[ReadingWarning]]:
    """Returns Hounsfield units of every slice, ``(n, rows, columns)``, and what was noticed."""
    first, reader = stack.first.pixels, PixelReader(place)
    shape = (len(stack.frames), first.rows, first.columns)
    frames = (*stack.frames, *(other for _, other in stack.duplicates))
    hu = room(shape, np.int16 if all(map(is_whole, frames)) else np.float32)
    try:
        signs_agree = _decode(reader, stack, hu)
    except NoRoomError:
        not_needed(hu)
        hu = room(shape)
        signs_agree = _decode(reader, stack, hu)
    _check_rescales(stack, hu)
    if count := strangers(hu):
        raise Refusal.INTERLEAVED.error(uid=stack.name, count=count, slices=len(hu))
    return hu, list(_noticed(stack, signs_agree))


def _decode(reader: PixelReader, stack: Stack, hu: NDArray[Any]) -> bool:
    """Decodes every slice, and compares duplicates; one thread per core decodes, more where they wait for the disk.

    Returns:
        Whether header and pixels agree about the sign.
    """
    slices = zip(stack.frames, hu, strict=True)
    signs_agree = all(list(in_order(lambda one: reader.decode(*one), slices, processors())))
    _compare_duplicates(reader, stack, hu)
    return signs_agree


def _noticed(stack: Stack, signs_agree: bool) -> Iterator[ReadingWarning]:
    if stack.duplicates:
        yield Notice.DUPLICATES.warning(count=len(stack.duplicates))
    if not signs_agree:
        yield Notice.SIGN_MISMATCH.warning()
    if any(SYNTAXES[frame.pixels.transfer_syntax].lossy for frame in stack.frames):
        yield Notice.LOSSY.warning()
    yield from _noticed_of_headers(stack)
    tissue = [padding_hu(frame) for frame in stack.frames if not is_filling(frame)]
    if tissue:
        yield Notice.PADDING_IN_TISSUE.warning(hu=tissue[0])


def _noticed_of_headers(stack: Stack) -> Iterator[ReadingWarning]:
    """Yields a warning for what values rest on that headers do not say, or say in another way than the standard."""
    lacking = {frame.rescale.lacking for frame in stack.frames if frame.rescale.table is None}
    if any(len(names) == 2 for names in lacking):
        yield Notice.NO_RESCALE.warning()
    for name, value in (("Slope", 1), ("Intercept", 0)):
        if (name,) in lacking:
            yield Notice.HALF_RESCALE.warning(lacking=name, value=value)
    misdeclared = dict.fromkeys(name for frame in stack.frames for name in frame.misdeclared)
    if misdeclared:
        yield Notice.WRONG_REPRESENTATION.warning(names=", ".join(misdeclared))


def _check_rescales(stack: Stack, hu: NDArray[Any]) -> None:
    """Raises where values jump from slice to slice because one of them is scaled or stored wrong."""
    ways = [(frame.rescale, frame.pixels.signed, frame.pixels.bits_stored) for frame in stack.frames]
    for index, (one, other) in enumerate(pairwise(ways)):
        if one == other:
            continue
        low, high = (hu[number, ::_EVERY, ::_EVERY].astype(np.float32) for number in (index, index + 1))
        tissue = (low > _TISSUE_ABOVE_HU) | (high > _TISSUE_ABOVE_HU)
        jump = float(np.median(np.abs(low - high)[tissue])) if tissue.any() else 0.0
        if jump > limits.MOST_JUMP_HU:
            raise Refusal.RESCALE_JUMPS.error(uid=stack.name, jump=jump)


def _compare_duplicates(reader: PixelReader, stack: Stack, hu: NDArray[Any]) -> None:
    indices = {id(frame): index for index, frame in enumerate(stack.frames)}
    again = np.empty(hu.shape[1:], dtype=hu.dtype)
    for kept, other in stack.duplicates:
        reader.decode(other, again)
        if not np.array_equal(again, hu[indices[id(kept)]]):
            unit = shared_by_rounding((*stack.frames, *(frame for _, frame in stack.duplicates)))
            if unit:
                raise Refusal.ROUNDED_TOGETHER.error(uid=stack.name, unit=unit)
            where = "?" if kept.plane is None else ", ".join(f"{value:.1f}" for value in kept.plane.position_mm)
            raise Refusal.DIFFERENT_DUPLICATES.error(uid=stack.name, where=where)


def _evened(hu: NDArray[Any], layout: Layout) -> NDArray[np.float32]:
    """Returns slices at their true places, interpolated linearly to even ones."""
    even = room(layout.grid.shape)
    above = np.clip(np.searchsorted(layout.places, np.arange(len(even)), side="left"), 1, len(hu) - 1)
    for index, upper in enumerate(above):
        low, high = layout.places[upper - 1], layout.places[upper]
        weight = np.float32(np.clip((index - low) / (high - low), 0, 1))
        np.multiply(hu[upper - 1], 1 - weight, out=even[index])
        even[index] += weight * hu[upper]
    return even


def _source(frame: Frame) -> SourceSlice:
    return SourceSlice(
        sop_class_uid=frame.series.sop_class_uid,
        sop_instance_uid=frame.sop_instance_uid,
        position_mm=frame.plane.position_mm if frame.plane else (0.0, 0.0, 0.0),
        frame_number=frame.place.frame + 1 if frame.place and frame.place.frames > 1 else None,
        instance_number=frame.acquisition.instance,
    )
