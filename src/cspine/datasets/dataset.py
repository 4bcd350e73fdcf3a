"""A data set folder in the RSNA 2022 layout, read as cases; everything wrong with it has a name.

::

    train.csv, train_bounding_boxes.csv     labels, boxes
    test.csv                                studies to be predicted
    train_images/<uid>/<n>.dcm              n = InstanceNumber
    test_images/<uid>/<n>.dcm
    segmentations/<uid>.nii                 masks
    truth/<uid>/                            what a phantom or a graft was made of
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cspine.datasets.case import Case, Problem, SliceBox
from cspine.datasets.folder import check_masks, check_slices, image_size, slice_path
from cspine.datasets.tables import BoxTable, LabelTable, TaskTable, read_boxes, read_labels, read_test_studies
from cspine.errors import DatasetError

UID_ROOT = "1.2.826.0.1.3680043."
KNOWN_BAD: Mapping[str, str] = {
    f"{UID_ROOT}20574": "left out by every published solution",
    f"{UID_ROOT}29952": "left out by two of the best solutions",
    f"{UID_ROOT}20756": "left out by several solutions",
    f"{UID_ROOT}8362": "left out by several solutions",
}
"""Studies of the RSNA 2022 data that those who worked with them leave out, and why."""

_NOTES = {"duplicate_row", "index_column", "train_and_test", "images_left_out"}
"""Problems that change nothing."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Holds what is usable of a data set folder, and what is not.

    Attributes:
        root: The folder.
        cases: Labelled studies, in the order of ``train.csv``.
        test: Studies of ``test.csv`` whose images are there.
        problems: What is wrong, in the order in which it was found.
        excluded: Studies that are left out, and why: the code of a problem, or ``known_bad: ...``.
    """

    root: Path
    cases: tuple[Case, ...]
    test: tuple[Case, ...] = ()
    problems: tuple[Problem, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)


def read_dataset(folder: str | Path, *, skip_broken: bool = False, exclude: Collection[str] = KNOWN_BAD) -> Dataset:
    """Returns the cases of a folder in the RSNA 2022 layout.

    Reads the tables, lists the images, opens the header of the smallest image of every study. ``check_case`` reads the pixels.

    Args:
        folder: Where ``train.csv`` or ``test.csv`` lies.
        skip_broken: Go on without what is broken; ``problems`` and ``excluded`` say what that is.
        exclude: Studies to leave out silently of ``problems``; give ``()`` to keep the known bad ones.

    Raises:
        DatasetError: The folder is no data set; a table lacks a column; or, without ``skip_broken``, anything is wrong.
    """
    root = Path(folder)
    labels_path, test_path = root / "train.csv", root / "test.csv"
    if not labels_path.is_file() and not test_path.is_file():
        raise DatasetError(
            f"A data set needs train.csv or test.csv. Received: {root}, which has neither. Give the folder above them."
        )
    labels = read_labels(labels_path) if labels_path.is_file() else LabelTable()
    excluded = {uid: f"known_bad: {KNOWN_BAD.get(uid, 'on the list of the caller')}" for uid in labels.fractured if uid in exclude}
    for uid in excluded:
        del labels.fractured[uid]
    _check_images(root, labels, excluded)
    boxes = _usable_boxes(root, labels, excluded)
    masks = check_masks(root / "segmentations", {**labels.fractured, **excluded, **labels.rejected}, labels.problems)
    cases = tuple(_case(root, uid, labels, boxes.get(uid, []), masks.get(uid)) for uid in labels.fractured)
    test = _test_cases(root, labels.problems, {*labels.fractured, *labels.rejected, *excluded})
    problems = tuple(labels.problems)
    if not skip_broken:
        refuse(root, problems)
    return Dataset(root, cases, test, problems, {**excluded, **labels.rejected})


def _case(root: Path, uid: str, labels: LabelTable, boxes: list[SliceBox], mask: Path | None) -> Case:
    truth = root / "truth" / uid
    images = root / "train_images" / uid
    known = truth if truth.is_dir() else None
    return Case(uid, images, labels.fractured[uid], tuple(boxes), mask, known, labels.patients.get(uid))


def _check_images(root: Path, labels: LabelTable, excluded: Mapping[str, str]) -> None:
    for uid in tuple(labels.fractured):
        problem = check_slices(root / "train_images" / uid, uid)
        if problem is not None:
            labels.reject(problem)
    for uid in _unlisted(root / "train_images", {*labels.fractured, *labels.rejected, *excluded}):
        labels.reject(Problem("unlabelled_study", f"train_images/{uid} has no row in train.csv; it is left out.", uid))


def _unlisted(images: Path, known: Collection[str]) -> list[str]:
    """Returns the folders of studies that no table knows."""
    there = images.iterdir() if images.is_dir() else ()
    return sorted(path.name for path in there if path.is_dir() and not path.name.startswith(".") and path.name not in known)


def _usable_boxes(root: Path, labels: LabelTable, excluded: Mapping[str, str]) -> dict[str, list[SliceBox]]:
    """Returns boxes of sound studies. A broken box takes all boxes of its study away: a slice without a box would look healthy."""
    path = root / "train_bounding_boxes.csv"
    table = read_boxes(path) if path.is_file() else BoxTable()
    labels.problems.extend(table.problems)
    usable: dict[str, list[SliceBox]] = {}
    for uid, boxes in table.boxes.items():
        if uid in excluded or uid in labels.rejected:
            continue
        if uid not in labels.fractured:
            text = f"{path.name} names study {uid}, which train.csv does not know; its {len(boxes)} boxes are left out."
            labels.problems.append(Problem("unknown_study", text, uid))
        elif not any(labels.fractured[uid]):
            text = f"Study {uid} has boxes of fractures, but train.csv says that nothing is fractured; the study is left out."
            labels.reject(Problem("labels_contradict", text, uid))
        elif uid not in table.broken:
            problem = _box_problem(root / "train_images" / uid, uid, boxes)
            if problem is None:
                usable[uid] = boxes
            else:
                labels.problems.append(problem)
    return usable


def _box_problem(images: Path, uid: str, boxes: list[SliceBox]) -> Problem | None:
    size = None
    for box in boxes:
        path = slice_path(images, box.slice_number)
        if not path.is_file():
            text = f"Study {uid} has a box on slice {box.slice_number}, which is not there; no box of that study is used."
            return Problem("box_without_slice", text, uid)
        size = size or image_size(path)
        if not _inside(box, size) and not _inside(box, image_size(path)):
            text = (
                f"Study {uid} has a box on slice {box.slice_number} that reaches outside the image "
                f"(x {box.x:g}..{box.x + box.width:g}, y {box.y:g}..{box.y + box.height:g}); no box of that study is used."
            )
            return Problem("box_outside_image", text, uid)
    return None


def _inside(box: SliceBox, size: tuple[int, int] | None) -> bool:
    """Says whether a box lies in the image; half a pixel over the edge is rounding."""
    if size is None:
        return False
    rows, columns = size
    return box.x >= -1 and box.y >= -1 and box.x + box.width <= columns + 1 and box.y + box.height <= rows + 1


def _test_cases(root: Path, problems: list[Problem], labelled: Collection[str]) -> tuple[Case, ...]:
    path, cases = root / "test.csv", []
    table = read_test_studies(path) if path.is_file() else TaskTable()
    problems.extend(table.problems)
    for uid in table.studies:
        images, truth = root / "test_images" / uid, root / "truth" / uid
        problem = check_slices(images, uid)
        if uid in labelled:
            text = f"Study {uid} is in train.csv and in test.csv: a model that was trained on it cannot be tested on it."
            problems.append(Problem("train_and_test", text, uid))
        if problem is None:
            cases.append(Case(uid, images, None, truth=truth if truth.is_dir() else None))
        else:
            problems.append(problem)
    for uid in _unlisted(root / "test_images", table.studies):
        problems.append(Problem("unlabelled_study", f"test_images/{uid} has no row in test.csv; it is left out.", uid))
    return tuple(cases)


def refuse(root: Path, problems: tuple[Problem, ...]) -> None:
    """Stops where anything is wrong.

    Raises:
        DatasetError: The first problem, and how many more there are.
    """
    grave = [problem for problem in problems if problem.code not in _NOTES]
    if grave:
        more = f" And {len(grave) - 1} more." if len(grave) > 1 else ""
        raise DatasetError(
            f"{root} has problems. {grave[0].text}{more} "
            f"`cspine info {root}` lists them all; --skip-broken leaves out what is broken."
        )
