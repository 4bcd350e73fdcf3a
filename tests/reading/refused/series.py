"""Series that are refused: not there, not one, or not of CT."""

from pathlib import Path

import pytest

from cspine.reading.messages import Refusal
from tests.reading.refused.cases import Cases, Made
from tests.reading.scans import Scan, body, setting

CASES = Cases()


@CASES.case(Refusal.NO_SUCH_SERIES)
def _no_such_series(folder: Path, _patch: pytest.MonkeyPatch) -> Made:
    return Scan().write(folder), "9.9"


@CASES.case(Refusal.AMBIGUOUS_SERIES)
def _ambiguous(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    Scan(series_uid="1.1").write(folder / "a")
    Scan(series_uid="1.2").write(folder / "b")
    return folder


@CASES.case(Refusal.NOTHING_USABLE)
def _nothing_usable(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    Scan(series_uid="1.1", change=setting(Modality="MR")).write(folder / "a")
    Scan(series_uid="1.2", hu=body(1), change=setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])).write(folder / "b")
    return folder


@CASES.case(Refusal.NOT_CT)
def _mr(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(Modality="MR")).write(folder)


@CASES.case(Refusal.NOT_ANATOMY)
def _localizer(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])).write(folder)


@CASES.case(Refusal.COLOUR)
def _colour(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(SamplesPerPixel=3)).write(folder)
