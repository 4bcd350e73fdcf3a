from pathlib import Path

import pytest

from cspine.cli import main

SETTINGS = {
    "network.widths": "4,8",
    "input.size": "16,16,16",
    "input.spacing_mm": "8,8,8",
    "pool.necks": "2",
    "pool.held_out": "1",
    "pool.margin": "4,4,4",
    "batches": "2",
    "fit.epochs": "2",
    "fit.threads": "1",
}


def train(run: Path, *more: str) -> int:
    return main(["train", "localiser", "-o", str(run), *more])


def test_a_localiser_makes_its_necks_and_learns_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]

    assert train(tmp_path / "run", *settings) == 0
    assert (tmp_path / "run" / "fold-0" / "best.keras").is_file()
    assert len(list((tmp_path / "cache" / "necks").rglob("*.npz"))) == 3
    log = (tmp_path / "run" / "fold-0" / "log.csv").read_text()
    assert "epoch 2/2" in capsys.readouterr().err

    assert train(tmp_path / "run", "--resume") == 0
    assert (tmp_path / "run" / "fold-0" / "log.csv").read_text() == log


@pytest.mark.parametrize("more", [["--data", "somewhere"], ["--fold", "1"]])
def test_it_takes_no_data_and_no_fold(tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    assert train(tmp_path / "run", *more) == 2
    assert "give it neither --data nor --fold" in capsys.readouterr().err


def test_a_slice_network_needs_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "custom_cnn", "-o", str(tmp_path / "run")]) == 2
    assert "custom_cnn needs --data DIR" in capsys.readouterr().err
