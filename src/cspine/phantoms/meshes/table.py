"""Reads which surface is which bone, in which units and axes: ``anatomy.toml``.

::

    name = "toyspine"
    scale_mm = 1000.0          # millimetres per unit of the surfaces; 1 if not given
    axes = "ALS"               # where x, y and z of the surfaces point, letters of L/R, A/P, S/I; "LPS" if not given
    notice = "LICENSE.txt"     # a file with source, licence and citation, kept with the anatomy; or the text itself

    [levels]                   # any of C1..C7; file names relative to the folder
    C4 = "cerv4.obj"

    [context]                  # any of jaw, hyoid, larynx, skull, in the same frame as the vertebrae
    skull = { file = "skull.vtp", scale_mm = 940.0, axes = "ASR", shift_mm = [0.0, 46.0, 65.0] }
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.errors import AnatomyError
from cspine.geometry import Vector

CONTEXT = ("jaw", "hyoid", "larynx", "skull")
TABLE = "anatomy.toml"
_SUFFIXES = {".obj", ".stl", ".vtp"}
_NAMED = re.compile(r"(?:(?<![A-Za-z])[cC]|(?<=[a-z])C|[cC](?i:erv(?:ical)?)[ _-]?(?i:vertebra)?)[ _-]?0?([1-7])(?![0-9])")
_MOST_NAMED = 4
_DIRECTIONS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
_KEYS = {"name", "scale_mm", "axes", "notice", "levels", "context"}
_SOURCE_KEYS = {"file", "scale_mm", "axes", "shift_mm"}


@dataclass(frozen=True, slots=True)
class SurfaceSource:
    """One surface.

    Attributes:
        file: Relative to the folder.
        scale_mm: Millimetres per unit.
        axes: Where its x, y and z point, one letter each of L/R, A/P and S/I.
        shift_mm: Added at last, LPS.
    """

    file: str
    scale_mm: float = 1.0
    axes: str = "LPS"
    shift_mm: Vector = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        letters = self.axes.upper()
        if len(letters) != 3 or any(sum(letter in pair for letter in letters) != 1 for pair in ("LR", "AP", "SI")):
            raise AnatomyError(f'Axes need one letter each of L/R, A/P and S/I, for instance "LPS". {self.file} has: {self.axes!r}')
        if not (np.isfinite(self.scale_mm) and self.scale_mm > 0):
            raise AnatomyError(f"`scale_mm` must be millimetres per unit, more than 0. {self.file} has: {self.scale_mm}")

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Returns the map from the surface's own axes and units to LPS millimetres, ``(3, 3)``."""
        return self.scale_mm * np.array([_DIRECTIONS[letter] for letter in self.axes.upper()], dtype=np.float64).T


@dataclass(frozen=True, slots=True)
class SurfaceTable:
    """Holds what ``anatomy.toml`` says."""

    name: str
    notice: str
    levels: dict[Level, SurfaceSource]
    context: dict[str, SurfaceSource]


def read_table(folder: Path, path: Path | None = None) -> SurfaceTable:
    """Returns the table of a folder, or what the names of its files say.

    Raises:
        AnatomyError: The table is missing or wrong, or there is no vertebra.
    """
    if not folder.is_dir():
        raise AnatomyError(f"Surfaces are read from a folder, one file per level. There is no folder {folder}.")
    if path is None and not (folder / TABLE).is_file():
        return SurfaceTable(folder.resolve().name, "", _levels_by_name(folder, {}), {})
    path = path or folder / TABLE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        _check_keys(content.keys(), _KEYS, path)
        levels, context = dict(content.get("levels", {})), dict(content.get("context", {}))
        _check_keys(levels.keys(), {level.name for level in CERVICAL}, path)
        _check_keys(context.keys(), set(CONTEXT), path)
        shared: dict[str, Any] = {key: content[key] for key in ("scale_mm", "axes") if key in content}
        named = {level: _source(levels[level.name], shared, path) for level in CERVICAL if level.name in levels}
        others = {str(name): _source(entry, shared, path) for name, entry in context.items()}
        name = str(content.get("name", folder.resolve().name))
        return SurfaceTable(
            name, _notice(path, folder, str(content.get("notice", ""))), named or _levels_by_name(folder, shared), others
        )
    except (tomllib.TOMLDecodeError, TypeError, ValueError, AttributeError, OSError) as error:
        raise AnatomyError(f"{path} cannot be read: {error}") from error


def unused_surfaces(folder: Path, table: SurfaceTable) -> tuple[str, ...]:
    """Returns the surfaces in a folder that are no bone of its table."""
    used = {source.file for sources in (table.levels, table.context) for source in sources.values()}
    return tuple(name for name in _surfaces(folder) if name not in used)


def _surfaces(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and not path.name.startswith("."))


def _check_keys(keys: Any, known: set[str], path: Path) -> None:
    strangers = sorted(set(keys) - known)
    if strangers:
        raise AnatomyError(f"{path.name} may name {', '.join(sorted(known))} here. Received also: {', '.join(strangers)}")


def _source(entry: Any, shared: dict[str, Any], path: Path) -> SurfaceSource:
    source = shared | (entry if isinstance(entry, dict) else {"file": entry})
    _check_keys(source.keys(), _SOURCE_KEYS, path)
    if "file" not in source:
        raise AnatomyError(f"{path.name} must say the `file` of each bone. Received: {entry}")
    shift = tuple(float(value) for value in source.get("shift_mm", (0, 0, 0)))
    if len(shift) != 3 or not np.all(np.isfinite(shift)):
        raise AnatomyError(
            f"`shift_mm` must be three lengths, to the left, the back and the head. {source['file']} has: {list(shift)}"
        )
    return SurfaceSource(str(source["file"]), float(source.get("scale_mm", 1.0)), str(source.get("axes", "LPS")), shift)


def _notice(table: Path, folder: Path, notice: str) -> str:
    for place in (folder, table.parent):
        if notice and "\n" not in notice and (place / notice).is_file():
            return (place / notice).read_text(encoding="utf-8")
    return notice


def _levels_by_name(folder: Path, shared: dict[str, Any]) -> dict[Level, SurfaceSource]:
    found: dict[Level, SurfaceSource] = {}
    for name in _surfaces(folder):
        levels = set(_NAMED.findall(Path(name).stem))
        if len(levels) != 1:
            continue  # a disc is named after two
        level = Level[f"C{levels.pop()}"]
        if level in found:
            raise AnatomyError(f"{level.name} is both {found[level].file} and {name}. Name the files in {TABLE}.")
        found[level] = _source(name, shared, folder / name)
    if not found:
        names = _surfaces(folder)
        more = [f"{len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else []
        came = ", ".join(names[:_MOST_NAMED] + more) or "none"
        raise AnatomyError(
            f"{folder} holds no surface (obj, stl, vtp) named C1..C7, and no {TABLE} that says which is which. Received: {came}."
        )
    return dict(sorted(found.items()))
