"""Joins several data sets in the RSNA layout into one: phantoms, grafts of several scans, patients.

``python -m benchmarks.joined DATA... -o JOINED`` checks every DATA as `cspine train` does, and puts its studies, masks, boxes and
truths into JOINED by hard links; by copies, where the disk cannot link. Tables have the columns of all. A study that two of them
have is refused. JOINED is there whole or not at all, and must not be there before.
"""

import argparse
import csv
import io
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from cspine.datasets import Case, Dataset, read_dataset
from cspine.datasets.tables import BOX_COLUMNS, LABEL_COLUMNS, SUBMISSION_COLUMNS, TEST_COLUMNS, read_rows
from cspine.errors import DatasetError, InputError, OutputError
from cspine.storage.files import replacing_folder, write_text

_GRAFTS = "grafts.csv"
TABLES = {
    "train.csv": LABEL_COLUMNS,
    "train_bounding_boxes.csv": BOX_COLUMNS,
    "test.csv": TEST_COLUMNS,
    "sample_submission.csv": SUBMISSION_COLUMNS,
    _GRAFTS: ("StudyInstanceUID", "what"),
}
"""Every table that is joined, with the columns that each of its parts has at least."""


def main() -> int:
    """Joins data sets; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.joined", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, metavar="DATA", help="a data set in the RSNA layout")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="JOINED", help="folder of the data set that is made")
    options = parser.parse_args()
    try:
        studies = join(options.data, options.out)
    except InputError as error:
        sys.stderr.write(f"benchmarks.joined: {error}\n")
        return 2
    sys.stdout.write(f"Joined {studies} studies of {len(options.data)} data sets: {options.out}\n")
    return 0


def join(folders: Sequence[Path], out: Path) -> int:
    """Joins data sets, and returns how many studies the new one has.

    Raises:
        DatasetError: One of them is no sound data set, or two have a study of one name.
        OutputError: ``out`` is there already, or cannot be written.
    """
    if out.exists():
        raise OutputError(f"A folder that is not there yet is needed. {out} is there: give another.")
    parts = [read_dataset(folder) for folder in folders]
    cases = _apart(parts)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(out) as made:
            for case in cases:
                _link_case(case, made)
            for name, columns in TABLES.items():
                if text := _joined_table([part.root / name for part in parts], columns):
                    write_text(made / name, text)
    except OSError as error:
        raise OutputError(f"{out} needs room and permission for the studies. Received: {error}.") from error
    return len(cases)


def _apart(parts: Sequence[Dataset]) -> list[Case]:
    """Returns the studies of all parts.

    Raises:
        DatasetError: Two have a study of one name.
    """
    found: dict[str, Path] = {}
    for part in parts:
        for case in (*part.cases, *part.test):
            if case.study_uid in found:
                raise DatasetError(
                    f"Each study is needed once. {case.study_uid} is in {found[case.study_uid]} and in {part.root}: leave one of "
                    "them out, or make phantoms with another seed."
                )
            found[case.study_uid] = part.root
    return [case for part in parts for case in (*part.cases, *part.test)]


def _link_case(case: Case, root: Path) -> None:
    """Puts the files of a study where they belong in another data set."""
    _link_folder(case.images, root / case.images.parent.name / case.study_uid)
    if case.truth is not None:
        _link_folder(case.truth, root / case.truth.parent.name / case.study_uid)
    if case.mask is not None:
        (root / case.mask.parent.name).mkdir(exist_ok=True)
        _link(case.mask, root / case.mask.parent.name / case.mask.name)


def _link_folder(source: Path, place: Path) -> None:
    place.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.is_file():
            _link(path, place / path.name)


def _link(source: Path, place: Path) -> None:
    """Makes a hard link, or a copy on another disk or one without links."""
    try:
        os.link(source.resolve(), place)
    except OSError:
        shutil.copyfile(source, place)


def _joined_table(paths: Sequence[Path], columns: Sequence[str]) -> str:
    """Returns the rows of several tables under the columns of all; empty where no table is there."""
    rows = [row for path in paths if path.is_file() for _, row in read_rows(path, columns)]
    if not any(path.is_file() for path in paths):
        return ""
    names = list(dict.fromkeys((*columns, *(name for row in rows for name in row))))
    text = io.StringIO()
    table = csv.DictWriter(text, names, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
