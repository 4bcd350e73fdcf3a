import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cspine.cli import main
from cspine.cli.train import add_arguments, resume_command
from cspine.training.core.checkpoint import stored_progress
from tests.cli.conftest import TinyRun, train, train_arguments
from tests.training.synthetic import assert_same_checkpoints

_INTERRUPTED = """
import io, json, shlex, shutil, signal, sys
from contextlib import redirect_stderr
from pathlib import Path
from cspine.cli import main
from cspine.cli.screen import Screen

def interrupting(screen, done, of, losses):
    if done == 2:
        signal.raise_signal(signal.SIGINT)

whole, interrupted, stopped = map(json.loads, sys.argv[1:])
assert main(whole) == 0
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
batch, Screen.batch = Screen.batch, interrupting
with redirect_stderr(io.StringIO()) as told:
    code = main(interrupted)
shutil.copy(Path(interrupted[interrupted.index("-o") + 1]) / "fold-0" / "checkpoint.npz", stopped)
Screen.batch = batch
command = next(line for line in told.getvalue().splitlines() if "Go on with: " in line).split("Go on with: ")[1]
assert main(shlex.split(command)[1:]) == 0
sys.exit(code)
"""
"""In a process of its own, as a signal that goes wrong ends a process, and whose threads are those of the settings."""


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


def test_a_run_leaves_a_page_with_its_curves_its_numbers_and_the_next_command(tiny_run: TinyRun) -> None:
    page = (tiny_run.run / "report.html").read_text()

    assert page.count("<svg") == 1
    assert f"cspine evaluate {tiny_run.run} --data {tiny_run.data}" in page
    assert all(text in page for text in ("custom_cnn", "auroc overall", "fit.epochs", "Fold 0"))
    assert "not finished" not in page
    assert (tiny_run.run / "learning_curves.svg").read_text().startswith("<svg")


def test_progress_comes_as_lines_of_json_with_time_left_speed_and_memory(tiny_run: TinyRun) -> None:
    events = tiny_run.events

    epochs = [event for event in events if event["event"] == "epoch"]
    assert [event["epoch"] for event in epochs] == [1, 2]
    assert all(event["examples_per_second"] > 0 and event["peak_memory_gib"] > 0.1 for event in epochs)
    assert epochs[0]["seconds_left"] > epochs[1]["seconds_left"] == 0
    assert {event["batches"] for event in events if event["event"] == "batch"} == {4}
    assert events[-1]["event"] == "done"
    assert events[-1]["next"][0].startswith("cspine evaluate")


def test_an_interruption_leaves_a_checkpoint_of_the_step_under_way_and_the_command_that_goes_on(
    tiny_run: TinyRun, tmp_path: Path
) -> None:
    more = ("--cache", str(tiny_run.cache), "--set", f"localiser={tiny_run.localiser}")
    whole, run, checkpoint = tmp_path / "whole", tmp_path / "run", tmp_path / "stopped.npz"
    words = [*(train_arguments(tiny_run.data, out, *more) for out in (whole, run)), str(checkpoint)]

    ended = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, *map(json.dumps, words)], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 130, ended.stderr
    stopped = stored_progress(checkpoint)
    assert (stopped.epoch, stopped.batch) == (0, 2)
    assert_same_checkpoints(run / "fold-0", whole / "fold-0")


def test_a_finished_run_that_is_resumed_stays_as_it_is(tiny_run: TinyRun, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run.run, tmp_path / "run")
    before = (run / "fold-0" / "checkpoint.npz").read_bytes()

    code = main(["train", "custom_cnn", "--data", str(tiny_run.data), "-o", str(run), "--resume", "--cache", str(tiny_run.cache)])

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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--devices", "0"], "--devices needs a number from 1. Received: 0"),
        (["--devices", "2", "--engine", "ray"], "--devices shares batches on this machine. With --engine ray each fold has a GPU"),
        (["--devices", "3"], "--devices 3 needs batches in multiples of 3. Received: fit.batch = 4"),
        (["--devices", "2"], "--devices 2 needs KERAS_BACKEND=jax (extra train-jax). Received: torch."),
    ],
)
def test_devices_that_cannot_share_a_batch_are_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr("keras.backend.backend", lambda: "torch")

    code = train(tmp_path / "nowhere", tmp_path / "run", *arguments)

    assert code == 2
    assert message in capsys.readouterr().err


def test_the_command_that_goes_on_has_the_devices() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    options = parser.parse_args(["custom_cnn", "--data", "data", "-o", "run", "--devices", "2"])

    assert resume_command(options) == "cspine train custom_cnn --data data -o run --resume --devices 2"


def test_an_unknown_recipe_is_told_with_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "alexnet", "--data", str(tmp_path), "-o", str(tmp_path / "run")]) == 2
    assert "There is no recipe alexnet. Known: custom_cnn" in capsys.readouterr().err


def test_a_run_does_not_go_on_with_other_patients_or_settings(tiny_run: TinyRun, capsys: pytest.CaptureFixture[str]) -> None:
    begin = ["train", "custom_cnn", "-o", str(tiny_run.run), "--resume"]

    assert main([*begin, "--data", str(tiny_run.unseen)]) == 2
    assert "give the same data set or start a new run" in capsys.readouterr().err
    assert main([*begin, "--data", str(tiny_run.data), "--set", "fit.epochs=3"]) == 2
    assert "give no other recipe and no --set" in capsys.readouterr().err
