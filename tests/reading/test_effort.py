"""Small files that would cost much are refused before they do."""

import io
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cspine.errors import StudyError
from cspine.reading import limits, read_study
from cspine.reading.effort import CostlyError, check_cost
from tests import hostile
from tests.reading.scans import Scan, enhanced, save

_MANY = limits.MAX_ATTRIBUTES + 1000


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda: hostile.empty_attributes(_MANY), "more than 250000 attributes"),
        (lambda: hostile.attributes_in_a_sequence(_MANY, defined=False), "more than 250000 attributes"),
        (lambda: hostile.attributes_in_a_sequence(_MANY, defined=True), "more than 250000 attributes"),
        (lambda: hostile.long_number(4 << 20), "should be short has 4194304 bytes"),
        (lambda: hostile.inflating(100), "inflates to more than 67108864 bytes"),
    ],
)
def test_a_header_that_would_cost_much_is_refused_soon(make: Callable[[], bytes], cause: str, tmp_path: Path) -> None:
    (tmp_path / "slice.dcm").write_bytes(make())
    begin = time.thread_time()

    with pytest.raises(StudyError, match=rf"slice\.dcm begins like DICOM but cannot be parsed \(.*{cause}\)"):
        read_study(tmp_path)

    assert time.thread_time() - begin < 3


def test_a_header_without_an_end_is_read_no_further_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_HEADER_BYTES", 1 << 22)
    monkeypatch.setattr("cspine.reading.headers._PARTS", (1 << 16, 1 << 22))
    (tmp_path / "slice.dcm").write_bytes(hostile.empty_attributes(100) + bytes(1 << 23))

    with pytest.raises(StudyError, match="cannot be parsed"):
        read_study(tmp_path)


def test_very_many_long_headers_in_a_zip_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEADERS_S", 0.5)
    path = hostile.zip_of(tmp_path / "scan.zip", hostile.empty_attributes(8000), 300)
    begin = time.thread_time()

    with pytest.raises(StudyError, match=r"scan\.zip would cost too much \(the headers are far longer") as found:
        read_study(path)

    assert found.value.code == "costly_headers"
    assert time.thread_time() - begin < 6


def test_headers_of_real_scans_are_within_the_limits(tmp_path: Path) -> None:
    save(enhanced(Scan()), tmp_path / "enhanced.dcm")
    for path in Scan().write(tmp_path / "slices").iterdir():
        check_cost(path.read_bytes())
    check_cost((tmp_path / "enhanced.dcm").read_bytes())

    with pytest.raises(CostlyError):
        check_cost(hostile.empty_attributes(_MANY))


def test_the_walk_ends_in_whatever_is_no_header() -> None:
    for data in (b"", b"\0" * 200, b"\xff" * 100_000, hostile.empty_attributes(10)[:150], b"DICM" * 50_000):
        check_cost(data)


@pytest.mark.parametrize(("listed", "code"), [(60_000, "too_many_files"), (400_000, "too_many_files")])
def test_a_zip_that_lists_too_many_files_is_refused_before_its_list_is_read(listed: int, code: str, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.dcm", bytes(100))
    data = packed.getvalue()
    at, end = data.rfind(b"PK\x01\x02"), data.rfind(b"PK\x05\x06")
    names = data[at:end] * listed
    (tmp_path / "scan.zip").write_bytes(data[:at] + names + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(names), at, 0))
    begin = time.thread_time()

    with pytest.raises(StudyError) as refused:
        read_study(tmp_path / "scan.zip")

    assert refused.value.code == code
    assert time.thread_time() - begin < 0.5


def test_a_zip_of_more_files_than_its_old_form_can_count_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # from here on it writes the ends of a zip64
    files = sorted(Scan().write(tmp_path / "slices").iterdir())
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for file in files:
            archive.write(file, file.name)

    assert len(read_study(tmp_path / "scan.zip").sources) == len(files)
    monkeypatch.setattr(limits, "MAX_FILES", 3)
    with pytest.raises(StudyError, match="At most 3 files are searched"):
        read_study(tmp_path / "scan.zip")
