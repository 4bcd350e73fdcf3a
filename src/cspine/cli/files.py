"""Files that a command leaves: there whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

from cspine.errors import OutputError
from cspine.storage.files import write_text


def write_result(folder: Path, name: str, text: str) -> None:
    """Writes a file into a folder, which is made if it is not there.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, text)
    except OSError as error:
        raise OutputError(f"{name} cannot be written to {folder}: {error.strerror}. Choose another folder.") from error


def print_files(folder: Path, names: Iterable[str]) -> None:
    """Tells which files a command has written."""
    print("wrote " + ", ".join(str(folder / name) for name in names))  # noqa: T201
