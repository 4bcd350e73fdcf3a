import json
from pathlib import Path

import pytest

from cspine.cli import main
from tests.cli.conftest import TinyRun


def compare(out: Path, *sources: Path) -> int:
    return main(["compare", *map(str, sources), "-o", str(out), "--resamples", "20"])


def test_a_run_is_compared_with_an_evaluation_of_it_and_does_not_differ(
    calibrated_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated = tmp_path / "evaluated"
    arguments = [
        "evaluate",
        str(calibrated_run.run),
        "--data",
        str(calibrated_run.data),
        "-o",
        str(evaluated),
        "--resamples",
        "5",
        "--no-localisation",
    ]
    assert main(arguments) == 0

    assert compare(tmp_path / "out", calibrated_run.run, evaluated) == 0

    data = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [model["name"] for model in data["models"]] == [calibrated_run.run.name, "evaluated"]
    assert data["models"][1]["differences"]["competition_loss_b"]["value"] == pytest.approx(0)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"comparison.html", "comparison.json", "comparison.csv"}
    assert "evaluated" in capsys.readouterr().out


def test_what_is_neither_run_nor_evaluation_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(tmp_path / "out", tmp_path) == 2
    assert "neither run.json nor scores.csv" in capsys.readouterr().err


def test_a_source_is_not_compared_with_itself(calibrated_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(tmp_path / "out", calibrated_run.run, calibrated_run.run) == 2
    assert "Received twice" in capsys.readouterr().err


def test_an_unfinished_run_is_told(tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "run.json").write_text((tiny_run.run / "run.json").read_text())

    assert compare(tmp_path / "out", tmp_path / "begun") == 2
    assert "A run can be evaluated once a fold has finished training" in capsys.readouterr().err
