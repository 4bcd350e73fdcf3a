"""A library that is not installed, as modules find it that are imported anew."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType


@contextmanager
def without(library: str, *importers: str) -> Iterator[None]:
    """Has a library be missing while some modules, and all below them, are imported anew.

    All is as before afterwards: as modules, and as attributes of their packages. Else the next test would find other modules by
    attribute than by import.

    Args:
        library: Its name.
        importers: Modules that import it, with the packages above them.
    """
    before = _loaded(library, *importers)
    for name in before:
        del sys.modules[name]
    finder = _Missing(library)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in _loaded(library, *importers):
            del sys.modules[name]
        sys.modules.update(before)
        for name, module in before.items():
            package, _, attribute = name.rpartition(".")
            if package in sys.modules:
                setattr(sys.modules[package], attribute, module)


def _loaded(*names: str) -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if any(name == one or name.startswith(f"{one}.") for one in names)}


class _Missing(MetaPathFinder):
    """Finds that a library is not there."""

    def __init__(self, library: str) -> None:
        self._library = library

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == self._library:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
