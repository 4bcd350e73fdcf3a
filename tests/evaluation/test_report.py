import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import DatasetError
from cspine.evaluation import StudyScores
from cspine.evaluation.metrics import Evaluation, evaluate
from cspine.evaluation.report import to_csv, to_json, to_table


def scores() -> StudyScores:
    rng = np.random.default_rng(0)
    levels = rng.random((30, 7)) < 0.3
    levels[:, 2] = False
    truth = np.column_stack([levels.any(axis=1), levels])
    return StudyScores(tuple(f"1.{i}" for i in range(30)), truth, rng.random(truth.shape))


def evaluation() -> Evaluation:
    return evaluate(scores(), (0.5,) * 8, resamples=20)


def test_json_holds_every_number_and_null_where_there_is_none() -> None:
    data = json.loads(to_json(evaluation(), {"run": "a"}))

    assert data["about"] == {"run": "a"}
    assert [output["output"] for output in data["outputs"]] == ["overall", *(f"C{i}" for i in range(1, 8))]
    assert data["outputs"][3]["estimates"]["auroc"] == {"value": None, "low": None, "high": None}
    assert set(data["competition_b"]) == {"value", "low", "high"}


def test_the_table_of_numbers_has_a_row_for_each() -> None:
    found = evaluation()
    rows = list(csv.DictReader(io.StringIO(to_csv(found))))

    assert len(rows) == 8 * 5 + 3
    assert float(rows[0]["value"]) == pytest.approx(found.outputs[0].estimates["auroc"].value, abs=1e-6)
    assert rows[-1]["metric"] == "competition_loss_b"


def test_people_see_every_output_and_a_dash_where_nothing_can_be_said() -> None:
    lines = to_table(evaluation()).splitlines()

    assert lines[1].startswith("overall")
    assert lines[4].split()[:3] == ["C3", "0/30", "-"]
    assert any(line.startswith("competition loss a: 0.") for line in lines)


def test_scores_come_back_from_their_table_as_they_were(tmp_path: Path) -> None:
    given = scores()
    (tmp_path / "scores.csv").write_text(given.to_csv())

    again = StudyScores.from_csv(tmp_path / "scores.csv")

    assert again.study_uids == given.study_uids
    np.testing.assert_array_equal(again.truth, given.truth)
    np.testing.assert_array_equal(again.scores, given.scores)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "study_uid\n"])
def test_another_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "scores.csv").write_text(text)

    with pytest.raises(DatasetError, match=r"scores\.csv must"):
        StudyScores.from_csv(tmp_path / "scores.csv")


def test_truth_and_scores_must_fit_the_studies() -> None:
    with pytest.raises(DatasetError, match=r"must be \(1, 8\)"):
        StudyScores(("1",), np.zeros((1, 7), dtype=bool), np.zeros((1, 8)))
