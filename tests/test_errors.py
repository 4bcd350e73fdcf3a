"""Messages show text that somebody else wrote on one line."""

import pytest

from cspine.errors import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("C4, C5", "C4, C5"),
        ("Wirbelsäule", "Wirbelsäule"),
        ("one\ntwo", r"one\ntwo"),
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ud800", r"\ud800"),
        ("", ""),
    ],
)
def test_what_others_wrote_is_shown_on_one_line_that_prints(text: str, shown: str) -> None:
    assert one_line(text) == shown
    assert one_line(text).isprintable()


def test_what_is_long_is_cut() -> None:
    assert one_line("x" * 1000, 20) == "x" * 17 + "..."
