from pathlib import Path

import pytest

from cspine.cli import main
from tests.training.untraced import step_by_step

SETTINGS = {
    "network.widths": "4,8",
    "input.size": "16,16,24",
    "input.spacing_mm": "4,4,4",
    "pool.necks": "1",
    "pool.held_out": "1",
    "pool.size": "48,32,32",
    "fit.batch": "1",
    "fit.batches": "2",
    "fit.epochs": "1",
    "fit.threads": "1",
}


def train(run: Path, *more: str) -> int:
    with step_by_step():
        return main(["train", "refiner", "-o", str(run), *more])


def test_a_refiner_makes_its_necks_and_learns_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]

    assert train(tmp_path / "run", *settings) == 0
    assert (tmp_path / "run" / "fold-0" / "last.keras").is_file()
    assert len(list((tmp_path / "cache" / "necks").rglob("*.npz"))) == 2
    log = (tmp_path / "run" / "fold-0" / "log.csv").read_text()
    assert "epoch 1/1" in capsys.readouterr().err

    assert train(tmp_path / "run", "--resume") == 0
    assert (tmp_path / "run" / "fold-0" / "log.csv").read_text() == log


@pytest.mark.parametrize("more", [["--data", "somewhere"], ["--fold", "1"]])
def test_it_takes_no_data_and_no_fold(tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    assert train(tmp_path / "run", *more) == 2
    assert "give neither --data nor --fold" in capsys.readouterr().err
