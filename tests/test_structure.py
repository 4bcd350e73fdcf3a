"""The code keeps its shape: files that fit in a head, one class for each public name, and no imports in a circle."""

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

import pytest

from tests.vocabulary import ROOT

_MOST_LINES = 400
_MOST_LINES_OF_A_FUNCTION = 40


def _files(*folders: str) -> Iterator[tuple[str, str]]:
    """Yields the path and the text of each Python file."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def _class_names(text: str) -> Iterator[str]:
    """Yields the public classes and aliases of types that a file defines; names of one letter are variables of types."""
    for node in ast.parse(text).body:
        match node:
            case ast.ClassDef(name=name):
                yield from [name] * (not name.startswith("_"))
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield from [name] * bool(re.fullmatch(r"[A-Z]\w*[a-z]\w*", name))
            case _:
                pass


def _repeated(files: Iterable[tuple[str, str]]) -> list[str]:
    """Returns a sentence for each name that several files define."""
    homes = defaultdict(list)
    for path, text in files:
        for name in _class_names(text):
            homes[name].append(path)
    return [
        f"The class {name} needs one home. Defined in: {', '.join(paths)}. Give each a more precise name."
        for name, paths in homes.items()
        if len(paths) > 1
    ]


def _too_long(files: Iterable[tuple[str, str]]) -> list[str]:
    """Returns a sentence for each file with more lines than fit in a head."""
    lengths = {path: len(text.splitlines()) for path, text in files}
    return [
        f"A file has at most {_MOST_LINES} lines. {path} has {count}. Split it by meaning."
        for path, count in lengths.items()
        if count > _MOST_LINES
    ]


def _long_functions(files: Iterable[tuple[str, str]]) -> list[str]:
    """Returns a sentence for each function that does not fit on a screen, docstring aside; Keras models name all their layers."""
    told = []
    for path, text in files:
        tree = ast.parse(text)
        models = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "keras.Model" for base in node.bases)
            for part in node.body
        }
        functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and id(n) not in models)
        for node in functions:
            count = (node.end_lineno or 0) - node.lineno + 1 - len((ast.get_docstring(node, clean=False) or "").splitlines())
            if count > _MOST_LINES_OF_A_FUNCTION:
                told.append(f"A function has at most {_MOST_LINES_OF_A_FUNCTION} lines. {path}: {node.name} has {count}. Part it.")
    return told


def _module(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imported(text: str, known: Collection[str]) -> Iterator[str]:
    """Yields the modules that a file imports when it runs, within functions too; a package only for what its face hands on."""
    left: list[ast.AST] = [ast.parse(text)]
    while left:
        node = left.pop()
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                left += node.orelse
            case ast.ImportFrom(module=str(module), names=names):
                own = [f"{module}.{name.name}" for name in names]
                yield from (name if name in known else module for name in own)
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case _:
                left += ast.iter_child_nodes(node)


def _circles(files: Iterable[tuple[str, str]]) -> list[str]:
    """Returns a sentence for each set of modules that import each other in a circle."""
    texts = {_module(path): text for path, text in files}
    arrows = {
        module: {name for name in _imported(text, texts) if name in texts and name != module} for module, text in texts.items()
    }
    above = {module: _reached(module, arrows) for module in arrows}
    circles = {
        frozenset(other for other in above[module] if module in above[other]) for module in arrows if module in above[module]
    }
    return [f"Modules import each other in a circle: {', '.join(sorted(circle))}. Move what they share." for circle in circles]


def _reached(module: str, arrows: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    left = [module]
    while left:
        for name in arrows[left.pop()] - found:
            found.add(name)
            left.append(name)
    return found


def test_no_function_is_too_long_for_a_screen() -> None:
    assert "\n".join(_long_functions(_files("src", "tests", "benchmarks"))) == ""


@pytest.mark.parametrize(
    ("head", "lines", "count"),
    [
        ("def f():\n", 39, 0),
        ("def f():\n", 40, 1),
        ('def f():\n    """Does.\n\n    Much.\n    """\n', 38, 0),
        ("async def f():\n", 40, 1),
        ("class A:\n  def f(self):\n", 40, 1),
        ("class A(keras.Model):\n  def __init__(self):\n", 40, 0),
    ],
)
def test_a_function_may_have_40_lines_and_no_more(head: str, lines: int, count: int) -> None:
    assert len(_long_functions([("src/cspine/long.py", head + "    x = 1\n" * lines)])) == count


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert "\n".join(_circles(_files("src/cspine"))) == ""


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        ("from cspine.b import x", "from cspine.a import y", 1),
        ("from cspine import b", "import cspine.a", 1),
        ("from cspine.b import x", "def f():\n    from cspine.a import y", 1),
        ("from cspine.b import x", "if TYPE_CHECKING:\n    from cspine.a import y", 0),
        ("from cspine.b import x", "import numpy", 0),
    ],
)
def test_a_circle_of_imports_is_told(first: str, second: str, count: int) -> None:
    told = _circles([("src/cspine/a.py", first), ("src/cspine/b.py", second), ("src/cspine/c.py", "import cspine.a")])

    assert told == ["Modules import each other in a circle: cspine.a, cspine.b. Move what they share."] * count


def test_no_public_class_name_is_defined_twice() -> None:
    assert "\n".join(_repeated(_files("src/cspine"))) == ""


def test_no_file_is_too_long_to_fit_in_a_head() -> None:
    assert "\n".join(_too_long(_files("src", "tests", "benchmarks"))) == ""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("class Plane: ...", "class Plane: ..."),
        ("class Plane: ...", "Plane = tuple[float, float]"),
        ("Plane: TypeAlias = Axial | Sagittal", "@dataclass\nclass Plane:\n    x: int"),
    ],
)
def test_a_class_that_is_defined_again_is_told_with_both_files(first: str, second: str) -> None:
    (told,) = _repeated([("src/cspine/a.py", first), ("src/cspine/b.py", second)])

    assert told.startswith("The class Plane needs one home. Defined in: src/cspine/a.py, src/cspine/b.py.")


@pytest.mark.parametrize("text", ["class _Pair: ...", 'T = TypeVar("T")', "LIMIT = 3", "_Lines = list[int]"])
def test_private_classes_constants_and_variables_of_types_may_repeat(text: str) -> None:
    assert _repeated([("src/cspine/a.py", text), ("src/cspine/b.py", text)]) == []


@pytest.mark.parametrize(("lines", "count"), [(400, 0), (401, 1)])
def test_a_file_may_have_400_lines_and_no_more(lines: int, count: int) -> None:
    assert len(_too_long([("src/cspine/long.py", "x = 1\n" * lines)])) == count
