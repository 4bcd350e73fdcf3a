"""The names and documents of the project, with their places, for tests of its vocabulary."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, by its path from the root of the repository."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Kind(Enum):
    """Says what a name is."""

    OWN = "a file, a class, a function, a variable"
    SETTING = "a field or a parameter, which callers spell"
    KEY = "an option, a key of a file, a short string"


@dataclass(frozen=True, slots=True)
class Name:
    """A name that people read or type.

    Attributes:
        place: Where it is.
        text: The name.
        kind: What it is.
    """

    place: Place
    text: str
    kind: Kind


@cache
def names() -> tuple[Name, ...]:
    """Returns the names of files, of what Python defines, of options, and the keys of manifests and results."""
    return tuple(_names())


def _names() -> Iterator[Name]:
    for path in _sources():
        yield Name(Place(_short(path), 1), path.stem, Kind.OWN)
        yield from names_of(path.read_text(encoding="utf-8"), _short(path))
    for path in sorted((ROOT / "src" / "cspine").rglob("*.json")):
        text = path.read_text(encoding="utf-8")
        for key in _keys(json.loads(text)):
            yield Name(Place(_short(path), _line_of(text, f'"{key}"')), key, Kind.KEY)


def names_of(text: str, path: str) -> Iterator[Name]:
    """Returns the names that a Python file defines, the options that it declares, and the short strings that serve as keys."""
    for node in ast.walk(ast.parse(text)):
        place = Place(path, getattr(node, "lineno", 1))
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield Name(place, name, Kind.OWN)
            case ast.arg(arg=name) | ast.AnnAssign(target=ast.Name(id=name)):
                yield Name(place, name, Kind.SETTING)
            case ast.Name(id=name, ctx=ast.Store()):
                yield Name(place, name, Kind.OWN)
            case ast.Constant(value=str(value)) if re.fullmatch(r"(--)?[a-z][a-z0-9_.-]*", value):
                yield Name(place, value.removeprefix("--").replace("-", "_"), Kind.KEY)
            case _:
                pass


def messages() -> Iterator[tuple[Place, str]]:
    """Returns the lines of all prose in the sources: messages, help texts and docstrings."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        yield from messages_of(path.read_text(encoding="utf-8"), _short(path))


def messages_of(text: str, path: str) -> Iterator[tuple[Place, str]]:
    """Returns the lines of every string of a Python file that has several words."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Constant(value=str(value), lineno=first) if " " in value:
                for number, line in enumerate(value.splitlines()):
                    yield Place(path, first + number), line
            case _:
                pass


def documents() -> Iterator[tuple[Place, str]]:
    """Returns the lines of the documents that people read: README and its like, the pages of ``docs``, the model cards."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src" / "cspine").rglob("card.md")]
    for path in sorted(page for page in pages if page.name != "CHANGELOG.md"):  # which says what was renamed
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield Place(_short(path), number), line


def _sources() -> list[Path]:
    return sorted(path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def _short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _keys(data: Any) -> Iterator[str]:
    """Returns every key of JSON data once, and the names of outputs that networks have."""
    if isinstance(data, dict):
        yield from data
        yield from (name for name in data.get("outputs", ()) if isinstance(name, str))
        for part in data.values():
            yield from _keys(part)
    elif isinstance(data, list):
        for part in data:
            yield from _keys(part)


def _line_of(text: str, wanted: str) -> int:
    return text[: max(text.find(wanted), 0)].count("\n") + 1
