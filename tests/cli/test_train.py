import json
import shutil
from pathlib import Path

import pytest

from cspine.cli import main
from tests.cli.conftest import TinyRun, train


def test_a_run_says_what_was_trained_on_whom_and_how(tiny_run: TinyRun) -> None:
    facts = json.loads((tiny_run.run / "run.json").read_text())

    assert facts["recipe"] == "custom_cnn"
    assert facts["settings"]["fit.epochs"] == "2"
    assert facts["studies"] == len(facts["folds"]) == 20
    assert set(facts["folds"].values()) == {0, 1}
    assert facts["software"].startswith("keras 3")


def test_training_leaves_the_network_its_log_and_its_checkpoint(tiny_run: TinyRun) -> None:
    left = {path.name for path in (tiny_run.run / "fold-0").iterdir()}

    assert left == {"best.keras", "log.csv", "held_out.csv", "checkpoint.npz", "tensorboard"}


def test_a_finished_run_that_is_resumed_stays_as_it_is(tiny_run: TinyRun, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run.run, tmp_path / "run")
    before = (run / "fold-0" / "checkpoint.npz").read_bytes()

    code = main(["train", "custom_cnn", "--data", str(tiny_run.data), "-o", str(run), "--resume", "--cache", str(tmp_path)])

    assert code == 0
    assert (run / "fold-0" / "checkpoint.npz").read_bytes() == before


def test_a_run_is_not_written_over(tiny_run: TinyRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tiny_run.data, tiny_run.run) == 2
    assert "give --resume to go on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "fit.epoch=3"], "has no setting fit.epoch. Did you mean fit.epochs? `cspine recipes custom_cnn` lists all"),
        (["--set", "fit.epochs"], "must be given as key=value"),
        (["--fold", "7"], "--fold needs all or a number 0..1"),
        (["--resume"], "A run is a folder that `cspine train` wrote"),
        (["--data", "nowhere"], "A data set needs train.csv"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(
    tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code = train(tiny_run.data, tmp_path / "run", *arguments)

    assert code == 2
    assert message in capsys.readouterr().err


def test_an_unknown_recipe_is_told_with_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "alexnet", "--data", str(tmp_path), "-o", str(tmp_path / "run")]) == 2
    assert "There is no recipe alexnet. Known: custom_cnn" in capsys.readouterr().err


def test_a_run_does_not_go_on_with_other_patients_or_settings(tiny_run: TinyRun, capsys: pytest.CaptureFixture[str]) -> None:
    begin = ["train", "custom_cnn", "-o", str(tiny_run.run), "--resume"]

    assert main([*begin, "--data", str(tiny_run.unseen)]) == 2
    assert "give the same data set or start a new run" in capsys.readouterr().err
    assert main([*begin, "--data", str(tiny_run.data), "--set", "fit.epochs=3"]) == 2
    assert "give no other recipe and no --set" in capsys.readouterr().err
