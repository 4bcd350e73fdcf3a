"""Whatever is on the disk, reading ends soon, stays small, and raises nothing but its own errors."""

import io
import os
import resource
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from cspine.errors import CspineError, StudyError
from cspine.reading import choosing, dicom, find_series, limits, read_study, studies_in
from cspine.study import Study
from tests.coded import coded_volume, write_dicom
from tests.reading.scans import JPEG_LOSSLESS, Scan, body, enhanced, lossless, save, setting

_DEFLATED = "1.2.840.10008.1.2.1.99"


def _read(path: Path) -> Study | None:
    """Returns the study, or ``None`` where it is refused as it should be."""
    try:
        find_series(path)
        return read_study(path)
    except CspineError as error:
        return None if str(error).isprintable() else pytest.fail(f"more than one line: {error}")


# ---- mutated files: every input that can be read is read right, or at least with a warning


def _files(folder: Path, kind: str) -> dict[str, bytes]:
    scan = Scan(syntax=JPEG_LOSSLESS if kind == "compressed" else "1.2.840.10008.1.2.1")
    if kind == "enhanced":
        save(enhanced(scan), folder / "enhanced.dcm")
    elif kind == "nifti":
        nibabel.save(nibabel.Nifti1Image(scan.hu.transpose(2, 1, 0), np.eye(4)), folder / "scan.nii")
    else:
        scan.write(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Returns files of a good scan by kind."""
    return {kind: _files(tmp_path_factory.mktemp(kind), kind) for kind in ("plain", "compressed", "enhanced", "nifti", "zip")}


def _mutated(data: bytes, places: list[tuple[float, int]], cut: float) -> bytes:
    """Returns bytes overwritten at relative places, mostly in the header, and cut off at the end."""
    changed = bytearray(data)
    for where, value in places:
        changed[int(where**2 * (len(changed) - 1))] = value
    return bytes(changed[: max(1, round(len(changed) * cut))])


@settings(derandomize=True, max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["plain", "compressed", "enhanced", "nifti", "zip"]),
    which=st.integers(0, 5),
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.sampled_from([1.0, 1.0, 1.0, 0.99, 0.5, 0.1]),
)
def test_a_mutated_file_gives_a_study_in_its_place_or_one_clear_line(
    tmp_path_factory: pytest.TempPathFactory,
    valid: dict[str, dict[str, bytes]],
    kind: str,
    which: int,
    places: list[tuple[float, int]],
    cut: float,
) -> None:
    folder = tmp_path_factory.mktemp("mutated")
    files = valid[kind]
    victim = sorted(files)[which % len(files)]
    if kind == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        (folder / "scan.zip").write_bytes(_mutated(packed.getvalue(), places, cut))
    else:
        for name, data in files.items():
            (folder / name).write_bytes(_mutated(data, places, cut) if name == victim else data)

    study = _read(folder)

    if study is not None:
        assert study.volume.hu.shape == study.volume.grid.shape
        assert np.all(np.isfinite(study.volume.hu))
        if kind in ("plain", "compressed", "zip") and not study.warnings and len(study.sources) == 6:
            assert study.volume.grid.agrees(Scan().grid(), tolerance_mm=0.5)


_HEADERS = [
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
]
_NUMBERS = ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"]


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    keyword=st.sampled_from(_HEADERS),
    value=st.sampled_from([0, 1, 7, 12, 32, 64, 4096, 65535]),
    syntax=st.sampled_from(["1.2.840.10008.1.2.1", JPEG_LOSSLESS]),
    everywhere=st.booleans(),
)
def test_a_header_with_a_wrong_number_gives_finite_voxels_or_one_clear_line(
    tmp_path_factory: pytest.TempPathFactory, keyword: str, value: int, syntax: str, everywhere: bool
) -> None:
    def change(dataset: Dataset, index: int) -> None:
        if everywhere or index == 2:
            setattr(dataset, keyword, value)

    study = _read(Scan(syntax=syntax, change=change).write(tmp_path_factory.mktemp("header")))

    assert study is None or np.all(np.isfinite(study.volume.hu))


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    keyword=st.sampled_from(_NUMBERS),
    part=st.integers(0, 5),
    value=st.sampled_from(["0", "-1", "1e300", "-1e38", "1e-30", "nan", "inf", "", "abc", "99999999999999"]),
)
def test_one_slice_with_a_wrong_decimal_never_moves_the_others(
    tmp_path_factory: pytest.TempPathFactory, keyword: str, part: int, value: str
) -> None:
    folder = tmp_path_factory.mktemp("decimal")
    scan = Scan()
    scan.write(folder)
    made = scan.dataset(2)
    texts = str(made[keyword].value).strip("[]").replace("'", "").split(", ")
    texts[part % len(texts)] = value
    mark = "7" * 40
    made.add_new(made[keyword].tag, "LO", mark)
    save(made, folder / "4.dcm")
    raw = (folder / "4.dcm").read_bytes()
    text = "\\".join(texts).encode()
    wanted = text + b" " * (len(text) % 2)
    old = b"LO" + struct.pack("<H", 40) + mark.encode()
    assert old in raw
    (folder / "4.dcm").write_bytes(raw.replace(old, b"DS" + struct.pack("<H", len(wanted)) + wanted))

    study = _read(folder)

    if study is not None and not study.warnings:
        assert np.array_equal(np.delete(study.volume.hu, 2, axis=0), np.delete(scan.hu, 2, axis=0))
        assert study.volume.grid.agrees(scan.grid(), tolerance_mm=0.5)


# ---- claims


def test_a_header_that_claims_four_gigabytes_costs_none(tmp_path: Path) -> None:
    Scan(change=setting(Rows=4096, Columns=4096)).write(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(StudyError, match="should have 33554432 bytes of pixels"):
        read_study(tmp_path)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize("syntax", [JPEG_LOSSLESS, "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"])
def test_a_compressed_image_that_claims_to_be_huge_is_not_decoded(tmp_path: Path, syntax: str) -> None:
    stored = (body()[0] + 1024).astype(np.uint16).repeat(4, 0).repeat(4, 1)
    images = {
        JPEG_LOSSLESS: lossless(stored),
        "1.2.840.10008.1.2.4.90": bytes(imagecodecs.jpeg2k_encode(stored, level=0, codecformat="j2k")),
        "1.2.840.10008.1.2.4.80": bytes(imagecodecs.jpegls_encode(stored)),
    }
    rows, columns = (struct.pack(">I" if syntax.endswith("90") else ">H", side) for side in stored.shape)
    size = rows + columns if not syntax.endswith("90") else columns + rows
    assert size in images[syntax]
    huge = images[syntax].replace(size, (b"\0\0\xff\xff" * 2) if syntax.endswith("90") else b"\xff\xff" * 2, 1)

    def change(dataset: Dataset, _index: int) -> None:
        dataset.PixelData = encapsulate([huge])
        dataset.PixelData = dataset.PixelData

    scan = Scan(hu=body(6, 48, 40), syntax=syntax)
    for index in range(6):
        made = Scan(hu=body(6, 48, 40)).dataset(index)
        made.file_meta.TransferSyntaxUID = scan.syntax
        change(made, index)
        save(made, tmp_path / f"{index}.dcm")

    with pytest.raises(StudyError, match="65535 x 65535"):
        read_study(tmp_path)


def test_a_deflated_file_is_inflated_no_further_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = Scan()
    for path in scan.write(tmp_path).iterdir():
        data = path.read_bytes()
        begin = 132 + 12 + int.from_bytes(data[140:144], "little")
        meta = data[132:begin].replace(b"1.2.840.10008.1.2.1\0", _DEFLATED.encode())
        meta = meta.replace(struct.pack("<H", 20) + _DEFLATED.encode(), struct.pack("<H", 22) + _DEFLATED.encode())
        meta = meta[:8] + struct.pack("<I", len(meta) - 12) + meta[12:]
        packer = zlib.compressobj(wbits=-15)
        path.write_bytes(data[:132] + meta + packer.compress(data[begin:]) + packer.flush())

    assert np.array_equal(read_study(tmp_path).volume.hu, scan.hu)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 400)
    with pytest.raises(StudyError, match="may have 400 bytes"):
        read_study(tmp_path)


def test_a_zip_that_says_less_than_it_holds_gives_no_more_than_it_says(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.dcm", bytes(128) + b"DICM" + bytes(200_000_000))
    data = packed.getvalue().replace(struct.pack("<I", 200_000_132), struct.pack("<I", 1000))
    (tmp_path / "bomb.zip").write_bytes(data)
    del packed

    tracemalloc.start()
    assert _read(tmp_path / "bomb.zip") is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 50_000_000


def test_a_zip_whose_names_point_outside_writes_nothing(tmp_path: Path) -> None:
    scan = Scan()
    inside = tmp_path / "inside"
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for path in scan.write(tmp_path / "folder").iterdir():
            archive.write(path, f"../../{path.name}")
    inside.mkdir()
    (tmp_path / "scan.zip").rename(inside / "scan.zip")
    before = sorted(tmp_path.rglob("*"))

    assert np.array_equal(read_study(inside / "scan.zip").volume.hu, scan.hu)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["scan.zip", "scan", "scan.dcm"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_zip_whose_end_is_missing_is_called_damaged(tmp_path: Path, name: str, inside: bool) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in Scan().write(tmp_path / "folder").iterdir():
            archive.write(path, path.name)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(packed.getvalue()[: len(packed.getvalue()) * 2 // 3])
    place = tmp_path / "in" if inside else tmp_path / "in" / name

    for act in (read_study, find_series):
        with pytest.raises(
            StudyError, match=f"{name} cannot be unpacked .it is not a zip, or its end is missing.*Copy it again"
        ) as raised:
            act(place)
        assert raised.value.code == "damaged_zip"


def test_a_page_that_is_called_a_zip_is_no_zip(tmp_path: Path) -> None:
    (tmp_path / "scan.zip").write_text("<html>Please log in</html>")

    with pytest.raises(StudyError, match=r"scan\.zip cannot be unpacked"):
        read_study(tmp_path / "scan.zip")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for path in Scan().write(tmp_path / "folder").iterdir():
            archive.write(path, path.name)
    data = bytearray((tmp_path / "scan.zip").read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(signature, at + 4)
    (tmp_path / "scan.zip").write_bytes(data)

    with pytest.raises(StudyError, match="is encrypted"):
        read_study(tmp_path / "scan.zip")


# ---- links, loops and races


def test_links_are_not_followed_even_in_circles(tmp_path: Path) -> None:
    scan = Scan()
    scan.write(tmp_path / "scan")
    (tmp_path / "scan" / "loop").symlink_to(tmp_path)
    (tmp_path / "scan" / "dangling.dcm").symlink_to(tmp_path / "nowhere")

    study = read_study(tmp_path / "scan")

    assert np.array_equal(study.volume.hu, scan.hu)
    assert [warning.code for warning in study.warnings] == ["links_ignored"]
    assert studies_in(tmp_path) == (tmp_path / "scan",)


def test_a_folder_of_links_says_why_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    for path in Scan().write(tmp_path / "scan").iterdir():
        (tmp_path / "links" / path.name).symlink_to(path)

    with pytest.raises(StudyError, match="it has no files, and 6 links, which are not followed"):
        read_study(tmp_path / "links")


def test_pipes_in_a_folder_are_not_waited_for(tmp_path: Path) -> None:
    scan = Scan()
    scan.write(tmp_path)
    os.mkfifo(tmp_path / "pipe.dcm")

    assert np.array_equal(read_study(tmp_path).volume.hu, scan.hu)


@pytest.mark.parametrize("act", ["vanish", "shrink"])
def test_a_file_that_vanishes_or_shrinks_while_it_is_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    choose = choosing.choose

    def interfere(*args: object) -> object:
        path = tmp_path / "3.dcm"
        path.unlink() if act == "vanish" else os.truncate(path, 10)
        return choose(*args)  # type: ignore[arg-type]

    Scan().write(tmp_path)
    monkeypatch.setattr(dicom, "choose", interfere)

    with pytest.raises(StudyError, match=r"3\.dcm changed or vanished"):
        read_study(tmp_path)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(StudyError, match="Nothing can be opened"):
        read_study(name)
    with pytest.raises(StudyError, match="Nothing can be opened"):
        studies_in(name)


@pytest.mark.parametrize("letters", [b"D\x00", b"\x00\x00", b"ZZ"])
def test_a_representation_that_does_not_exist_changes_no_place_or_is_refused_in_one_line(letters: bytes, tmp_path: Path) -> None:
    written = write_dicom(coded_volume(), tmp_path / "scan")
    told = read_study(written).volume.grid
    for path in written.iterdir():
        data = path.read_bytes()
        position = data.index(b"\x20\x00\x32\x00DS") + 4
        path.write_bytes(data[:position] + letters + data[position + 2 :])

    try:
        found = read_study(written).volume.grid
    except CspineError as error:
        told_why = str(error)
        assert "\n" not in told_why  # either may be
    else:
        np.testing.assert_array_equal(found.affine, told.affine)


def test_a_member_without_a_name_is_passed_over(tmp_path: Path) -> None:
    written = write_dicom(coded_volume(), tmp_path / "scan")
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for path in sorted(written.iterdir()):
            archive.write(path, path.name)
        archive.writestr("x", b"nothing")
    data = (tmp_path / "scan.zip").read_bytes()
    place = data.rindex(b"PK\x01\x02")
    nameless = data[: place + 28] + b"\x00\x00" + data[place + 30 : place + 46] + data[place + 47 :]
    end = nameless.rindex(b"PK\x05\x06")
    size = struct.unpack("<I", nameless[end + 12 : end + 16])[0] - 1
    (tmp_path / "scan.zip").write_bytes(nameless[: end + 12] + struct.pack("<I", size) + nameless[end + 16 :])

    with zipfile.ZipFile(tmp_path / "scan.zip") as archive:
        assert "" in archive.namelist()
    assert read_study(tmp_path / "scan.zip").volume.grid.shape == coded_volume().grid.shape
