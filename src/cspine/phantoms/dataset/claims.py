"""The folder of a data set that is made: one run at a time fills it, always with the same settings, and its tables are whole."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cspine.errors import OutputError
from cspine.storage.files import LockedError, locked, write_text
from cspine.storage.strict_json import read_json


@dataclass(frozen=True, slots=True)
class CollectionKind:
    """Says what a data set is made of.

    Attributes:
        name: What messages call its studies, in the plural.
        settings: The file that says how they were made.
        lock: The file that keeps other runs out.
    """

    name: str
    settings: str
    lock: str


@contextmanager
def claimed(root: Path, kind: CollectionKind, wanted: Mapping[str, object]) -> Iterator[None]:
    """Makes the folder, or makes sure that it may be used, and keeps other runs out of it.

    Args:
        root: The folder.
        kind: What it is filled with.
        wanted: What must be the same for a study to be the same.

    Raises:
        OutputError: The folder holds something else, is being filled, or cannot be written.
    """
    with ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(root / kind.lock))
            _check_folder(root, kind, wanted)
        except LockedError as error:
            raise OutputError(
                f"{root} can be filled by one run at a time. Another one is at work there: wait for its end, or give another"
                " folder."
            ) from error
        except OSError as error:
            raise OutputError(f"{root} needs to be a folder that can be written. Received: {error}.") from error
        yield


def _check_folder(root: Path, kind: CollectionKind, wanted: Mapping[str, object]) -> None:
    """Records the settings in an empty folder, or makes sure that it holds studies of the same kind."""
    path = root / kind.settings
    try:
        if path.exists():
            found = read_json(path)
            if not isinstance(found, dict):
                raise OutputError(f"{path} is damaged: it must say how the {kind.name} were made. Give another folder.")
            if found != wanted:
                other = ", ".join(f"{key} {found.get(key)}" for key in wanted if found.get(key) != wanted[key])
                raise OutputError(
                    f"{root} holds {kind.name} of other settings ({other}). Give another folder, or the same settings."
                )
            return
        if any(there.name != kind.lock for there in root.iterdir()):
            raise OutputError(f"{root} holds something other than {kind.name}. Give a new or an empty folder.")
        write_text(path, json.dumps(wanted, indent=1) + "\n")
    except (OSError, ValueError) as error:
        raise OutputError(f"{root} needs to be a folder that can be written. Received: {error}.") from error


def write_tables(root: Path, tables: Mapping[str, Iterable[list[object]]]) -> None:
    """Writes tables of comma-separated values, each whole or not at all, by their names."""
    for name, rows in tables.items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        write_text(root / name, text.getvalue())
