import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import DatasetError
from cspine.evaluation import StudyScores
from cspine.evaluation.report import rows, to_csv, to_json, to_table
from tests.evaluation.reports import report, scores


def test_json_holds_every_number_and_null_where_there_is_none() -> None:
    data = json.loads(to_json(report()))

    assert data["about"]["run"] == "a"
    assert [output["output"] for output in data["outputs"]] == ["overall", *(f"C{i}" for i in range(1, 8))]
    assert data["outputs"][3]["estimates"]["auroc"] == {"value": None, "low": None, "high": None}
    assert set(data["competition_b"]) == {"value", "low", "high"}
    assert data["points"][1]["name"] == "rule_out"
    assert data["localisation"]["hit_rate"]["value"] == 0
    assert data["leaky_protocol"]["accuracy"] == pytest.approx(6 / 7)
    assert {"fitted_overall", "fractures", "shortcuts"} <= set(data)


def test_the_table_of_numbers_has_a_row_for_each() -> None:
    found = report()

    read = list(csv.DictReader(io.StringIO(to_csv(found))))

    parts = [row["part"] for row in read]
    metrics = 4 + 2 * 3
    assert parts.count("output") == 8 * metrics + 4
    assert {part: parts.count(part) for part in ("all", "fractures", "localisation", "shortcuts", "leaky protocol")} == {
        "all": 4,
        "fractures": 2,
        "localisation": 1 + 4 + 7,
        "shortcuts": 2,
        "leaky protocol": 2,
    }
    assert len(read) == len(list(rows(found)))
    assert float(read[0]["value"]) == pytest.approx(found.evaluation.outputs[0].estimates["auroc"].value, abs=1e-6)
    none = next(row for row in read if (row["of"], row["metric"]) == ("C3", "auroc"))
    assert none["value"] == none["low"] == ""


def test_people_see_every_output_and_a_dash_where_nothing_can_be_said() -> None:
    lines = to_table(report()).splitlines()

    assert lines[1].startswith("overall")
    assert lines[4].split()[:3] == ["C3", "0/30", "-"]
    assert lines[9].startswith("overall, fitted")
    assert any(line.startswith("competition loss a: ") for line in lines)
    assert lines[-1].startswith("leaky protocol: accuracy 0.857 on 7 slices")


def test_what_nobody_asked_for_is_not_told() -> None:
    bare = replace(report(), fractures=(), localisation=None, shortcuts=(), leaky=None)

    assert {row.part for row in rows(bare)} == {"output", "all"}
    assert "leaky" not in to_table(bare)
    assert json.loads(to_json(bare))["localisation"] is None


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
