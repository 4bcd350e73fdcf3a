"""A tiny run of the training wing, made once."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from cspine.cli import main
from tests.training.folders import write_data_set
from tests.training.synthetic import stack

SETTINGS = {
    "network.widths": "4,4,4,4",
    "network.head_width": "6",
    "input.size": "32,32",
    "input.spacing_mm": "2,2,2",
    "fit.batch": "4",
    "fit.batches": "4",
    "fit.epochs": "2",
    "fit.threads": "1",
    "split.folds": "2",
}


@dataclass(frozen=True)
class TinyRun:
    """A run with its data, and a data set that it never saw."""

    run: Path
    data: Path
    unseen: Path


def train(data: Path, run: Path, *more: str) -> int:
    """``cspine train`` with a tiny network."""
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    return main(["train", "custom_cnn", "--data", str(data), "-o", str(run), *settings, *more])


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """Fold 0 of two, trained for two epochs."""
    place = tmp_path_factory.mktemp("training")
    data = write_data_set(place / "data", [stack(i, i % 7 if i % 2 else None) for i in range(20)])
    unseen = write_data_set(place / "unseen", [stack(i, i % 7 if i % 2 else None) for i in range(100, 110)])
    assert train(data, place / "run") == 0
    return TinyRun(place / "run", data, unseen)
