"""Chooses the series that ``detect`` uses, by one table of rules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cspine.errors import StudyError
from cspine.geometry import Grid, Shape, Vector
from cspine.reading.frames import Frame
from cspine.reading.meaning import energy_of
from cspine.reading.messages import Notice, Refusal
from cspine.reading.pixels import SYNTAXES
from cspine.reading.stacks import Stack, is_localizer
from cspine.study import ReadingWarning

_THIN_MM = 3.0
_ENOUGH_SLICES = 30
_NECK_MM, _STEP_MM = 100.0, 25.0
_NAMED_COSINE = 0.82  # within 35 degrees; gantries tilt up to 30
_CT = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_SCREEN = ("DOSE", "SCREEN", "PROTOCOL", "SCOUT")
_BONE = ("BONE", "EDGE", "OSSEOUS", "KNOCHEN", "FC30", "FC31", "FC35", "FC80", "FC81", "YC", "YD", "YE")
_NECK = ("CSPINE", "C-SPINE", "C SPINE", "C_SPINE", "CERVICAL", "NECK", "HALS", "HWS", "CSP")


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """A stack of slices that a study could be.

    Attributes:
        place: The folder, zip or file it is in.
        name: What ``--series`` takes for it: the Series Instance UID, with ``#`` and a number where that has several stacks.
        series_uid: DICOM Series Instance UID, or ``None`` for a NIfTI file.
        study_uid: DICOM Study Instance UID, or ``None``.
        modality: For instance ``CT``; empty where the files do not say.
        orientation: ``axial``, ``sagittal``, ``coronal``, ``oblique``, or empty where it is not known.
        shape: Number of voxels, ``(z, y, x)``, or ``None`` where the geometry is refused.
        spacing_mm: Their distances, ``(z, y, x)``, or ``None``.
        extent_mm: Size of the box, ``(z, y, x)``, or ``None``.
        images: Number of images.
        kernel: Convolution kernel, as the maker names it.
        storage: How pixels are stored: the transfer syntax, or the type of a NIfTI file.
        problems: What reading warns about, or why it is refused.
        chosen: Whether ``detect`` would use it.
        reason: Why, or why not.
    """

    place: Path
    name: str
    series_uid: str | None
    study_uid: str | None
    modality: str
    orientation: str
    shape: Shape | None
    spacing_mm: Vector | None
    extent_mm: Vector | None
    images: int
    kernel: str
    storage: str
    problems: tuple[ReadingWarning, ...]
    chosen: bool
    reason: str


def refused(place: Path, error: StudyError, storage: str = "?") -> SeriesSummary:
    """Holds what is known of something that cannot be read."""
    problems = (ReadingWarning("refused", str(error)),)
    return SeriesSummary(place, "", None, None, "", "", None, None, None, 0, "", storage, problems, chosen=False, reason=str(error))


@dataclass(frozen=True, slots=True)
class Preference:
    """A rule that puts one series before another.

    Attributes:
        text: The rule, for the documentation.
        score: The higher, the better.
    """

    text: str
    score: Callable[[Stack], float]


@dataclass(frozen=True, slots=True)
class Requirement:
    """A rule that shuts a series out.

    Attributes:
        text: The rule, for the documentation.
        refusal: Why a series is shut out, or ``None``.
    """

    text: str
    refusal: Callable[[Stack], StudyError | None]


def _not_ct(stack: Stack) -> StudyError | None:
    facts = stack.first.series
    kind = facts.modality or ("CT" if facts.sop_class_uid in ("", _SECONDARY_CAPTURE, *_CT) else "another kind of object")
    return None if kind == "CT" else Refusal.NOT_CT.error(uid=facts.series_uid, kind=kind)


def _not_anatomy(stack: Stack) -> StudyError | None:
    facts = stack.first.series
    placeless = facts.sop_class_uid == _SECONDARY_CAPTURE and stack.first.plane is None
    if is_localizer(stack.first):
        return Refusal.NOT_ANATOMY.error(uid=facts.series_uid, kind="a localizer")
    if placeless or any(word in part for part in facts.image_type for word in _SCREEN):
        return Refusal.NOT_ANATOMY.error(uid=facts.series_uid, kind="a screen image")
    return None


def _is_hounsfield(stack: Stack) -> bool:
    return stack.unusual is None or stack.unusual.has_hounsfield_units


def _height(stack: Stack) -> int:
    """Returns how much of a neck a stack may show, in steps."""
    if stack.layout is None:
        return 0
    grid = stack.layout.grid
    height_mm = float(np.abs(grid.directions[2]) @ grid.extent_mm)
    return int(min(height_mm, _NECK_MM) // _STEP_MM)


REQUIREMENTS = (
    Requirement("CT, or no modality given", _not_ct),
    Requirement("no localizer, dose sheet or screen image", _not_anatomy),
    Requirement("a stack whose geometry and pixels can be read", lambda stack: stack.refusal),
)
PREFERENCES = (
    Preference("Hounsfield units before maps of something else and projections", _is_hounsfield),
    Preference("plain cross-sections before slabs and unusual energies", lambda stack: stack.unusual is None),
    Preference(f"slices at most {_THIN_MM:g} mm apart before thicker ones", lambda stack: stack.resolution_mm <= _THIN_MM),
    Preference(f"at least {_ENOUGH_SLICES} slices before fewer", lambda stack: len(stack.frames) >= _ENOUGH_SLICES),
    Preference(f"more of the height of a neck before less, up to {_NECK_MM:g} mm in steps of {_STEP_MM:g}", _height),
    Preference("axial before reformatted", lambda stack: orientation_of(stack) == "axial"),
    Preference("bone kernel before soft", lambda stack: _has_bone_kernel(stack.first)),
    Preference("named after the cervical spine or the neck before not", lambda stack: _names(stack.first.series.words, _NECK)),
    Preference(
        "mixed and mono-energetic images near 70 keV before others", lambda stack: -abs((energy_of(stack.first.series) or 70) - 70)
    ),
    Preference("thinner before thicker, by tenths of a millimetre", lambda stack: -round(stack.resolution_mm, 1)),
    Preference("more slices before fewer", lambda stack: len(stack.frames)),
)


def choose(stacks: Sequence[Stack], place: Path, series_uid: str | None = None) -> Stack:
    """Returns the stack to use.

    Args:
        stacks: Those of one place.
        place: What to call it in a message.
        series_uid: The series or stack to take, as its summary names it, whatever kind of image that is; any by default.

    Raises:
        StudyError: None can be used, or the rules cannot decide between equals.
    """
    if series_uid is not None:
        named = named_by(stacks, series_uid)
        if not named:
            choices = ", ".join(dict.fromkeys(stack.name for stack in stacks))
            raise Refusal.NO_SUCH_SERIES.error(uid=series_uid, place=place, choices=choices)
        return _best(named, [stack.refusal for stack in named], place)
    studies = {stack.first.series.study_uid for stack in stacks}
    if len(studies) > 1:
        choices = "their folders, or choose a series with --series UID"
        raise Refusal.SEVERAL_STUDIES.error(place=place, count=f"{len(studies)} studies", choices=choices)
    return _best(stacks, [_refusal(stack) for stack in stacks], place)


def named_by(stacks: Sequence[Stack], series: str) -> list[Stack]:
    """Returns the stacks of a series, or the one stack, that a name stands for."""
    exact = [stack for stack in stacks if stack.name == series]
    return exact or [stack for stack in stacks if stack.first.series.series_uid == series]


def _best(stacks: Sequence[Stack], refusals: Sequence[StudyError | None], place: Path) -> Stack:
    usable = [stack for stack, refusal in zip(stacks, refusals, strict=True) if refusal is None]
    if not usable:
        reasons = dict.fromkeys(str(refusal) for refusal in refusals)
        if len(reasons) == 1 and refusals[0] is not None:
            raise refusals[0]
        raise Refusal.NOTHING_USABLE.error(place=place, reasons=" · ".join(reasons))
    best = max(_scores(stack) for stack in usable)
    equals = [stack for stack in usable if _scores(stack) == best]
    if len(equals) > 1:
        raise Refusal.AMBIGUOUS_SERIES.error(place=place, choices=", ".join(stack.name for stack in equals))
    return equals[0]


def summaries(stacks: Sequence[Stack], place: Path) -> tuple[SeriesSummary, ...]:
    """Returns every stack of one place, the chosen one marked, and for each other one why not."""
    try:
        chosen, trouble = choose(stacks, place), ""
    except StudyError as error:
        chosen, trouble = None, str(error)
    found = []
    for stack in stacks:
        refusal = _refusal(stack)
        if stack is chosen:
            reason = "used"
        elif refusal is not None:
            reason = str(refusal)
        else:
            reason = trouble if chosen is None else _why_not(stack, chosen)
        found.append(replace(_summary(stack, place), chosen=stack is chosen, reason=reason))
    return tuple(found)


def _summary(stack: Stack, place: Path) -> SeriesSummary:
    """Describes a stack in a few words, not chosen yet."""
    facts, grid = stack.first.series, stack.layout.grid if stack.layout else None
    problems = list(stack.layout.notices) if stack.layout else []
    if stack.refusal is not None:
        problems.append(ReadingWarning("refused", str(stack.refusal)))
    if stack.duplicates:
        problems.append(Notice.DUPLICATES.warning(count=len(stack.duplicates)))
    syntax = stack.first.pixels.transfer_syntax
    return SeriesSummary(
        place=place,
        name=stack.name,
        series_uid=facts.series_uid or None,
        study_uid=facts.study_uid or None,
        modality=facts.modality,
        orientation=orientation_of(stack),
        shape=grid.shape if grid else None,
        spacing_mm=grid.spacing_mm if grid else None,
        extent_mm=grid.extent_mm if grid else None,
        images=len(stack.frames) + len(stack.duplicates),
        kernel=facts.kernel,
        storage=SYNTAXES[syntax].name if syntax in SYNTAXES else syntax,
        problems=tuple(problems),
        chosen=False,
        reason="",
    )


def orientation_of(stack: Stack) -> str:
    """Returns how a stack was stored, in a word."""
    return orientation_of_grid(stack.layout.grid) if stack.layout else ""


def orientation_of_grid(grid: Grid) -> str:
    """Returns ``axial``, ``sagittal``, ``coronal`` or ``oblique``, by the normal of the slices."""
    normal = np.abs(np.cross(grid.directions[:, 2], grid.directions[:, 1]))
    axis = int(np.argmax(normal))
    return ("sagittal", "coronal", "axial")[axis] if normal[axis] >= _NAMED_COSINE else "oblique"


def _refusal(stack: Stack) -> StudyError | None:
    return next((refusal for rule in REQUIREMENTS if (refusal := rule.refusal(stack)) is not None), None)


def _scores(stack: Stack) -> tuple[float, ...]:
    return tuple(float(rule.score(stack)) for rule in PREFERENCES)


def _why_not(stack: Stack, chosen: Stack) -> str:
    rules = zip(PREFERENCES, _scores(stack), _scores(chosen), strict=True)
    reason = "another is preferred: " + next(rule.text for rule, ours, theirs in rules if ours < theirs)
    return f"{reason}; it is {stack.unusual.kind}" if stack.unusual and not chosen.unusual else reason


def _has_bone_kernel(frame: Frame) -> bool:
    """Recognises kernels by the names that makers give: words for bone, Siemens from 60, Philips Y, Canon FC30 and FC80."""
    kernel = frame.series.kernel
    numbers = "".join(c if c.isdigit() else " " for c in kernel).split()
    siemens = kernel[:1] in ("B", "H", "J", "T", "U") and any(int(number[:2]) >= 60 for number in numbers if len(number) >= 2)
    return siemens or _names(kernel, _BONE) or _names(frame.series.words, ("BONE", "KNOCHEN"))


def _names(text: str, words: Sequence[str]) -> bool:
    return any(word in text for word in words)
