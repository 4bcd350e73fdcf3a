"""Do the pixels bear out what the tables, the masks and the boxes say?"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.datasets.boxes import box_in_world
from cspine.datasets.cache import Cache
from cspine.datasets.case import Case, Problem, SliceBox
from cspine.datasets.dataset import Dataset, refuse
from cspine.datasets.masks import centroids_mm, load_mask, without_small_components
from cspine.errors import DatasetError, StudyError
from cspine.imaging import sample
from cspine.reading import read_study
from cspine.study import Study
from cspine.volume import LabelMap

BONE_HU = 130.0
"""Denser than soft tissue without contrast, less dense than most cancellous bone."""

_FORMAT = 1
"""Of what a check finds; another one where the same files may be found otherwise."""

_LEFT_OUT = ("stacks_left_out", "damaged_files", "next_series")
_LEAST_BONE = 0.35
_ELSEWHERE_BETTER = 0.1
_MOVES_MM = (4.0, 8.0, 12.0, 16.0)
_PLACES = 30_000
"""So many voxels of a mask say well enough how it fits elsewhere."""

_LEAST_IN_IMAGE = 0.5
_FAR_MM = 12.0
_MOST_BOXES_OFF = 0.25
_LEAST_BOX_BONE = 0.02


@dataclass(frozen=True, slots=True)
class MaskFit:
    """Describes how well a mask fits its image.

    Attributes:
        in_image: Share of the mask's volume that lies in the image.
        bone: Share of its voxels that are bone.
        mirrored_bone: The same for the best of its mirror images along one axis of the image.
        moved_bone: The same for the best of its places 4 to 16 mm away along one axis of the image.
        moved_mm: How far away that is.
        ordered: Whether C1..C7 follow each other from head to feet.
    """

    in_image: float
    bone: float
    mirrored_bone: float
    moved_bone: float
    moved_mm: float
    ordered: bool


def check_case(case: Case) -> tuple[Problem, ...]:
    """Returns what is wrong with the images, the mask and the boxes of a case, seen from inside: every pixel is read.

    Codes: ``bad_images``, ``images_left_out``, ``bad_mask``, ``mask_empty``, ``mask_outside_image``, ``mask_upside_down``,
    ``mask_not_on_bone``, ``box_off_vertebra``.
    """
    try:
        study = read_study(case.images)
    except StudyError as error:
        return (Problem("bad_images", f"Study {case.study_uid} cannot be read: {error} It is left out.", case.study_uid),)
    return (*_left_out(case, study), *check_marks(case, study))


def check_once(case: Case, cache: Cache) -> tuple[Problem, ...]:
    """Returns what :func:`check_case` finds, from a cache where the same files and boxes were checked before.

    Files that cannot be read at all are checked each time.

    Raises:
        OutputError: The cache cannot be written.
    """
    try:
        images = case.images.iterdir() if case.images.is_dir() else [case.images]
        source = cache.content([*images, *([case.mask] if case.mask else [])])
    except OSError:
        return check_case(case)
    boxes = [asdict(box) for box in case.boxes]
    made = {"check": _FORMAT, "study": case.study_uid, "boxes": boxes}
    found = cache.text(source, made, lambda: json.dumps([asdict(problem) for problem in check_case(case)]))
    return tuple(Problem(**problem) for problem in json.loads(found))


def _left_out(case: Case, study: Study) -> Iterator[Problem]:
    """Yields the images of a study that reading does not use, for whatever reason it warns of."""
    for warning in study.warnings:
        if warning.code in _LEFT_OUT:
            yield Problem("images_left_out", f"Study {case.study_uid} is used in part. {warning.text}", case.study_uid)


def check_marks(case: Case, study: Study) -> tuple[Problem, ...]:
    """Returns what is wrong with the mask and the boxes of a case, as :func:`check_case`, for a study that has been read."""
    problems: list[Problem] = []
    mask = None
    if case.mask is not None:
        try:
            mask, fit = fit_mask(study, load_mask(case.mask))
            problem = _mask_problem(case, mask, fit)
        except DatasetError as error:
            problem = Problem("bad_mask", f"{error} Study {case.study_uid} is used without it.", case.study_uid)
        if problem is not None:
            mask = None
            problems.append(problem)
    if case.boxes and (problem := _box_problem(case, study, mask)) is not None:
        problems.append(problem)
    return tuple(problems)


def verified(
    data: Dataset, *, skip_broken: bool = False, checks: Callable[[Iterable[Case]], Iterable[tuple[Problem, ...]]] | None = None
) -> Dataset:
    """Returns the data set without what :func:`check_case` finds wrong: unreadable studies, masks and boxes that do not fit.

    Args:
        data: As :func:`read_dataset` gives it.
        skip_broken: Go on without what is wrong.
        checks: Does the checks, in order, for instance in parallel; by default :func:`check_case`, one case after the other.

    Raises:
        DatasetError: Something is wrong, and ``skip_broken`` is not set.
    """
    found = list((checks or _one_by_one)(data.cases))
    problems = tuple(problem for case_problems in found for problem in case_problems)
    if not skip_broken:
        refuse(data.root, problems)
    codes = {case.study_uid: [problem.code for problem in found] for case, found in zip(data.cases, found, strict=True) if found}
    return without(replace(data, problems=data.problems + problems), codes)


def without(data: Dataset, codes: Mapping[str, Collection[str]]) -> Dataset:
    """Returns the data set without what the problems of :func:`check_case` concern: whole studies, or their masks or boxes.

    Args:
        data: As :func:`read_dataset` gives it.
        codes: Codes of problems, by study; studies without any may be absent.
    """
    kept, excluded = [], dict(data.excluded)
    for case in data.cases:
        wrong = codes.get(case.study_uid, ())
        if "bad_images" in wrong:
            excluded[case.study_uid] = "bad_images"
            continue
        mask = None if any("mask" in code for code in wrong) else case.mask
        kept.append(replace(case, mask=mask, boxes=() if "box_off_vertebra" in wrong else case.boxes))
    return replace(data, cases=tuple(kept), excluded=excluded)


def fit_mask(study: Study, stored: LabelMap) -> tuple[LabelMap, MaskFit]:
    """Returns the mask on the grid of a study, and how well it fits."""
    clean = without_small_components(stored)
    mask = sample(clean, study.volume.grid)
    marked = mask.labels > 0
    bone = study.volume.hu > BONE_HU
    volumes = [np.count_nonzero(m.labels) * abs(np.linalg.det(m.grid.affine[:3, :3])) for m in (clean, mask)]
    moved_bone, moved_mm = _best_moved(bone, marked, study.volume.grid.spacing_mm)
    heights = [place[2] for level, place in sorted(centroids_mm(mask).items()) if level in CERVICAL]
    return mask, MaskFit(
        in_image=float(volumes[1] / volumes[0]) if volumes[0] else 0.0,
        bone=_share(bone, marked),
        mirrored_bone=max(_share(bone, np.flip(marked, axis)) for axis in range(3)),
        moved_bone=moved_bone,
        moved_mm=moved_mm,
        ordered=heights == sorted(heights, reverse=True),
    )


def _one_by_one(cases: Iterable[Case]) -> Iterable[tuple[Problem, ...]]:
    return map(check_case, cases)


def _share(bone: NDArray[np.bool_], marked: NDArray[np.bool_]) -> float:
    count = np.count_nonzero(marked)
    return float(np.count_nonzero(bone & marked) / count) if count else 0.0


def _best_moved(bone: NDArray[np.bool_], marked: NDArray[np.bool_], spacing_mm: Sequence[float]) -> tuple[float, float]:
    """Returns the largest share of bone that a mask has some millimetres away, and how many; what leaves the image is no bone."""
    places = np.argwhere(marked)
    places = places[:: max(1, len(places) // _PLACES)]
    best = (0.0, 0.0)
    for axis, size_mm in enumerate(spacing_mm):
        for way_mm in (sign * move for move in _MOVES_MM for sign in (-1, 1)):
            there = places[:, axis] + round(way_mm / size_mm)
            inside = (there >= 0) & (there < bone.shape[axis])
            index = [there[inside] if n == axis else places[inside, n] for n in range(3)]
            share = np.count_nonzero(bone[tuple(index)]) / max(len(places), 1)
            best = max(best, (share, abs(way_mm)))
    return best


def _mask_problem(case: Case, mask: LabelMap, fit: MaskFit) -> Problem | None:
    if case.mask is None:
        return None
    if fit.in_image < _LEAST_IN_IMAGE:
        empty = not np.any(load_mask(case.mask).labels)
        code, fault = ("mask_empty", "marks nothing") if empty else ("mask_outside_image", f"has {fit.in_image:.0%} in the image")
    elif not np.isin(mask.labels, CERVICAL).any():
        code, fault = "mask_empty", "marks none of C1..C7"
    elif not fit.ordered:
        code, fault = "mask_upside_down", "does not show C1..C7 from head to feet"
    elif fit.mirrored_bone > fit.bone + _ELSEWHERE_BETTER:
        code, fault = "mask_not_on_bone", f"is {fit.bone:.0%} bone, and {fit.mirrored_bone:.0%} when mirrored"
    elif fit.bone < _LEAST_BONE or fit.moved_bone > fit.bone + _ELSEWHERE_BETTER:
        code, fault = "mask_not_on_bone", f"is {fit.bone:.0%} bone, and {fit.moved_bone:.0%} when moved by {fit.moved_mm:g} mm"
    else:
        return None
    text = f"segmentations/{case.mask.name} {fault}; study {case.study_uid} is used without it."
    return Problem(code, text, case.study_uid)


def _box_problem(case: Case, study: Study, mask: LabelMap | None) -> Problem | None:
    try:
        off = [box.slice_number for box in case.boxes if not _on_vertebra(case, study, mask, box)]
    except DatasetError as error:
        return Problem("box_off_vertebra", f"{error} No box of study {case.study_uid} is used.", case.study_uid)
    if len(off) <= _MOST_BOXES_OFF * len(case.boxes):
        return None
    what = "lie on no bone" if mask is None else "lie far from every vertebra of the mask"
    text = f"Study {case.study_uid} has {len(off)} of {len(case.boxes)} boxes that {what}, as on slice {off[0]}; none is used."
    return Problem("box_off_vertebra", text, case.study_uid)


def _on_vertebra(case: Case, study: Study, mask: LabelMap | None, box: SliceBox) -> bool:
    placed = box_in_world(study, case, box)
    grid = study.volume.grid
    k = placed.slice_index
    if mask is None:
        rows, columns = (slice(max(0, round(a)), max(0, round(b)) + 1) for a, b in (placed.rows, placed.columns))
        inside = study.volume.hu[k, rows, columns]
        return bool(inside.size and np.mean(inside > BONE_HU) >= _LEAST_BOX_BONE)
    _, j, i = grid.index(placed.centre_mm)
    found = np.argwhere(mask.labels[k] > 0)
    if not len(found):
        return False
    distance = np.hypot((found[:, 0] - j) * grid.spacing_mm[1], (found[:, 1] - i) * grid.spacing_mm[2])
    return float(distance.min()) <= _FAR_MM
