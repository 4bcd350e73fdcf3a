"""Writes a submission: its rows, in their order."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cspine.datasets.tables import PREDICTIONS, SUBMISSION_COLUMNS, TEST_COLUMNS, is_study, read_rows, shown_row
from cspine.errors import DatasetError, one_line


@dataclass(frozen=True, slots=True)
class SubmissionRow:
    """One number that is asked for.

    Attributes:
        row_id: Its name.
        study_uid: Of which study.
        output: 0 for ``patient_overall``, 1..7 for C1..C7.
    """

    row_id: str
    study_uid: str
    output: int


def submission_rows(root: Path) -> list[SubmissionRow]:
    """Returns the rows of ``test.csv``; in the order of ``sample_submission.csv`` where that is there.

    Raises:
        DatasetError: A table cannot be read, names an output that there is not, or the two ask for different rows.
    """
    asked: dict[str, SubmissionRow] = {}
    path = root / "test.csv"
    for number, row in read_rows(path, TEST_COLUMNS):
        row_id, uid, kind = (row[column].strip() for column in TEST_COLUMNS)
        if kind not in PREDICTIONS or not row_id or not is_study(uid) or row_id in asked:
            raise DatasetError(
                f"{path.name} line {number} needs a row_id of its own, a study and one of {', '.join(PREDICTIONS)}. "
                f"Received: {shown_row(row_id, uid, kind)}. Repair it."
            )
        asked[row_id] = SubmissionRow(row_id, uid, PREDICTIONS.index(kind))
    if not asked:
        raise DatasetError(f"A submission needs rows in {path}. Received: none.")
    sample = root / "sample_submission.csv"
    if not sample.is_file():
        return list(asked.values())
    order = [row["row_id"].strip() for _, row in read_rows(sample, SUBMISSION_COLUMNS)]
    if sorted(order) != sorted(asked):
        odd = sorted(set(order) ^ set(asked))
        raise DatasetError(
            f"sample_submission.csv and test.csv of {root} must have the same rows, each once. "
            f"Received {len(order)} and {len(asked)}{f'; only one has {one_line(odd[0], 80)}' if odd else ''}. Repair them."
        )
    return [asked[row_id] for row_id in order]


def submission_csv(rows: Sequence[SubmissionRow], values: Mapping[str, Sequence[float]]) -> str:
    """Returns the file to submit.

    Args:
        rows: What is asked for.
        values: Overall and C1..C7 of each study, by its UID.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SUBMISSION_COLUMNS)
    writer.writerows([row.row_id, f"{values[row.study_uid][row.output]:.6f}"] for row in rows)
    return text.getvalue()
