"""The table of a package on grafts."""

import json
from pathlib import Path

import pytest

from benchmarks.grafts import GROUPS, LevelScore, evaluated, rows, table
from cspine.detection import Detector
from cspine.errors import DatasetError


def scores(patients: int, rise: float = 3.0) -> list[LevelScore]:
    """Returns of each scan an intact copy, a graft of C4 and a control of C5; grafts raise the logit."""
    found = []
    for n in range(patients):
        base = -2.0 + 0.1 * n
        for kind, level, severity in (
            ("intact", 4, None),
            ("intact", 5, None),
            ("graft", 4, 0.2 + 0.5 * (n % 2)),
            ("control", 5, None),
        ):
            logit = base + (rise if severity is not None else 0.0)
            found.append(LevelScore(f"{n}{kind}", f"p{n}", kind, level, severity, kind != "intact", logit, logit > 0))
    return found


def test_grafts_that_raise_the_logit_are_told_from_the_rest() -> None:
    found = {row.name: row for row in rows(scores(8))}

    assert found["AUROC of levels, grafts against the rest"].estimate.value == 1.0
    assert found["AUROC of levels, grafts against the rest"].levels == 32
    assert found["controls flagged"].levels == 8
    assert found["controls flagged"].estimate.value == 0
    assert found["intact levels flagged"].levels == 16
    assert found["grafts flagged"].estimate.value == 1
    slight, moderate, gross = (found[f"logit risen by 2: {name}"] for name in GROUPS)
    assert (slight.levels, moderate.levels, gross.levels) == (4, 0, 4)
    assert slight.estimate.value == gross.estimate.value == 1


def test_a_rise_is_measured_against_the_same_level_of_the_same_scan() -> None:
    found = {row.name: row for row in rows(scores(8, rise=1.5))}

    assert found["logit risen by 2: gross, 0.6 and more"].estimate.value == 0


def test_levels_without_a_probability_have_no_part() -> None:
    without = [LevelScore("x", "p0", "graft", 3, 0.5, True, None, False), *scores(6)]

    assert [row.levels for row in rows(without)] == [row.levels for row in rows(scores(6))]


def test_few_scans_give_no_interval_however_many_copies() -> None:
    many = [score for _ in range(20) for score in scores(2)]

    assert "(too few)" in table(rows(many)).splitlines()[2]


def test_a_folder_without_grafts_and_a_file_of_another_package_are_refused(tmp_path: Path) -> None:
    detector = Detector()
    with pytest.raises(DatasetError, match=r"Grafts are needed.*has no grafts.csv"):
        evaluated(detector, tmp_path, tmp_path / "out.json")
    (tmp_path / "grafts.csv").write_text("StudyInstanceUID,what,level,severity\n")
    (tmp_path / "out.json").write_text(json.dumps({"package": "other", "levels": []}))
    with pytest.raises(DatasetError, match="holds what another package says"):
        evaluated(detector, tmp_path, tmp_path / "out.json")
