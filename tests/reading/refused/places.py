"""Folders, zips and files that are refused before an image is read."""

import os
import zipfile
from pathlib import Path

import pytest

from cspine.reading import choosing, dicom, limits
from cspine.reading.messages import Refusal
from tests.reading.refused.cases import Cases
from tests.reading.scans import Scan

CASES = Cases()


@CASES.case(Refusal.NOT_FOUND)
def _nowhere(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return folder / "nowhere"


@CASES.case(Refusal.NOT_A_FILE)
def _pipe(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


@CASES.case(Refusal.OTHER_FORMAT)
def _meta_image(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    (folder / "neck.mha").write_bytes(b"ObjectType = Image\nNDims = 3\n")
    return folder


@CASES.case(Refusal.COSTLY_HEADERS)
def _endless_headers(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(limits, "HEADERS_S", 0.0)
    patch.setattr(limits, "HEADER_S", 0.0)
    return Scan().write(folder)


@CASES.case(Refusal.NO_IMAGES)
def _text(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    (folder / "scan.dcm").write_text("This is not the image you are looking for. " * 20)
    return folder


@CASES.case(Refusal.SEVERAL_STUDIES)
def _several_studies(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    Scan(study_uid="1.1").write(folder / "a")
    Scan(study_uid="1.2").write(folder / "b")
    return folder


@CASES.case(Refusal.DAMAGED_FILE)
def _garbage(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    for path in Scan().write(folder).iterdir():
        path.write_bytes(path.read_bytes().replace(b"\x28\x00\x30\x00DS", b"\x28\x00\x30\x00SQ"))
    return folder


@CASES.case(Refusal.WRONG_NUMBER)
def _wrong_number(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    for path in Scan().write(folder).iterdir():
        path.write_bytes(path.read_bytes().replace(b"DS\x08\x000.5\\0.75", b"DS\x08\x000.5\\0,,5"))
    return folder


@CASES.case(Refusal.TOO_MANY_FILES)
def _many_files(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(limits, "MAX_FILES", 5)
    return Scan().write(folder)


@CASES.case(Refusal.TOO_DEEP)
def _deep(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    Scan().write(folder / "/".join("abcdefghijklmn"))
    return folder


@CASES.case(Refusal.FILE_TOO_BIG)
def _big(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = Scan().write(folder) / "1.dcm"
    os.truncate(path, limits.MAX_FILE_BYTES + 1)  # the file system stores no zeros
    return folder


@CASES.case(Refusal.DAMAGED_ZIP)
def _damaged_zip(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = _zipped(folder)
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    return path


@CASES.case(Refusal.ZIP_TOO_BIG)
def _bomb(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(limits, "MAX_ARCHIVE_BYTES", 1000)
    return _zipped(folder)


@CASES.case(Refusal.NOT_ALLOWED)
def _forbidden(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    Scan().write(folder)
    patch.setattr(Path, "open", refuse)
    return folder


@CASES.case(Refusal.CHANGED_WHILE_READ)
def _changing(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    choose = choosing.choose

    def change(*args: object) -> object:
        (folder / "3.dcm").write_bytes((folder / "3.dcm").read_bytes() + b"\0\0")
        return choose(*args)  # type: ignore[arg-type]

    Scan().write(folder)
    patch.setattr(dicom, "choose", change)
    return folder


def _zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "scan.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path in Scan().write(folder / "scan").iterdir():
            file.write(path, path.name)
    return folder / "scan.zip"
