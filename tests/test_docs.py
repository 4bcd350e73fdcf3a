"""Everything that a user can type is described on a page that somebody wrote: pages made from the code describe nothing."""

import argparse
import re
from importlib import import_module
from pathlib import Path

import pytest

from cspine.cli import COMMANDS
from cspine.detection.quality import _ODD
from tests.documents.pages import MADE

_ROOT = Path(__file__).parents[1]
_PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in (_ROOT / "README.md", *(_ROOT / "docs").rglob("*.md"))
    if path.name not in MADE
}
_SOURCES = ("detection/*.py", "serving.py", "locating/weighing.py", "locating/coarse_to_fine.py")
"""Where the reasons of results come from."""


def _options(command: str) -> list[list[str]]:
    """Returns the options of a command, each with all ways to write it."""
    parser = argparse.ArgumentParser(add_help=False)
    import_module(f"cspine.cli.{command}").add_arguments(parser)
    return [list(action.option_strings) for action in parser._actions if action.option_strings]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_every_option_of_it_is_described(command: str) -> None:
    about = [text for text in _PAGES.values() if f"cspine {command}" in text]

    assert about != []
    assert [ways for ways in _options(command) if not any(_names(text, way) for text in about for way in ways)] == []


def test_every_reason_that_a_result_may_give_is_described() -> None:
    source = _ROOT / "src" / "cspine"
    sources = [path.read_text(encoding="utf-8") for pattern in _SOURCES for path in source.glob(pattern)]
    codes = {code for text in sources for code in re.findall(r'Reason\(\s*"(\w+)"', text)} | set(_ODD)

    assert {"unsure", "extreme_noise", "not_hounsfield", "off_bone", "size_unusual", "count_doubtful", "single_precision"} <= codes
    assert [code for code in sorted(codes) if f"| `{code}` |" not in _PAGES["results.md"]] == []


def _names(text: str, option: str) -> bool:
    return re.search(rf"(?<![\w-]){option}\b", text) is not None


def test_pages_that_a_program_writes_are_not_what_describes_a_command() -> None:
    assert [name for name in MADE if name in _PAGES] == []
    assert [name for name in MADE if not (_ROOT / "docs" / "reference" / name).is_file()] == []
