"""The notebook runs from phantom to submission."""

import csv
import os
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from cspine.evaluation.calibrating import LEAST_AT_POINTS
from cspine.phantoms.dataset.layout import Shares, Size
from cspine.phantoms.dataset.rsna import outline
from tests.documents.pages import DOCS, ROOT

_NOTEBOOK = DOCS / "tutorials" / "phantom-to-submission.ipynb"


_OTHERS = re.compile(r'cspine\("phantom others --studies (\d+) --seed (\d+) --size small --jobs 2"\)')

_FEW = "phantom others --studies 2 --seed 8 --size small --jobs 2"
"""Of the necks that calibrate: one that is broken and one that is not. To make all takes minutes."""

_ALLOW_FEW = """
from pathlib import Path
import cspine.training.core.evaluation
from cspine.evaluation import StudyScores
from cspine.training.core.runs import CALIBRATION
from tests.cli.conftest import made_up_scores

cspine.training.core.evaluation.LEAST_AT_POINTS = 1


def add_scores() -> None:
    for file in Path("run").glob(f"fold-*/{CALIBRATION}"):
        file.write_text(StudyScores.joined([StudyScores.from_csv(file), made_up_scores()]).to_csv())
"""


def _notebook() -> nbformat.NotebookNode:
    return nbformat.read(_NOTEBOOK, as_version=4)


def _with_few_necks() -> nbformat.NotebookNode:
    """Returns the notebook with few necks that calibrate; what they lack in number is made up."""
    notebook = _notebook()
    (cell,) = (cell for cell in notebook.cells if _OTHERS.search(cell.source))
    cell.source = _OTHERS.sub(f'cspine("{_FEW}")', cell.source)
    calibrated, evaluated = cell.source.index('cspine("calibrate'), cell.source.index('cspine("evaluate')
    assert calibrated < evaluated
    cell.source = f"{cell.source[:evaluated]}add_scores()\n{cell.source[evaluated:]}"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(_ALLOW_FEW))
    return notebook


def test_the_notebook_holds_no_outputs() -> None:
    code = [cell for cell in _notebook().cells if cell.cell_type == "code"]

    assert len(code) >= 5
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_the_necks_that_calibrate_are_enough_of_either_kind() -> None:
    (found,) = (found for cell in _notebook().cells if (found := _OTHERS.search(cell.source)))
    studies, seed = map(int, found.groups())

    fractured = sum(
        any(outline(np.random.SeedSequence(seed, spawn_key=(0, index)), Size.SMALL, Shares())[0]) for index in range(studies)
    )

    assert min(fractured, studies - fractured) >= LEAST_AT_POINTS


@pytest.mark.slow
def test_the_notebook_runs_from_phantom_to_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("keras")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    client = pytest.importorskip("nbclient").NotebookClient(
        _with_few_necks(), timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    )

    client.execute()

    with (tmp_path / "submission.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert all(0 < float(row["fractured"]) < 1 for row in rows)
    assert (tmp_path / "results" / "evaluation.html").is_file()
