import io
import sys

import pytest

from cspine.cli.progress import progress


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
