"""``import cspine``, as people use it in a shell and type checkers read it."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import assert_type

import numpy as np
import pytest

import cspine
from cspine.geometry import Grid

_PUBLIC = {"Detector", "Study", "StudyResult", "as_study", "detect", "read_study"}


def test_dir_lists_what_is_public_and_all_of_it_can_be_used() -> None:
    assert set(dir(cspine)) == {*_PUBLIC, "__version__"}
    assert all(getattr(cspine, name) is not None for name in dir(cspine))


def test_type_checkers_are_told_of_every_lazy_name_where_it_is() -> None:
    tree = ast.parse(Path(cspine.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))

    told = {alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}

    assert told.keys() == _PUBLIC
    assert all(getattr(import_module(str(home)), str(name)) is getattr(cspine, str(name)) for name, home in told.items())


def _types_that_mypy_compares(result: cspine.StudyResult) -> None:
    """States types for the type checker, which `make test` calls; it refuses them where a lazy name is of any type."""
    assert_type(cspine.detect("scan"), cspine.StudyResult)
    assert_type(cspine.Detector()(cspine.read_study(Path("scan"))), cspine.StudyResult)
    assert_type(cspine.Detector()(np.zeros((2, 3, 4)), Grid((2, 3, 4), np.eye(4))), cspine.StudyResult)
    assert_type(cspine.as_study("scan"), cspine.Study)
    assert_type(cspine.StudyResult.from_json(result.to_json()), cspine.StudyResult)
    assert_type(result.to_json(), str)


_BROKEN = """
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            {act}
sys.meta_path.insert(0, Broken())
from cspine import {name}
"""


@pytest.mark.parametrize(
    ("act", "cause"),
    [
        ("raise ModuleNotFoundError('No module named pydicom')", "No module named pydicom"),
        ("raise ImportError('libstdc++.so.6: version GLIBCXX not found')", "version GLIBCXX not found"),
        ("raise AttributeError('_ARRAY_API not found')", "_ARRAY_API not found"),
        ("raise ValueError('numpy.dtype size changed')", "numpy.dtype size changed"),
    ],
)
@pytest.mark.parametrize(("module", "name"), [("pydicom", "read_study"), ("numpy", "read_study"), ("numpy", "detect")])
def test_a_library_that_fails_is_named_as_the_cause(module: str, name: str, act: str, cause: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BROKEN.format(module=module, name=name, act=act)], capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert cause in done.stderr.strip().splitlines()[-1]


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'cspine' has no attribute 'diagnose'"):
        _ = cspine.diagnose
    assert not hasattr(cspine, "diagnose")
