"""Tests which commands each row of real scans gives, and their table."""

import argparse
import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest

from benchmarks import command
from benchmarks.ablations import Row
from benchmarks.localiser import real_scans
from benchmarks.localiser.marked import Named
from benchmarks.localiser.real_scans import ROWS, START, words
from cspine.recipes import load_recipe
from cspine.training.core.settings import parse_assignments, with_settings


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Returns the commands that are given instead of done, of a benchmark whose localiser names one of two levels right."""
    words_given: list[list[str]] = []

    def run(*one: str) -> None:
        words_given.append(list(one))
        folder = Path(one[one.index("-o") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").touch()

    marks = tmp_path / "marks.json"
    marks.write_text(json.dumps({"a": {}, "b": {}}))
    parts = {"out": tmp_path / "out", "data": tmp_path / "data", "marks": marks, "scans": tmp_path}
    options = argparse.Namespace(**parts, start="localiser", precision="mixed_bfloat16", rows=None)
    found = [Named("C2", 1.0, 0.95), Named("C3", 9.0, 0.95)]
    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(real_scans, "_arguments", lambda: options)
    monkeypatch.setattr(real_scans, "Localiser", lambda _: lambda volume: volume)
    monkeypatch.setattr(real_scans, "read_study", lambda _: SimpleNamespace(volume=None))
    monkeypatch.setattr(real_scans, "compare", lambda *_: found)
    return words_given


@pytest.mark.parametrize("row", [row for row in ROWS if row is not START], ids=lambda row: row.name)
def test_every_setting_of_a_row_acts_on_a_localiser(row: Row) -> None:
    options = argparse.Namespace(start="localiser", precision="mixed_bfloat16")
    changes = parse_assignments([value for word, value in pairwise(words(row, options)) if word == "--set"])

    changed = with_settings(load_recipe("localiser"), changes, on_data=row.name == "real_scans")

    assert changed.fit.precision == "mixed_bfloat16"
    assert changed.fit.epochs * changed.fit.batches == 1350


def test_rows_are_trained_exported_and_evaluated_once(given: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    real_scans.main()

    assert [one[0] for one in given] == ["train"] * 3 + ["export"] * 3
    assert [one[0] for one in given if "--data" in one] == ["train"]
    assert [one[one.index("--trained-on") + 1] for one in given[3:]] == ["phantoms", "phantoms", "patients and phantoms"]
    header, _, *lines = capsys.readouterr().out.strip().splitlines()
    assert header == "| trained on | levels named right | right and sure | wrong and sure | right, of the sure |"
    assert [line.split(" | ")[0] for line in lines] == [f"| {row.what}" for row in ROWS]
    assert lines[0].split(" | ")[1] == "0.500 (0.500-0.500)"

    given.clear()
    real_scans.main()
    assert [one[0] for one in given] == ["train"] * 3
    assert all("--resume" in one for one in given)


def test_on_torch_rows_are_trained_and_no_more(
    given: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")

    real_scans.main()

    assert [one[0] for one in given] == ["train"] * 3
    assert "Call the same on TensorFlow" in capsys.readouterr().out
