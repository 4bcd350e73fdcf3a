import csv
import json
from pathlib import Path

import pytest

from cspine.cli import main
from tests.cli.conftest import TinyRun


def evaluate(run: Path, data: Path, out: Path) -> int:
    return main(["evaluate", str(run), "--data", str(data), "-o", str(out), "--resamples", "20"])


def test_on_its_own_data_a_run_is_evaluated_on_the_patients_it_held_out(
    tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = evaluate(tiny_run.run, tiny_run.data, tmp_path / "out")

    assert code == 0
    assert "out of fold" in capsys.readouterr().out
    folds = json.loads((tiny_run.run / "run.json").read_text())["folds"]
    with (tmp_path / "out" / "scores.csv").open() as file:
        evaluated = {row["study_uid"] for row in csv.DictReader(file)}
    assert evaluated == {uid for uid, fold in folds.items() if fold == 0}


def test_on_other_data_every_study_is_evaluated_and_every_number_has_an_interval(
    tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = evaluate(tiny_run.run, tiny_run.unseen, tmp_path / "out")

    assert code == 0
    assert "unseen studies" in capsys.readouterr().out
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    overall = data["outputs"][0]
    assert (overall["patients"], overall["fractured"]) == (10, 5)
    assert data["about"]["thresholds"] == "chosen on the patients that calibrated"
    assert overall["estimates"]["auroc"]["low"] <= overall["estimates"]["auroc"]["value"] <= overall["estimates"]["auroc"]["high"]
    assert (tmp_path / "out" / "evaluation.csv").is_file()


def test_patients_that_the_run_was_trained_on_are_not_taken_for_unseen(
    tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header, *rows = (tiny_run.data / "train.csv").read_text().splitlines()
    some = tmp_path / "some"
    (some / "train_images").mkdir(parents=True)
    (some / "train.csv").write_text("\n".join([header, *rows[:2]]) + "\n")
    for row in rows[:2]:
        uid = row.split(",")[0]
        (some / "train_images" / uid).symlink_to(tiny_run.data / "train_images" / uid)

    assert evaluate(tiny_run.run, some, tmp_path / "out") == 2
    assert "shares 2 of 2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_no_run_is_told(tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(tmp_path, tiny_run.data, tmp_path / "out") == 2
    assert "A run is a folder that `cspine train` wrote" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told(tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("in the way")

    assert evaluate(tiny_run.run, tiny_run.data, tmp_path / "out") == 2
    assert "Choose another folder" in capsys.readouterr().err
