"""Recipes that the package does not have: a file, or what an installed package offers as an entry point of ``cspine.families``.

Either is a module with ``RECIPE``, a docstring whose first sentence describes it and, for a kind of training that cspine does not
have, ``family(recipe)``, which returns a :class:`cspine.training.core.family.Family`.
"""

import hashlib
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from cspine.errors import CspineError, OutputError, UsageError, one_line
from cspine.storage.files import write_text

FAMILIES = "cspine.families"
"""The group of entry points: the name of each is that of its recipe, its value a module."""

COPY = "recipe.py"
"""The file of the recipe in the folder of its run."""

_SUFFIX = ".py"


def is_file_name(name: str) -> bool:
    """Returns whether a recipe is named by its file."""
    return name.endswith(_SUFFIX)


def offered() -> dict[str, EntryPoint]:
    """Returns the entry points of installed packages, by the name of the recipe.

    Raises:
        UsageError: Two packages offer the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=FAMILIES):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise UsageError(
                f"A recipe needs a name of its own. {other.value} and {point.value} both offer {point.name}; uninstall one."
            )
    return found


def offered_module(name: str) -> ModuleType:
    """Returns the module of an entry point.

    Raises:
        UsageError: It cannot be imported, or is no recipe of that name.
    """
    point = offered()[name]
    try:
        module: ModuleType = point.load()
    except CspineError:
        raise
    except Exception as error:  # it is the code of somebody else
        raise UsageError(f"The recipe {name} of {point.value} cannot be imported ({_reason(error)}). Correct it.") from error
    _check(module, point.value)
    if module.RECIPE.name != name:
        raise UsageError(f"The RECIPE of {point.value} must be named {name}, as its entry point. It is named {module.RECIPE.name}.")
    return module


def file_module(path: Path) -> ModuleType:
    """Returns the module of a file, run once for the same text.

    Raises:
        UsageError: There is no such file, it does not run, or it holds no recipe.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"A recipe is a name of `cspine recipes` or a Python file. {path} cannot be read ({_reason(error)})."
        ) from error
    name = f"cspine_recipe_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # a dataclass looks its module up
    try:
        exec(compile(text, path, "exec"), module.__dict__)  # the user asks for it, as `python FILE` would
        _check(module, str(path))
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, CspineError | ModuleNotFoundError) or not isinstance(error, Exception | SystemExit):
            raise
        raise UsageError(f"The recipe {path} does not run ({_reason(error)}). Correct it.") from error
    return module


def keep_copy(path: Path, run: Path) -> None:
    """Puts the file of a recipe into the folder of its run, which all later commands read.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        write_text(run / COPY, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(f"{COPY} cannot be written to {run}: {error.strerror}. Choose another folder.") from error


def own_family(module: ModuleType, recipe: Any) -> Any:
    """Returns the family that a module makes of a recipe; ``None`` where the recipe is of a kind that cspine has."""
    make = getattr(module, "family", None)
    return None if make is None else make(recipe)


def _check(module: Any, where: str) -> None:
    recipe = getattr(module, "RECIPE", None)
    missing = [name for name in ("name", "fit", "seed", "idle") if not hasattr(recipe, name)]
    if missing:
        raise UsageError(
            f"A recipe is a module with RECIPE, a SliceRecipe or another frozen dataclass with name, fit, seed and idle. "
            f"{where} has none."
        )


def _reason(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}", 160)
