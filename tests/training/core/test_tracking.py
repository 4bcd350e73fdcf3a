"""Trackers and callbacks: what they are told."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from cspine.errors import UsageError
from cspine.training.core import tracking
from cspine.training.core.checkpoint import EpochRecord
from cspine.training.core.log import Callback, Reporters, fold_and_part
from cspine.training.core.runs import Run, RunFacts
from cspine.training.core.tracking import CALLBACKS, TRACKERS, callback_named, identity
from tests.training.synthetic import Silent


def run_in(folder: Path) -> Run:
    return Run(folder, RunFacts("custom_cnn", {"fit.epochs": "2"}, "data", 10, "abc", {"1": 0}, "keras"))


def record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch, 1 / epoch, {"fracture": 0.5}, {"auroc_overall": float("nan")}, 0.5, 1e-3, 2.0)


class Remembering(Callback):
    """A callback that remembers epochs."""

    def __init__(self, run: Run) -> None:
        self.run, self.seen = run, list[int]()

    def epoch(self, record: EpochRecord, of: int, home: Path) -> None:
        self.seen.append(record.epoch)


def offer(monkeypatch: pytest.MonkeyPatch, made: object) -> None:
    module = ModuleType("somebodys_callbacks")
    module.__dict__["make"] = made
    monkeypatch.setitem(sys.modules, "somebodys_callbacks", module)
    monkeypatch.setattr(tracking, "entry_points", lambda **_: [EntryPoint("pager", "somebodys_callbacks:make", CALLBACKS)])


def test_a_callback_of_an_installed_package_is_told_of_every_epoch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, Remembering)
    made, silent = callback_named("pager", run_in(tmp_path)), Silent()

    for epoch in (1, 2):
        Reporters((silent, made)).epoch(record(epoch), 2, tmp_path / "fold-0")

    assert isinstance(made, Remembering)
    assert (made.seen, made.run, silent.epochs) == ([1, 2], run_in(tmp_path), 2)


@pytest.mark.parametrize(
    ("name", "made", "message"),
    [
        ("other", Remembering, r"A callback is an entry point of cspine.callbacks: pager. Received: other"),
        ("pager", lambda _: 3, r"must be a cspine.training.core.log.Callback. .* gives int"),
        ("pager", lambda _: 1 / 0, r"cannot be made \(ZeroDivisionError"),
    ],
)
def test_a_callback_that_is_none_is_told(
    name: str, made: object, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer(monkeypatch, made)

    with pytest.raises(UsageError, match=message):
        callback_named(name, run_in(tmp_path))


def test_parts_of_training_are_told_apart_in_every_fold(tmp_path: Path) -> None:
    run = run_in(tmp_path / "run")
    homes = [run.fold(number) / part for number in (0, 1) for part in ("patches", "heads", "")]

    assert [fold_and_part(home) for home in homes[3:]] == [("fold-1", "patches"), ("fold-1", "heads"), ("fold-1", None)]
    assert len({identity(run, home) for home in homes}) == len(homes)
    assert identity(run, homes[0]) == identity(run_in(tmp_path / "run"), homes[0])


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # of MLflow's own queries
def test_mlflow_holds_every_epoch_in_one_run_also_when_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run, home = run_in(tmp_path / "run"), tmp_path / "run" / "fold-0"
    for epoch in (1, 2):  # two processes
        tracker = TRACKERS["mlflow"](run)
        tracker.epoch(record(epoch), 2, home)
        tracker.close()

    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns.db'}")
    (found,) = client.search_runs([client.get_experiment_by_name("cspine").experiment_id])
    assert [one.value for one in client.get_metric_history(found.info.run_id, "loss")] == [1.0, 0.5]
    assert found.data.params["fit.epochs"] == "2"
    assert "auroc_overall" not in found.data.metrics
    assert found.info.status == "FINISHED"


def test_weights_and_biases_writes_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run = run_in(tmp_path / "run")
    run.folder.mkdir()

    tracker = TRACKERS["wandb"](run)
    tracker.epoch(record(1), 1, run.folder / "fold-0")
    tracker.close()

    assert list(run.folder.glob("wandb/offline-run-*/*.wandb"))
