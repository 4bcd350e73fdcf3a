"""Holds the truth and the scores of a number of studies."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.errors import DatasetError, one_line
from cspine.modelpack import OUTPUTS


@dataclass(frozen=True, slots=True, eq=False)
class StudyScores:
    """Truth and scores of some studies; one study is one patient.

    Attributes:
        study_uids: The studies.
        truth: Whether it is fractured, overall and C1..C7, ``(n, 8)``.
        scores: What a model predicts, 0..1, overall and C1..C7, ``(n, 8)``.
    """

    study_uids: tuple[str, ...]
    truth: NDArray[np.bool_]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        wanted = (len(self.study_uids), len(OUTPUTS))
        if self.truth.shape != wanted or self.scores.shape != wanted:
            raise DatasetError(f"Truth and scores must be {wanted}. Received: {self.truth.shape} and {self.scores.shape}.")

    def __len__(self) -> int:
        return len(self.study_uids)

    def some(self, which: NDArray[np.intp]) -> "StudyScores":
        """Returns some of the studies, by their place."""
        return StudyScores(tuple(self.study_uids[i] for i in which), self.truth[which], self.scores[which])

    def to_csv(self) -> str:
        """Returns a table with a row for each study."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for uid, truth, scores in zip(self.study_uids, self.truth, self.scores, strict=True):
            writer.writerow([uid, *(int(t) for t in truth), *(repr(float(s)) for s in scores)])
        return text.getvalue()

    @classmethod
    def from_csv(cls, path: Path) -> "StudyScores":
        """Reads what :meth:`to_csv` wrote.

        Raises:
            DatasetError: The file is missing or is no such table.
        """
        try:
            with path.open(newline="", encoding="utf-8") as file:
                header, *rows = list(csv.reader(file))
        except (OSError, ValueError, csv.Error) as error:
            raise DatasetError(f"{path} must be a table of scores as cspine writes it: {one_line(str(error))}") from error
        if tuple(header) != _COLUMNS:
            raise DatasetError(f"{path} must have the columns {', '.join(_COLUMNS)}. Received: {one_line(', '.join(header))}")
        bad = next((number for number, row in enumerate(rows, 2) if not _is_sound(row)), None)
        if bad is not None:
            raise DatasetError(f"{path} line {bad} must have a study, {len(OUTPUTS)} times 0 or 1, and as many scores in 0..1.")
        n = len(OUTPUTS)
        truth = np.array([[cell == "1" for cell in row[1 : n + 1]] for row in rows], dtype=bool).reshape(-1, n)
        scores = np.array([[float(cell) for cell in row[n + 1 :]] for row in rows], dtype=np.float64).reshape(-1, n)
        return cls(tuple(row[0] for row in rows), truth, scores)

    @classmethod
    def joined(cls, parts: "list[StudyScores]") -> "StudyScores":
        """Returns all studies of some parts, one part after the other."""
        return cls(
            tuple(uid for part in parts for uid in part.study_uids),
            np.concatenate([part.truth for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )


def _is_sound(row: list[str]) -> bool:
    try:
        scores = [float(cell) for cell in row[len(OUTPUTS) + 1 :]]
    except ValueError:
        return False
    truth = row[1 : len(OUTPUTS) + 1]
    return len(row) == len(_COLUMNS) and set(truth) <= {"0", "1"} and all(0 <= score <= 1 for score in scores)


_COLUMNS = ("study_uid", *(f"truth_{name}" for name in OUTPUTS), *(f"score_{name}" for name in OUTPUTS))
