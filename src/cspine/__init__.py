"""Finds cervical spine fractures on CT.

Research software, not a medical device. ``import cspine`` is light: what needs numpy, a DICOM reader or an inference engine is
loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cspine.detection import Detector as Detector
    from cspine.detection import detect as detect
    from cspine.reading import as_study as as_study
    from cspine.reading import read_study as read_study
    from cspine.results import StudyResult as StudyResult
    from cspine.study import Study as Study

__version__ = "0.1.0"
__all__ = ["Detector", "Study", "StudyResult", "__version__", "as_study", "detect", "read_study"]

_HOMES = {
    "Detector": "cspine.detection",
    "detect": "cspine.detection",
    "as_study": "cspine.reading",
    "read_study": "cspine.reading",
    "StudyResult": "cspine.results",
    "Study": "cspine.study",
}


def __getattr__(name: str) -> Any:  # the type of a lazy attribute is known to type checkers from the imports above
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except AttributeError as error:  # from a library that does not fit: as it is, it would read as if cspine lacked the name
        raise ImportError(f"cspine.{name} cannot be loaded, because a library fails: {error}") from error


def __dir__() -> list[str]:
    return sorted(__all__)
