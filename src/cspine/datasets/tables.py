"""The tables of the RSNA 2022 layout, read row by row; what is wrong is reported, not dropped."""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cspine.anatomy import CERVICAL
from cspine.datasets.case import Problem, SliceBox
from cspine.errors import DatasetError, one_line

LEVEL_COLUMNS = tuple(level.name for level in CERVICAL)
LABEL_COLUMNS = ("StudyInstanceUID", "patient_overall", *LEVEL_COLUMNS)
PATIENT_COLUMN = "patient"
"""May stand in ``train.csv`` besides: who a study shows, where several studies show one patient, as grafts do."""

BOX_COLUMNS = ("StudyInstanceUID", "x", "y", "width", "height", "slice_number")
TEST_COLUMNS = ("row_id", "StudyInstanceUID", "prediction_type")
SUBMISSION_COLUMNS = ("row_id", "fractured")
PREDICTIONS = ("patient_overall", *LEVEL_COLUMNS)
"""The eight outputs of a study, in the order of ``train.csv``."""

_BEYOND = "cells beyond the last column"
"""Where a row keeps them; a column without a name has the empty one."""

_INDEX = re.compile(r"(Unnamed: \d+(\.\d+)*)?")
"""What pandas calls the column of an index that it wrote, and that it wrote again."""

_LONGEST_UID = 128
"""Letters of the name of a study: twice what DICOM allows."""

_MOST_SLICES = 10**7
"""Numbers of images stay far below."""

_TRUTH_VALUES = {"0": False, "1": True}


@dataclass(slots=True)
class LabelTable:
    """Holds what ``train.csv`` says.

    Attributes:
        fractured: C1..C7 of every sound row, in the order of the file.
        patients: Who a study shows, where the file has a column ``patient`` and something in it.
        rejected: Studies whose row cannot be used, and why.
        problems: What is wrong with the file.
    """

    fractured: dict[str, tuple[bool, ...]] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def reject(self, problem: Problem) -> None:
        """Notes the problem and takes its study out."""
        self.problems.append(problem)
        if problem.study_uid:
            self.fractured.pop(problem.study_uid, None)
            self.rejected[problem.study_uid] = problem.code


@dataclass(slots=True)
class BoxTable:
    """Holds what ``train_bounding_boxes.csv`` says.

    Attributes:
        boxes: Per study, in the order of the file.
        broken: Studies of which a row cannot be read.
        problems: What is wrong with the file.
    """

    boxes: dict[str, list[SliceBox]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TaskTable:
    """Holds what ``test.csv`` says.

    Attributes:
        studies: Each once, in the order of the file.
        problems: What is wrong with the file.
    """

    studies: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_labels(path: Path) -> LabelTable:
    """Returns the labels of ``train.csv``.

    Raises:
        DatasetError: The file cannot be read or lacks a column.
    """
    table = LabelTable()
    for number, row in _rows(path, LABEL_COLUMNS, table.problems):
        uid = row["StudyInstanceUID"].strip()
        if not is_study(uid):
            table.reject(Problem("bad_row", f"{path.name} line {number} has no StudyInstanceUID{_but(uid)}; it is left out."))
            continue
        where = f"{path.name} line {number}, study {uid},"
        if _BEYOND in row:
            table.reject(Problem("bad_row", f"{where} has more cells than the table has columns; it is left out.", uid))
            continue
        values = [_TRUTH_VALUES.get(_plain(row[column])) for column in PREDICTIONS]
        if any(value is None for value in values):
            table.reject(Problem("bad_row", f"{where} needs 0 or 1 in {', '.join(PREDICTIONS)}; it is left out.", uid))
            continue
        overall, levels = bool(values[0]), tuple(bool(value) for value in values[1:])
        if uid in table.rejected:
            continue
        if overall != any(levels):
            text = f"{where} says patient_overall {overall:d}, but its levels say {any(levels):d}; the study is left out."
            table.reject(Problem("labels_contradict", text, uid))
        elif table.fractured.get(uid, levels) != levels:
            table.reject(Problem("labels_contradict", f"{where} contradicts an earlier row; the study is left out.", uid))
        elif uid in table.fractured:
            table.problems.append(Problem("duplicate_row", f"{where} repeats an earlier row; one is kept.", uid))
        else:
            table.fractured[uid] = levels
            if patient := (row.get(PATIENT_COLUMN) or "").strip():
                table.patients[uid] = patient
    return table


def read_boxes(path: Path) -> BoxTable:
    """Returns the boxes of ``train_bounding_boxes.csv``.

    Raises:
        DatasetError: The file cannot be read or lacks a column.
    """
    table = BoxTable()
    for number, row in _rows(path, BOX_COLUMNS, table.problems):
        uid = row["StudyInstanceUID"].strip()
        if not is_study(uid):
            text = f"{path.name} line {number} has no StudyInstanceUID{_but(uid)}; it is left out."
            table.problems.append(Problem("bad_box", text))
            continue
        x, y, width, height, slice_number = (_number(row[column]) for column in BOX_COLUMNS[1:])
        whole = slice_number == round(slice_number) if abs(slice_number) < _MOST_SLICES else False
        if (
            _BEYOND in row
            or not whole
            or not all(map(math.isfinite, (x, y)))
            or not (0 < width < math.inf and 0 < height < math.inf)
        ):
            text = f"{path.name} line {number}, study {uid}, needs five numbers and a positive size; no box of that study is used."
            table.problems.append(Problem("bad_box", text, uid))
            table.broken.add(uid)
            continue
        box, others = SliceBox(int(slice_number), x, y, width, height), table.boxes.setdefault(uid, [])
        if box in others:
            text = f"{path.name} line {number}, study {uid}, repeats an earlier box; one is kept."
            table.problems.append(Problem("duplicate_row", text, uid))
            continue
        others.append(box)
    return table


def read_test_studies(path: Path) -> TaskTable:
    """Returns the studies of ``test.csv``.

    Raises:
        DatasetError: The file cannot be read or lacks a column.
    """
    studies: dict[str, None] = {}
    rows: set[str] = set()
    problems: list[Problem] = []
    for number, row in _rows(path, TEST_COLUMNS, problems):
        row_id, uid, kind = (row[column].strip() for column in TEST_COLUMNS)
        if is_study(uid) and kind in PREDICTIONS and row_id and row_id not in rows:
            rows.add(row_id)
            studies[uid] = None
        else:
            text = (
                f"{path.name} line {number} needs a row_id of its own, a study and one of {', '.join(PREDICTIONS)}."
                f" Received: {shown_row(row_id, uid, kind)}; it is left out."
            )
            problems.append(Problem("bad_row", text, uid if is_study(uid) else None))
    return TaskTable(tuple(studies), tuple(problems))


def _rows(path: Path, columns: Sequence[str], problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the same as :func:`read_rows`, and notes once where there is a column of an index, which says nothing."""
    for place, (number, row) in enumerate(read_rows(path, columns)):
        found = [one_line(name, 40) or "without a name" for name in row if _INDEX.fullmatch(name.strip())] if place == 0 else []
        if found:
            text = f"{path.name} has the column of an index ({', '.join(found)}), as pandas writes it; it is ignored."
            problems.append(Problem("index_column", text))
        yield number, row


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the line numbers and rows of a table; missing cells are empty, and cells too many stand under a name of their own.

    Raises:
        DatasetError: The file cannot be read or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey=_BEYOND, restval="")
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                came = one_line(", ".join(reader.fieldnames or ())) or "an empty file"
                raise DatasetError(
                    f"{path} needs the columns {', '.join(columns)}. Missing: {', '.join(missing)}. Received: {came}."
                )
            for row in reader:
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{path} cannot be read as a table ({one_line(str(error))}). Give it as comma-separated UTF-8 text."
        ) from error


def is_study(uid: str) -> bool:
    """Says whether a cell may name a study, and so a folder or file: a plain name, and no way out of the folder."""
    return uid.isprintable() and 0 < len(uid) <= _LONGEST_UID and not uid.startswith(".") and not set("/\\:") & set(uid)


def shown_row(row_id: str, uid: str, kind: str) -> str:
    """Returns the cells of a task, as a message shows them."""
    cells = (row_id or "no row_id", uid or "no study", kind or "nothing")
    return ", ".join(one_line(cell, 80) for cell in cells)


def _but(uid: str) -> str:
    return f", but {one_line(uid, 80)}" if uid else ""


def _plain(cell: str) -> str:
    """Returns a whole number; ``1.0`` as a spreadsheet writes it is ``1``."""
    return cell.strip().removesuffix(".0")


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
