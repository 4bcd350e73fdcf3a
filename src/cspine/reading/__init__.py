"""Reads files, or what a program holds, as a study: DICOM, zips, NIfTI; chooses the series and checks the stack.

What is named here is loaded when it is first used: code that only hands studies on needs no reader of DICOM.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cspine.reading.choosing import SeriesSummary as SeriesSummary
    from cspine.reading.listing import FileGuard as FileGuard
    from cspine.reading.listing import Listing as Listing
    from cspine.reading.listing import find_series as find_series
    from cspine.reading.listing import list_studies as list_studies
    from cspine.reading.listing import studies_in as studies_in
    from cspine.reading.listing import unguarded as unguarded
    from cspine.reading.objects import AnyScan as AnyScan
    from cspine.reading.objects import as_study as as_study
    from cspine.reading.studies import read_study as read_study

_HOMES = {
    "SeriesSummary": "choosing",
    **dict.fromkeys(("FileGuard", "Listing", "find_series", "list_studies", "studies_in", "unguarded"), "listing"),
    **dict.fromkeys(("AnyScan", "as_study"), "objects"),
    "read_study": "studies",
}


def __getattr__(name: str) -> Any:  # the type of a lazy attribute is known to type checkers from the imports above
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except AttributeError as error:  # as in `cspine`
        raise ImportError(f"cspine.reading.{name} cannot be loaded, because a library fails: {error}") from error
