import io
import json
import math
import sys
from pathlib import Path

import pytest

from cspine.cli.progress import progress
from cspine.cli.screen import JsonLines
from cspine.training.core.checkpoint import EpochRecord
from cspine.training.core.settings import FitSettings


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_where_a_terminal_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    assert list(progress(range(3), 3, "studies")) == [0, 1, 2]

    assert "studies:" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")


def test_nothing_is_drawn_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)

    assert list(progress("ab", 2, "studies")) == ["a", "b"]

    assert file.getvalue() == ""


def test_a_bar_ends_its_line_when_the_work_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    work = progress(range(3), 3, "studies")
    next(work)

    work.close()  # type: ignore[attr-defined]  # it is a generator

    assert terminal.getvalue().endswith("\n")


def test_events_say_to_which_fold_and_part_of_training_they_belong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    record = EpochRecord(1, 0.5, {}, {"auroc_cells": math.nan}, math.nan, 0.001, 2.0)

    with JsonLines() as lines:
        for home in (tmp_path / "fold-1" / "patches", tmp_path / "fold-1"):
            lines.begins(home, 1, FitSettings(epochs=1, batches=1))
            lines.batch(1, 1, {"loss": 0.5})
            lines.epoch(record, 1, home)

    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(event["event"], event["fold"], event["part"]) for event in events] == [
        ("batch", "fold-1", "patches"),
        ("epoch", "fold-1", "patches"),
        ("batch", "fold-1", None),
        ("epoch", "fold-1", None),
    ]
    assert events[1]["auroc_cells"] is None
