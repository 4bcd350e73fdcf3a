import csv
import json
from pathlib import Path

import numpy as np
import pytest

from cspine.cli import main
from cspine.evaluation import StudyScores
from cspine.evaluation.calibrating import choose_points, fit_calibration
from cspine.training.core.runs import HELD_OUT
from tests.cli.conftest import TinyRun, made_up_scores


def evaluate(run: Path, data: Path, out: Path) -> int:
    return main(["evaluate", str(run), "--data", str(data), "-o", str(out), "--resamples", "20"])


def test_on_its_own_data_a_run_is_evaluated_on_the_patients_it_held_out(
    calibrated_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = evaluate(calibrated_run.run, calibrated_run.data, tmp_path / "out")

    assert code == 0
    assert "out of fold" in capsys.readouterr().out
    folds = json.loads((calibrated_run.run / "run.json").read_text())["folds"]
    with (tmp_path / "out" / "scores.csv").open() as file:
        evaluated = {row["study_uid"] for row in csv.DictReader(file)}
    assert evaluated == {uid for uid, fold in folds.items() if fold == 0}


def test_few_patients_without_a_calibration_are_not_evaluated(
    tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for data in (tiny_run.data, tiny_run.unseen):
        assert evaluate(tiny_run.run, data, tmp_path / "out") == 2
        assert "needs 10 studies with a fracture and 10 without" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_held_out_patients_get_the_calibration_and_thresholds_of_those_that_the_run_was_calibrated_on(
    calibrated_run: TinyRun, tmp_path: Path
) -> None:
    assert evaluate(calibrated_run.run, calibrated_run.data, tmp_path / "out") == 0

    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    held_out = StudyScores.from_csv(calibrated_run.run / "fold-0" / HELD_OUT)
    output = StudyScores.from_csv(tmp_path / "out" / "scores.csv")
    calibration = fit_calibration(made_up_scores())
    assert data["about"]["thresholds"] == "chosen on the patients that calibrated"
    np.testing.assert_allclose(output.scores, calibration.apply(held_out.scores), atol=1e-12)
    known = calibration.apply(made_up_scores().scores)
    chosen = choose_points(made_up_scores().truth, known)
    assert [tuple(point["thresholds"]) for point in data["points"]] == [point.thresholds for point in chosen]


def test_on_other_data_every_study_is_evaluated_and_every_number_has_an_interval(
    calibrated_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = evaluate(calibrated_run.run, calibrated_run.unseen, tmp_path / "out")

    assert code == 0
    assert "unseen studies" in capsys.readouterr().out
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    overall = data["outputs"][0]
    assert (overall["patients"], overall["fractured"]) == (10, 5)
    assert data["about"]["thresholds"] == "chosen on the patients that calibrated"
    assert overall["estimates"]["auroc"]["low"] <= overall["estimates"]["auroc"]["value"] <= overall["estimates"]["auroc"]["high"]
    assert (tmp_path / "out" / "evaluation.csv").is_file()


def test_half_precision_changes_scores_a_little_and_is_named(
    calibrated_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(calibrated_run.run), "--data", str(calibrated_run.unseen), "--resamples", "20"]

    assert main([*words, "-o", str(tmp_path / "half"), "--precision", "mixed_bfloat16"]) == 0
    assert main([*words, "-o", str(tmp_path / "whole")]) == 0

    half, whole = (StudyScores.from_csv(tmp_path / name / "scores.csv").scores for name in ("half", "whole"))
    assert not np.array_equal(half, whole)
    np.testing.assert_allclose(half, whole, atol=0.05)
    shown = capsys.readouterr().out
    assert shown.count("network of fold 0, in mixed_bfloat16") == 1
    assert main([*words, "-o", str(tmp_path / "no"), "--precision", "mixed_bfloat16", "--engine", "ray"]) == 2
    assert "Received: --engine ray --precision mixed_bfloat16." in capsys.readouterr().err


def test_patients_that_the_run_was_trained_on_are_not_taken_for_unseen(
    calibrated_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header, *rows = (calibrated_run.data / "train.csv").read_text().splitlines()
    some = tmp_path / "some"
    (some / "train_images").mkdir(parents=True)
    (some / "train.csv").write_text("\n".join([header, *rows[:2]]) + "\n")
    for row in rows[:2]:
        uid = row.split(",")[0]
        (some / "train_images" / uid).symlink_to(calibrated_run.data / "train_images" / uid)

    assert evaluate(calibrated_run.run, some, tmp_path / "out") == 2
    assert "shares 2 of 2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_no_run_is_told(calibrated_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(tmp_path, calibrated_run.data, tmp_path / "out") == 2
    assert "A run is a folder that `cspine train` wrote" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told(
    calibrated_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("in the way")

    assert evaluate(calibrated_run.run, calibrated_run.data, tmp_path / "out") == 2
    assert "Choose another folder" in capsys.readouterr().err
