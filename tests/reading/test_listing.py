"""Files beside good studies never hide them."""

import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cspine.errors import StudyError
from cspine.reading import list_studies, read_study
from cspine.reading.formats import is_passed_over, other_format
from tests import hostile
from tests.reading.scans import Scan

_NOTE = b"\0\5\x16\7" + bytes(124) + b"DICM" + b"\x08\x00\x05\x00SQ\0\0\xff\xff\xff\xff" + b"\xfe" * 20
"""What a Mac keeps beside an image, here such as cannot be parsed as one."""


def _study(folder: Path) -> None:
    """Writes a study of its own."""
    Scan(study_uid=f"1.2.{sum(folder.name.encode())}").write(folder)


def _tar(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(__file__, "scan.dcm")


def _zip_in_zip(path: Path, inner: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.zip", inner)


def _write(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


_OTHERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "scan.tar.gz": (_tar, "a tar archive"),
    "scan.tgz": (_tar, "a tar archive"),
    "scan.mha": (_write(b"ObjectType = Image\nNDims = 3\n"), "a MetaImage volume"),
    "scan.nrrd": (_write(b"NRRD0004\n# Complete NRRD\n"), "an NRRD volume"),
    "scan.hdr": (_write(struct.pack("<I", 348) + bytes(344)), "half of an Analyze or NIfTI pair (.hdr and .img)"),
    "scan.img": (_write(bytes(1000)), "half of an Analyze or NIfTI pair (.hdr and .img)"),
    "scan.mgz": (_write(b"\x1f\x8b" + bytes(100)), "a FreeSurfer volume"),
    "scan.rar": (_write(b"Rar!\x1a\x07\x01\x00"), "a rar archive"),
    "scan.7z": (_write(b"7z\xbc\xaf\x27\x1c" + bytes(50)), "a 7z archive"),
    "scan.dat": (_write(struct.pack("<I", 348) + bytes(340) + b"n+1\0" + bytes(100)), "a NIfTI file under another name"),
}


@pytest.mark.parametrize("name", _OTHERS)
def test_a_format_that_is_not_read_is_named_with_what_to_do(name: str, tmp_path: Path) -> None:
    make, words = _OTHERS[name]
    make(tmp_path / name)

    with pytest.raises(StudyError) as refused:
        read_study(tmp_path / name)

    assert str(refused.value).startswith(f"{name} is {words}, which is not read. ")
    assert refused.value.code == "other_format"


@pytest.mark.parametrize("name", _OTHERS)
def test_a_format_that_is_not_read_is_told_beside_good_studies(name: str, tmp_path: Path) -> None:
    for good in ("a", "b"):
        _study(tmp_path / good)
    _OTHERS[name][0](tmp_path / name)

    listing = list_studies(tmp_path)

    assert listing.studies == (tmp_path / "a", tmp_path / "b")
    assert [(path.name, error.code) for path, error in listing.barren] == [(name, "other_format")]


@pytest.mark.parametrize("inner", [b"PK\x03\x04" + bytes(100), b"PK\x05\x06" + bytes(18)])
def test_a_zip_in_a_zip_is_named(tmp_path: Path, inner: bytes) -> None:
    _zip_in_zip(tmp_path / "outer.zip", inner)

    with pytest.raises(StudyError, match=r"^inner\.zip in outer\.zip is a zip, which is not read\. Unpack it"):
        read_study(tmp_path / "outer.zip")


def test_a_zip_whose_end_is_missing_is_damaged(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        archive.writestr("a.dcm", bytes(5000))
    (tmp_path / "scan.zip").write_bytes((tmp_path / "scan.zip").read_bytes()[:3000])

    with pytest.raises(StudyError, match=r"^scan\.zip cannot be unpacked \(it is not a zip, or its end is missing\)") as refused:
        read_study(tmp_path / "scan.zip")
    assert refused.value.code == "damaged_zip"


def test_files_of_one_other_format_are_told_once(tmp_path: Path) -> None:
    Scan().write(tmp_path / "good")
    for number in range(5):
        (tmp_path / f"{number}.nrrd").write_bytes(b"NRRD0004\n")

    (barren,) = list_studies(tmp_path).barren

    assert str(barren[1]).startswith("0.nrrd (and 4 more) is an NRRD volume")


@pytest.mark.parametrize("name", ["._a.nii.gz", "__MACOSX", ".DS_Store", "Thumbs.db", ".git"])
def test_what_a_system_leaves_beside_files_is_passed_over(name: str, tmp_path: Path) -> None:
    for good in ("a", "b"):
        _study(tmp_path / good)
        (tmp_path / good / "._1.dcm").write_bytes(_NOTE)
    _study(tmp_path / name) if name.startswith((".git", "__")) else (tmp_path / name).write_bytes(b"\0\5\x16\7")

    listing = list_studies(tmp_path)

    assert (listing.studies, listing.barren) == ((tmp_path / "a", tmp_path / "b"), ())
    assert read_study(tmp_path / "a").warnings == ()


def test_notes_of_a_mac_in_a_zip_are_passed_over(tmp_path: Path) -> None:
    files = sorted(Scan().write(tmp_path / "slices").iterdir())
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for file in files:
            archive.write(file, f"scan/{file.name}")
            archive.writestr(f"__MACOSX/scan/._{file.name}", _NOTE)

    assert read_study(tmp_path / "scan.zip").warnings == ()


def test_a_tree_too_deep_hides_no_study_beside_it(tmp_path: Path) -> None:
    for good in ("a", "b"):
        _study(tmp_path / good)
    (tmp_path / "c").joinpath(*"123456789abcde").mkdir(parents=True)

    listing = list_studies(tmp_path)

    assert listing.studies == (tmp_path / "a", tmp_path / "b")
    assert [error.code for _, error in listing.barren] == ["too_deep"]


def test_series_of_one_study_are_read_without_what_cannot_be_searched_beside_them(tmp_path: Path) -> None:
    for series in ("a", "b"):
        Scan().write(tmp_path / series)
    (tmp_path / "c").joinpath(*"123456789abcde").mkdir(parents=True)

    assert list_studies(tmp_path).studies == (tmp_path / "a", tmp_path / "b")


def test_a_huge_sparse_file_hides_no_study_beside_it(tmp_path: Path) -> None:
    for good in ("a", "b"):
        _study(tmp_path / good)
    hostile.sparse(tmp_path / "c.nii")
    hostile.sparse(tmp_path / "d.bin")
    hostile.sparse(tmp_path / "a" / "e.nii")

    listing = list_studies(tmp_path)

    assert (set(listing.studies), listing.barren) == ({tmp_path / "a", tmp_path / "b", tmp_path / "c.nii"}, ())
    assert read_study(tmp_path / "a").volume is not None
    with pytest.raises(StudyError, match=r"c\.nii cannot be read as NIfTI"):
        read_study(tmp_path / "c.nii")


def _shut(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raises what a user without the right would meet, for tests that run as root too."""
    open_path, scan = Path.open, os.scandir

    def opened(self: Path, *arguments: Any, **options: Any) -> Any:
        if path in (self, *self.parents):
            raise PermissionError(13, "Permission denied", str(self))
        return open_path(self, *arguments, **options)

    def scanned(folder: Any) -> Any:
        if Path(folder) == path:
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(os, "scandir", scanned)


@pytest.mark.parametrize("shut", ["b", "b/1.dcm"])
def test_what_may_not_be_opened_hides_no_study_beside_it(shut: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for good in "abc":
        _study(tmp_path / good)
    first = sorted((tmp_path / "b").iterdir())[0]
    _shut(tmp_path / "b" if shut == "b" else first, monkeypatch)

    listing = list_studies(tmp_path)

    assert set(listing.studies) >= {tmp_path / "a", tmp_path / "c"}
    if shut == "b":
        assert [(path.name, error.code) for path, error in listing.barren] == [("b", "not_allowed")]
    else:
        with pytest.raises(StudyError, match="Allow it to be read"):
            read_study(tmp_path / "b")


def test_a_folder_of_nothing_but_what_is_not_read_says_what_that_is(tmp_path: Path) -> None:
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD0004\n")

    listing = list_studies(tmp_path)

    assert (listing.studies, [error.code for _, error in listing.barren]) == ((), ["other_format"])


def test_a_dicomdir_stands_for_its_folder(tmp_path: Path) -> None:
    Scan().write(tmp_path)
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(100))

    assert list_studies(tmp_path / "DICOMDIR").studies == (tmp_path,)


def test_text_and_tables_are_no_scans() -> None:
    for name, start in (
        ("notes.txt", b"see"),
        ("train.csv", b"a,b"),
        ("a.png", b"\x89PNG"),
        ("a.nii", b"\x5c\1\0\0" + bytes(340) + b"n+1\0"),
    ):
        assert name == "a.nii" or other_format(name, start) is None
        assert not is_passed_over(name)
