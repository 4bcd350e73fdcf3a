"""Every term of the glossary is where the glossary says."""

import argparse
import ast
import json
import re
from importlib import import_module
from pathlib import Path

import pytest

from cspine.cli import COMMANDS
from cspine.recipes import load_recipe, recipe_names
from cspine.training.core.settings import settings

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "reference" / "glossary.md"
_MANIFESTS = sorted((_ROOT / "src" / "cspine" / "modelpack" / "packages").glob("*/manifest.json"))


def _table(head: str) -> list[list[str]]:
    """Returns the rows of a table of the page, by how its head begins."""
    lines = _PAGE.read_text(encoding="utf-8").split(head)[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


_ROWS, _SOUGHT = _table("| Term "), _table("| Looked for ")
_WANTED = (
    "augmentation",
    "calibration",
    "fracture-enriched",
    "level map",
    "localisation",
    "look-alike",
    "operating point",
    "overlap",
    "phantom",
    "pseudo-label",
    "refusal",
    "sliding window",
    "teacher",
    "test-time augmentation (TTA)",
)


def _fault(reference: str) -> str | None:
    """Returns what is wrong with a reference in backticks; ``None`` where it is right."""
    if reference.startswith("cspine "):
        return _fault_of_command(*reference.split()[1:])
    if reference.startswith("cspine."):
        return None if _is_defined(reference.split(".")) else f"{reference} is defined nowhere"
    return None if (_ROOT / reference).exists() else f"there is no file {reference}"


def _fault_of_command(command: str, option: str | None = None) -> str | None:
    if command not in COMMANDS:
        return f"there is no command {command}"
    parser = argparse.ArgumentParser(add_help=False)
    import_module(f"cspine.cli.{command}").add_arguments(parser)
    known = {way for action in parser._actions for way in action.option_strings}
    return None if option is None or option in known else f"cspine {command} has no option {option}"


def _is_defined(parts: list[str]) -> bool:
    """Says whether a dotted name leads to a package, a module, or what a module defines; importing Keras would be slow."""
    path, rest = _ROOT / "src", list(parts)
    while rest and (path / rest[0]).is_dir():
        path /= rest.pop(0)
    if rest and (path / f"{rest[0]}.py").is_file():
        path /= f"{rest.pop(0)}.py"
    else:
        path /= "__init__.py"
    if not path.is_file():
        return False
    body: list[ast.stmt] = ast.parse(path.read_text(encoding="utf-8")).body
    for name in rest:
        found = next((node for node in body if name in _defined(node)), None)
        if found is None:
            return False
        body = getattr(found, "body", [])
    return True


def _defined(node: ast.stmt) -> set[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case _:
            return set()


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row[0])
def test_a_term_is_explained_in_a_sentence_and_is_where_the_glossary_says(row: list[str]) -> None:
    _, meaning, code, command, page = row

    references = re.findall(r"`([^`]+)`", f"{code} {command}")

    assert re.fullmatch(r"[A-Z].*\.", meaning)
    assert code != ""
    assert [fault for fault in map(_fault, references) if fault] == []
    assert [target for target in re.findall(r"\]\(([^)#]+)", page) if not (_PAGE.parent / target).is_file()] == []
    assert re.fullmatch(r"\[[^]]+\]\([\w./-]+\.md\)", page)


def test_the_terms_that_people_search_for_are_there_in_order() -> None:
    terms = [row[0] for row in _ROWS]

    assert set(_WANTED) <= set(terms)
    assert terms == sorted(terms, key=str.casefold)


def test_what_people_look_for_comes_first() -> None:
    assert [row[0] for row in _SOUGHT] == [
        "augmentation",
        "test-time augmentation (TTA)",
        "pseudo-labels",
        "calibration",
        "sliding window",
    ]


@pytest.mark.parametrize("row", _SOUGHT, ids=lambda row: row[0])
def test_what_people_look_for_is_in_these_files_under_these_settings(row: list[str]) -> None:
    _, files, setting, command, page = row

    assert [fault for fault in map(_fault, re.findall(r"`([^`]+)`", f"{files} {command}")) if fault] == []
    assert [target for target in re.findall(r"\]\(([^)#]+)", page) if not (_PAGE.parent / target).is_file()] == []
    assert _faults_of_settings(setting, files) == []


def _faults_of_settings(cell: str, files: str) -> list[str]:
    """Returns the settings of a cell that are not where it says: of a recipe, in a manifest, or in the file."""
    (path, *_) = re.findall(r"`([^`]+)`", files)
    known = {
        "of a recipe": {key for name in recipe_names() for key in settings(load_recipe(name))},
        "in a manifest": {key for found in _MANIFESTS for key in json.loads(found.read_text(encoding="utf-8"))},
        "in the file": set().union(*map(_defined, ast.parse((_ROOT / path).read_text(encoding="utf-8")).body)),
    }
    wanted = re.findall(r"`([^`]+)` (of a recipe|in a manifest|in the file)", cell)
    assert wanted != []
    return [
        name for name, place in wanted if not any(re.fullmatch(re.escape(name).replace(r"\*", r"\w+"), key) for key in known[place])
    ]


@pytest.mark.parametrize("cell", ["`tta.passes` in a manifest", "`augment.*` of a recipe", "`_STRIDE` in the file"])
def test_a_setting_that_is_not_there_is_told(cell: str) -> None:
    assert len(_faults_of_settings(cell, "`src/cspine/locating/sliding_window.py`")) == 1


@pytest.mark.parametrize(
    ("reference", "fault"),
    [
        ("cspine.modelpack.views", "defined nowhere"),
        ("cspine.modelpack.tta.from_views", "defined nowhere"),
        ("cspine.specs.VertebraSpec.beside", "defined nowhere"),
        ("cspine phantom --crowded", "no option --crowded"),
        ("cspine diagnose", "no command diagnose"),
        ("benchmarks/nothing.py", "no file"),
    ],
)
def test_a_reference_to_what_is_gone_is_told(reference: str, fault: str) -> None:
    assert fault in str(_fault(reference))
