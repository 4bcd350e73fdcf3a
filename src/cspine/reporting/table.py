"""Which formats a result can be written in."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from cspine.errors import OutputError
from cspine.evidence import Examination
from cspine.study import Study

FORMATS = {"json": "cspine.reporting.json_result", "png": "cspine.reporting.picture"}
"""The module that writes a format; each has ``FILE`` and ``write(examination, study, path)``."""


def file_of(name: str) -> str:
    """The file that a format writes in the folder of a case."""
    file: str = import_module(FORMATS[name]).FILE
    return file


def write_result(examination: Examination, study: Study, folder: Path, formats: Sequence[str]) -> tuple[Path, ...]:
    """Writes a result into a folder that exists.

    Args:
        examination: What is written, and what it rests on.
        study: The scan that it is about, for pictures and citations.
        folder: Where to.
        formats: Names of :data:`FORMATS`.

    Returns:
        The files, in the order of ``formats``.

    Raises:
        OutputError: A file cannot be written.
    """
    paths = []
    for name in formats:
        writer = import_module(FORMATS[name])
        path = folder / writer.FILE
        try:
            writer.write(examination, study, path)
        except OSError as error:
            raise OutputError(f"{path.name} cannot be written to {folder}: {error.strerror}. Choose another folder.") from error
        paths.append(path)
    return tuple(paths)
