import json
import math
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import DatasetError
from cspine.evaluation import StudyScores
from cspine.evaluation.fractures import by_fracture, read_level_truths
from cspine.evaluation.metrics import auroc

STUDIES = 40


def phantoms(folder: Path) -> list[Path]:
    """Returns forty phantoms; C2 of each second is fractured, ever more severely; C5 of each fourth has a look-alike."""
    found: list[Path] = []
    for n in range(STUDIES):
        home = folder / f"1.2.{n}"
        home.mkdir()
        broken = n % 2 == 1
        slight = {"level": "C2", "severity": n / STUDIES / 2, "kind": "lamina", "gap_mm": 3.0}
        worst = {"level": "C2", "severity": n / STUDIES, "kind": "pars" if n < 20 else "body", "gap_mm": 0.25 if n < 10 else 0.7}
        alike = [{"level": "C5", "kind": "nutrient_canal"}] if n % 4 == 0 else []
        told = {"injuries": [slight, worst] if broken else [], "lookalikes": alike}
        (home / "truth.json").write_text(json.dumps(told))
        found.append(home)
    return found


def scores() -> StudyScores:
    """Returns scores that rise with severity, 0.3 to 0.6; look-alikes are taken for fractures, all else is 0.1 or 0.2."""
    predicted = np.full((STUDIES, 8), 0.1) + 0.1 * (np.arange(STUDIES) % 3 == 0)[:, None]
    for n in range(STUDIES):
        if n % 2:
            predicted[n, 2] = 0.3 + 0.3 * n / STUDIES
        if n % 4 == 0:
            predicted[n, 5] = 0.9
    broken = np.arange(STUDIES) % 2 == 1
    truth = np.stack([broken, np.zeros(STUDIES, bool), broken, *[np.zeros(STUDIES, bool)] * 5], axis=1)
    return StudyScores(tuple(f"1.2.{n}" for n in range(STUDIES)), truth, predicted)


def test_groups_say_how_many_were_flagged_and_how_well_they_were_told_from_intact_levels(tmp_path: Path) -> None:
    given = phantoms(tmp_path)
    truths = read_level_truths(given)
    assert truths is not None

    found = {group.group: group for group in by_fracture(scores(), truths, (0.45,) * 8, resamples=200)}

    assert found["severity 0 to 0.2"].flagged.value == 0
    assert found["severity 0.8 to 1"].flagged.value == 1
    assert found["severity 0.4 to 0.6"].flagged.value == 0.5  # above severity 0.5
    assert (found["pars"].levels, found["body"].levels) == (10, 10)
    assert "lamina" not in found
    assert [found[f"gap {gap} mm"].levels for gap in ("0.2 to 0.3", "0.3 to 0.5", "0.5 to 1", "1 to 3.5")] == [5, 0, 15, 0]
    assert (found["intact, with a look-alike"].levels, found["intact, with a look-alike"].flagged.value) == (10, 1.0)
    assert (found["intact, without"].levels, found["intact, without"].flagged.value) == (7 * STUDIES - 20 - 10, 0.0)
    assert (found["body"].flagged.value, found["body"].flagged.has_interval) == (1.0, False)  # no sample has one that is missed
    assert found["body"].auroc.low < found["body"].auroc.value < found["body"].auroc.high
    assert [found[name].flagged.has_interval for name in ("severity 0.4 to 0.6", "severity 0.8 to 1")] == [False, False]  # four
    intact = [scores().scores[t.patient, t.level] for t in truths if t.severity is None]
    body = [scores().scores[t.patient, t.level] for t in truths if t.kind == "body"]
    known = np.array([False] * len(intact) + [True] * len(body))
    assert found["body"].auroc.value == pytest.approx(auroc(known, np.array(intact + body)))


def test_intact_levels_have_false_alarms_and_no_auroc(tmp_path: Path) -> None:
    found = by_fracture(scores(), read_level_truths(phantoms(tmp_path)) or [], (0.5,) * 8, resamples=10)

    names = ["intact, with a look-alike", "intact, without", "intact, with nutrient canal"]
    assert [group.group for group in found][-3:] == names
    assert math.isnan(found[-2].auroc.value)
    assert found[-3].flagged.value == found[-1].flagged.value == 1


def test_patients_have_no_such_truth(tmp_path: Path) -> None:
    assert read_level_truths([*phantoms(tmp_path), None]) is None


def test_a_truth_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    given = phantoms(tmp_path)
    (tmp_path / "1.2.3" / "truth.json").write_text("{}")

    with pytest.raises(DatasetError, match="must list injuries and lookalikes"):
        read_level_truths(given)


def test_each_level_is_called_at_its_own_threshold(tmp_path: Path) -> None:
    truths = read_level_truths(phantoms(tmp_path)) or []
    only_c5_is_hard = [0.15] * 8
    only_c5_is_hard[5] = 0.95

    found = {group.group: group for group in by_fracture(scores(), truths, only_c5_is_hard, resamples=10)}

    assert found["intact, with a look-alike"].flagged.value == 0
    assert found["pars"].flagged.value == 1
