"""A tiny run of the training wing, made once, and necks to detect fractures in."""

import io
import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.cli import main
from cspine.evaluation import StudyScores
from cspine.training.core.runs import CALIBRATION
from cspine.volume import Volume
from tests.coded import coded_volume, write_nifti
from tests.training.coded_necks import neck
from tests.training.folders import write_data_set

SETTINGS = {
    "network.widths": "4,4,4,4",
    "network.head_width": "6",
    "input.size": "48,48",
    "input.spacing_mm": "3,2,2",
    "fit.batch": "4",
    "fit.batches": "4",
    "fit.epochs": "2",
    "fit.threads": "1",
    "patches.epochs": "0",
    "split.folds": "2",
}


@dataclass(frozen=True)
class TinyRun:
    """A run with its data, a data set that it never saw, what finds the vertebrae, and what training told."""

    run: Path
    data: Path
    unseen: Path
    localiser: Path
    events: tuple[dict[str, Any], ...] = ()

    @property
    def cache(self) -> Path:
        """Returns where its prepared studies are."""
        return self.run.parent / "cache"

    def copied(self) -> Path:
        """Returns a new copy of the run, which has the same cache as it lies beside the run."""
        return Path(shutil.copytree(self.run, tempfile.mkdtemp(prefix="copy-", dir=self.run.parent), dirs_exist_ok=True))


def made_up_scores(uids: Sequence[str] = (), studies: int = 40, intact: int = 20) -> StudyScores:
    """Returns scores of enough studies for calibration and thresholds, some of them named; the last are intact."""
    rng = np.random.default_rng(0)
    fractured = np.arange(studies - intact)
    truth = np.zeros((studies, 8), dtype=bool)
    truth[fractured, 0] = True
    truth[fractured, 1 + fractured % 7] = True
    named = (*uids, *(f"9.{i}" for i in range(studies - len(uids))))
    return StudyScores(named, truth, 1 / (1 + np.exp(-(truth - 1.0 + rng.normal(size=truth.shape)))))


def calibrate_made_up(run: Path, uids: Sequence[str] = (), studies: int = 40, intact: int = 20) -> None:
    """Calibrates the first network of a run on made-up scores: those that it held out itself are far too few."""
    (run / "fold-0" / CALIBRATION).write_text(made_up_scores(uids, studies, intact).to_csv())


def train_arguments(data: Path, run: Path, *more: str) -> list[str]:
    """Returns what ``cspine`` is told so that it trains a tiny network."""
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    return ["train", "custom_cnn", "--data", str(data), "-o", str(run), *settings, *more]


def train(data: Path, run: Path, *more: str) -> int:
    """Runs ``cspine train`` with a tiny network."""
    return main(train_arguments(data, run, *more))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, coded_localiser: Path) -> TinyRun:
    """Trains fold 0 of two for two epochs, on necks of blocks."""
    place = tmp_path_factory.mktemp("training")
    data = write_data_set(place / "data", [neck(i, CERVICAL[i % 7] if i % 2 else None, mask=True) for i in range(20)])
    unseen = write_data_set(place / "unseen", [neck(i, CERVICAL[i % 7] if i % 2 else None, mask=True) for i in range(100, 110)])
    with redirect_stdout(io.StringIO()) as told:
        assert train(data, place / "run", "--set", f"localiser={coded_localiser}", "--progress", "json") == 0
    events = tuple(json.loads(line) for line in told.getvalue().splitlines())
    return TinyRun(place / "run", data, unseen, coded_localiser, events)


@pytest.fixture(scope="session")
def calibrated_run(tiny_run: TinyRun) -> TinyRun:
    """Returns the same run, calibrated on made-up scores."""
    run = tiny_run.copied()
    calibrate_made_up(run)
    return replace(tiny_run, run=run)


@pytest.fixture(scope="module")
def necks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder of studies: one intact, one fractured, one whose bone is no vertebra."""
    folder = tmp_path_factory.mktemp("necks")
    intact = coded_volume()
    write_nifti(intact, folder / "intact.nii.gz")
    write_nifti(coded_volume(fractured=[Level.C3]), folder / "broken.nii.gz")
    write_nifti(Volume(np.where(intact.hu > 100, np.float32(350), intact.hu), intact.grid), folder / "odd.nii.gz")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
