"""Tells trackers of experiments how training goes: MLflow and Weights & Biases, and what packages offer as ``cspine.callbacks``.

Nothing leaves this machine unless its user says so: MLflow writes to ``mlruns.db`` beside the run unless MLFLOW_TRACKING_URI is
set, Weights & Biases works offline unless WANDB_MODE is set.
"""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from cspine.errors import CspineError, UsageError, one_line
from cspine.training.core.checkpoint import EpochRecord
from cspine.training.core.log import Callback, fold_and_part
from cspine.training.core.runs import Run

CALLBACKS = "cspine.callbacks"
"""The group of entry points: each names what is called with the run and returns a :class:`cspine.training.core.log.Callback`."""

_EXPERIMENT = "cspine"


class MlflowTracker(Callback):
    """Logs every part of every fold as a run of MLflow, and goes on with it where training does."""

    def __init__(self, run: Run) -> None:
        from mlflow.tracking import MlflowClient

        self._run = run
        beside = f"sqlite:///{run.folder.absolute().parent / 'mlruns.db'}"
        self._client: Any = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or beside)
        self._ids: dict[Path, str] = {}

    def epoch(self, record: EpochRecord, of: int, home: Path) -> None:  # noqa: ARG002
        """Logs the numbers of an epoch."""
        tracked = self._ids.get(home) or self._begun(home)
        for name, value in _finite(record).items():
            self._client.log_metric(tracked, name, value, step=record.epoch)

    def close(self) -> None:
        """Ends the runs of MLflow."""
        for tracked in self._ids.values():
            self._client.set_terminated(tracked)
        self._ids = {}

    def _begun(self, home: Path) -> str:
        client, name = self._client, identity(self._run, home)
        found = client.get_experiment_by_name(_EXPERIMENT)
        experiment = client.create_experiment(_EXPERIMENT) if found is None else found.experiment_id
        known = client.search_runs([experiment], f"tags.cspine = '{name}'", max_results=1)
        if known:
            self._ids[home] = known[0].info.run_id
            return self._ids[home]
        title = f"{self._run.folder.name}/{_name_of(home)}"
        self._ids[home] = client.create_run(experiment, tags={"cspine": name}, run_name=title).info.run_id
        for key, value in _facts(self._run).items():
            client.log_param(self._ids[home], key, value)
        return self._ids[home]


class WandbTracker(Callback):
    """Logs every part of every fold as a run of Weights & Biases, offline: ``wandb sync`` sends it when its user wants that."""

    def __init__(self, run: Run) -> None:
        import wandb

        self._run, self._wandb = run, wandb
        self._home: Path | None = None
        self._tracked: Any = None

    def epoch(self, record: EpochRecord, of: int, home: Path) -> None:  # noqa: ARG002
        """Logs the numbers of an epoch."""
        if home != self._home:
            self.close()
            self._home, self._tracked = home, self._begun(home)
        self._tracked.log(_finite(record), step=record.epoch)

    def close(self) -> None:
        """Ends the run of Weights & Biases."""
        if self._tracked is not None:
            self._tracked.finish()
        self._home = self._tracked = None

    def _begun(self, home: Path) -> Any:
        return self._wandb.init(
            project=_EXPERIMENT,
            name=f"{self._run.folder.name}/{_name_of(home)}",
            id=identity(self._run, home),
            resume="allow",
            dir=str(self._run.folder),
            config=_facts(self._run),
            mode=os.environ.get("WANDB_MODE", "offline"),
            settings=self._wandb.Settings(silent=True, console="off"),
        )


TRACKERS: dict[str, Callable[[Run], Callback]] = {"mlflow": MlflowTracker, "wandb": WandbTracker}
"""Trackers by the name of the option."""


def callback_named(name: str, run: Run) -> Callback:
    """Returns what an installed package offers as a callback.

    Raises:
        UsageError: No package offers that name, or it does not return a callback.
    """
    offered = {point.name: point for point in entry_points(group=CALLBACKS)}
    if name not in offered:
        known = ", ".join(sorted(offered)) or "none is installed"
        raise UsageError(f"A callback is an entry point of {CALLBACKS}: {known}. Received: {one_line(name, 80)}")
    point = offered[name]
    try:
        made = point.load()(run)
    except CspineError:
        raise
    except Exception as error:  # it is the code of somebody else
        reason = one_line(f"{type(error).__name__}: {error}", 160)
        raise UsageError(f"The callback {name} of {point.value} cannot be made ({reason}). Correct it.") from error
    if not isinstance(made, Callback):
        raise UsageError(
            f"The callback {name} must be a cspine.training.core.log.Callback. {point.value} gives {type(made).__name__}."
        )
    return made


def callbacks(run: Run, trackers: Sequence[str], names: Sequence[str]) -> tuple[Callback, ...]:
    """Returns trackers and callbacks of a run.

    Args:
        run: The run.
        trackers: Names of :data:`TRACKERS`.
        names: Entry points of :data:`CALLBACKS`.

    Raises:
        UsageError: As :func:`callback_named`.
        ModuleNotFoundError: A tracker is not installed.
    """
    return (*(TRACKERS[name](run) for name in trackers), *(callback_named(name, run) for name in names))


def identity(run: Run, home: Path) -> str:
    """Returns a name for a part of a fold that stays the same when training goes on, and differs from that of any other."""
    return hashlib.sha256(f"{run.folder.resolve()} {_name_of(home)} {run.facts.digest}".encode()).hexdigest()[:16]


def _name_of(home: Path) -> str:
    return "/".join(filter(None, fold_and_part(home)))


def _facts(run: Run) -> dict[str, str]:
    facts = run.facts
    return {"recipe": facts.recipe, "data": facts.data, "studies": str(facts.studies), "software": facts.software, **facts.settings}


def _finite(record: EpochRecord) -> dict[str, float]:
    return {name: value for name, value in record.numbers().items() if math.isfinite(value)}
