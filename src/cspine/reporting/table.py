"""Lists the formats that a result can be written in."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from cspine.errors import OutputError, UsageError
from cspine.reporting.once import one_result
from cspine.reporting.written import Written, together

if TYPE_CHECKING:
    from cspine.evidence import Prediction
    from cspine.study import Study

FORMATS = {
    "json": "cspine.reporting.json_result",
    "png": "cspine.reporting.picture",
    "html": "cspine.reporting.pages.study",
    "html-uids": "cspine.reporting.pages.identified",
    "nifti": "cspine.reporting.nifti",
    "sr": "cspine.reporting.dicom.sr",
    "seg": "cspine.reporting.dicom.seg",
    "sc": "cspine.reporting.dicom.sc",
    "fhir": "cspine.reporting.fhir",
}
"""The module that writes a format, a :class:`ResultFormat`."""

PAGES = frozenset({"html", "html-uids"})
"""Formats that people open in a browser, from the overview of a batch."""

OVERVIEW = "index.html"
"""The overview of a batch."""

_WITHOUT_EXTRAS = frozenset({"json", "png", "html", "html-uids", "nifti", "fhir"})
"""Formats whose libraries come with cspine: they are imported when something is written, not when it is asked for."""

_BRINGS = {"sr": "seg"}
"""A format that refers to another one's file has it written too."""


class ResultFormat(Protocol):
    """A module that writes a result."""

    FILES: tuple[str, ...]
    """What it may write."""

    def write(self, prediction: "Prediction", study: "Study", folder: Path) -> Written:
        """Writes into the folder of a case.

        Args:
            prediction: What is written, and what it rests on.
            study: The scan that it is about, for pictures and citations.
            folder: Where to; it exists.
        """
        ...


def chosen(text: str) -> tuple[str, ...]:
    """Returns the formats that a list as ``png,sr`` asks for: json always and first, then these, and those that they refer to.

    Raises:
        UsageError: One of them does not exist.
        ModuleNotFoundError: One needs an extra that is not installed.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not set(names) <= FORMATS.keys():
        raise UsageError(f"--format takes {', '.join(FORMATS)}, separated by commas. Received: {text}")
    names = ["json", *names, *(_BRINGS[name] for name in names if name in _BRINGS)]
    for name in names:
        if name not in _WITHOUT_EXTRAS:
            format_of(name)
    return tuple(dict.fromkeys(names))


def united(formats: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Returns the formats and those of an earlier result that can still be written, in the order of :data:`FORMATS`."""
    there = set(formats) | {name for name in more if name in FORMATS and _is_installed(name)}
    return tuple(name for name in FORMATS if name in there)


def _is_installed(name: str) -> bool:
    try:
        format_of(name)
    except ModuleNotFoundError:
        return False
    return True


def format_of(name: str) -> ResultFormat:
    """Returns the module of a format; importing it may need an extra.

    Raises:
        ModuleNotFoundError: The library that it wraps is not installed.
    """
    return cast(ResultFormat, import_module(FORMATS[name]))


def write_result(prediction: "Prediction", study: "Study", folder: Path, formats: Sequence[str]) -> Written:
    """Writes a result into a folder that exists.

    Args:
        prediction: What is written, and what it rests on.
        study: The scan that it is about, for pictures and citations.
        folder: Where to.
        formats: Names of :data:`FORMATS`.

    Returns:
        The files, in the order of ``formats``, and what to know of them.

    Raises:
        OutputError: A file cannot be written.
        ModuleNotFoundError: A format needs an extra that is not installed.
    """
    parts = []
    with one_result():
        for writer in map(format_of, formats):
            try:
                parts.append(writer.write(prediction, study, folder))
            except OSError as error:
                names = ", ".join(writer.FILES)
                raise OutputError(f"{names} cannot be written to {folder}: {error.strerror}. Choose another folder.") from error
    return together(parts)
