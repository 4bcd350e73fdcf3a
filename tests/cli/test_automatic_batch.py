"""``--set fit.batch=auto``: the largest batch that a GPU holds, which a processor plays here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cspine.cli import main
from cspine.training.core.runs import open_run
from tests.cli.conftest import TinyRun, train
from tests.training.full_memory import hold_examples, pretend_gpu
from tests.training.synthetic import assert_same_checkpoints
from tests.training.untraced import step_by_step

AUTO = ("--set", "fit.batch=auto")
FOUND = (
    "fit.batch=auto: 32 fits, 64 does not on GPU of a test; the recipe has 16. "
    "fit.batch 16 -> 32, fit.batches 4 -> 2, fit.learning_rate 0.01 -> 0.0141421.\n"
)


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets this processor count as a GPU, and networks learn untraced."""
    pretend_gpu(monkeypatch)
    with step_by_step():
        yield


def arguments(tiny_run: TinyRun, *more: str) -> tuple[str, ...]:
    """Returns what shall be trained, in an epoch."""
    given = ("--cache", str(tiny_run.cache), "--set", f"localiser={tiny_run.localiser}", "--set", "fit.epochs=1")
    return (*given, "--set", "fit.learning_rate=0.01", *more)


def test_the_batch_is_found_told_and_recorded_and_the_run_is_that_of_the_numbers(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        tried = hold_examples(patch, 32)
        assert train(tiny_run.data, tmp_path / "found", *arguments(tiny_run, *AUTO)) == 0
    told = capsys.readouterr().err
    numbers = ("fit.batch=32", "fit.batches=2", "fit.learning_rate=0.0141421")
    given = arguments(tiny_run, *(word for number in numbers for word in ("--set", number)))
    assert train(tiny_run.data, tmp_path / "given", *given) == 0

    assert tried == [16, 32, 64, 32]  # the last is training itself
    assert FOUND in told
    found, numbered = (open_run(tmp_path / name).facts for name in ("found", "given"))
    assert found.settings == numbered.settings
    assert json.loads((tmp_path / "found" / "run.json").read_text())["batch_search"] == {
        "recipe": 16,
        "found": 32,
        "refused": 64,
        "device": "GPU of a test",
    }
    assert numbered.batch_search is None
    assert "32 fits, 64 does not on GPU of a test" in (tmp_path / "found" / "report.html").read_text()
    assert_same_checkpoints(tmp_path / "found" / "fold-0", tmp_path / "given" / "fold-0")


def test_a_run_that_is_resumed_takes_the_number_that_was_found(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    tried = hold_examples(monkeypatch, 32, trains=False)

    def interrupted(*_: Any, **__: Any) -> None:  # as Ctrl-C does, which a process in the background ignores
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cspine.training.core.batch_size.largest_batch", interrupted)
        assert train(tiny_run.data, run, *arguments(tiny_run, *AUTO)) == 130
    again = ["train", "custom_cnn", "--data", str(tiny_run.data), "-o", str(run), "--resume", "--cache", str(tiny_run.cache)]
    assert "--resume" in capsys.readouterr().err
    assert open_run(run).facts.searches

    with monkeypatch.context() as patch:
        patch.setattr("cspine.training.core.family.train", lambda *_: None)
        assert main(again) == 0
        assert (open_run(run).facts.settings["fit.batch"], tried) == ("32", [16, 32, 64])
        assert main(again) == 0

    assert tried == [16, 32, 64]
    assert open_run(run).facts.settings["fit.batches"] == "2"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--engine", "ray"), "fit.batch=auto tries batches on this machine. With --engine ray, give a number."),
        (("--resume",), "--resume goes on with the batch that was found when the run was started; give no --set."),
        (("--set", "patches.batch=auto"), "patches.batch of custom_cnn cannot be 'auto'"),
    ],
)
def test_what_cannot_be_searched_is_told_in_one_line(
    tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], message: str
) -> None:
    assert train(tiny_run.data, tmp_path / "run", *AUTO, *more) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_processor_is_told_to_take_a_number_before_anything_is_written(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cspine.training.core.batch_size.accelerator", lambda: None)

    assert train(tiny_run.data, tmp_path / "run", *AUTO) == 2
    assert "tensorflow sees none (`cspine doctor`). Give a number" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
