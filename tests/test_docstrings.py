"""Docstrings begin with a whole sentence: a verb in the third person, not a fragment such as "Of a usual volume."."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.vocabulary import ROOT, Place

_NOUNS = {
    *("Across", "Arrays", "Axes", "Boxes", "Bundles", "Bytes", "Cases", "Channels", "Characters", "Clivus"),
    *("Coordinates", "Corners", "Crowns", "Directions", "Distances", "Facts", "Files", "Folders", "Formats", "Frames"),
    *("Gaps", "Images", "Labels", "Lanes", "Layers", "Levels", "Lines", "Logits", "Masks", "Middles"),
    *("Names", "Networks", "Numbers", "Outputs", "Patients", "Pixels", "Places", "Planes", "Points", "Positions"),
    *("Probabilities", "Processors", "Rays", "Reasons", "Rows", "Scores", "Screws", "Seconds", "Sites", "Slices"),
    *("Spurs", "Streaks", "Studies", "Surfaces", "Thickness", "This", "Units", "Values", "Vertebrae", "Voxels"),
    *("Warnings", "Weights", "Windows", "Words", "Workers"),
}
_OPENS_A_FRAGMENT = re.compile(r"(What|How|Which|Where|Whether|Who|Why|Whom|Of|From|By|With|Within|Seconds)\b")


def fragments(text: str, path: str) -> Iterator[str]:
    """Returns a sentence for each docstring of a Python file that begins with a fragment."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            docstring = ast.get_docstring(node) or ""
            if docstring and not _is_a_sentence(docstring, acts=_acts(node)):
                place = Place(path, getattr(node, "lineno", 1))
                yield f"{place}: a docstring begins with a verb, as in 'Returns the grid.'. Received: {docstring.splitlines()[0]}"


def _acts(node: ast.AST) -> bool:
    """Says whether a docstring tells what its function does; that of a test explains what the name of the test says."""
    return isinstance(node, ast.FunctionDef) and not node.name.startswith("test_")


def _is_a_sentence(docstring: str, *, acts: bool) -> bool:
    first = docstring.split(maxsplit=1)[0]
    if acts:
        return first == "See" or (re.fullmatch(r"[A-Z][a-z]+s", first) is not None and first not in _NOUNS)
    return _OPENS_A_FRAGMENT.match(docstring) is None and re.search(r"\w", docstring) is not None


def _all_fragments() -> list[str]:
    files = sorted(path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
    return [one for path in files for one in fragments(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())]


def test_docstrings_begin_with_a_sentence() -> None:
    assert "\n".join(_all_fragments()) == ""


@pytest.mark.parametrize(
    "docstring", ["Of a usual volume.", "The volume of a level.", "What a level has.", "Slices of a stack.", "Frames of a file."]
)
def test_a_fragment_is_told_with_its_line(docstring: str) -> None:
    (told,) = fragments(f'\n\ndef f():\n    """{docstring}"""\n', "src/cspine/planted.py")

    assert told.startswith("src/cspine/planted.py:3: ")
    assert told.endswith(docstring)


@pytest.mark.parametrize(
    ("code", "faults"),
    [
        ('def test_a_neck_is_found():\n    """Vertebrae lie closer than voxels."""\n', 0),
        ('def test_a_neck_is_found():\n    """Who lies beside it."""\n', 1),
        ('def test_a_neck_is_found():\n    """Of a usual neck."""\n', 1),
        ('def neck():\n    """Vertebrae that lie close."""\n', 1),
        ('"""What a neck looks like."""\n', 1),
        ('class Neck:\n    """Where vertebrae lie."""\n', 1),
        ('"""."""\n', 1),
    ],
)
def test_docstrings_of_tests_modules_and_classes_are_sentences_too(code: str, faults: int) -> None:
    assert len(list(fragments(code, "tests/planted.py"))) == faults


@pytest.mark.parametrize("docstring", ["Returns the volume of a level.", "Says whether it is.", "See :class:`Level`."])
def test_a_sentence_passes(docstring: str) -> None:
    assert list(fragments(f'def f():\n    """{docstring}"""\n', "src/cspine/planted.py")) == []
