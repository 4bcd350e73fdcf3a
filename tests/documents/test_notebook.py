"""The notebook runs from phantom to submission."""

import csv
from pathlib import Path

import nbformat
import pytest

from tests.documents.pages import DOCS

_NOTEBOOK = DOCS / "tutorials" / "phantom-to-submission.ipynb"


def _notebook() -> nbformat.NotebookNode:
    return nbformat.read(_NOTEBOOK, as_version=4)


def test_the_notebook_holds_no_outputs() -> None:
    code = [cell for cell in _notebook().cells if cell.cell_type == "code"]

    assert len(code) >= 5
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@pytest.mark.slow
def test_the_notebook_runs_from_phantom_to_submission(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    client = pytest.importorskip("nbclient").NotebookClient(
        _notebook(), timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    )

    client.execute()

    with (tmp_path / "submission.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert all(0 < float(row["fractured"]) < 1 for row in rows)
    assert (tmp_path / "results" / "evaluation.html").is_file()
