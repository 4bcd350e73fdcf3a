"""A series on disk becomes exactly the volume that was scanned."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cspine.reading import read_study
from tests.reading.scans import AXIAL, CORONAL, JPEG_LOSSLESS, SAGITTAL, Scan, body, enhanced, lossless, save, setting

_OBLIQUE = (0.9541666, -0.2080757, 0.2151061, 0.2785886, 0.880128, -0.3843997)
_FEET_FIRST = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.mark.parametrize("directions", [AXIAL, SAGITTAL, CORONAL, _OBLIQUE, _FEET_FIRST])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", JPEG_LOSSLESS])
def test_a_folder_gives_the_voxels_where_they_were_scanned(tmp_path: Path, directions: tuple[float, ...], syntax: str) -> None:
    def big_endian(dataset: Dataset, _index: int) -> None:
        if syntax == "1.2.840.10008.1.2.2":
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()

    scan = Scan(directions=directions, syntax=syntax, change=big_endian)

    study = read_study(scan.write(tmp_path / "neck"))

    assert np.array_equal(study.volume.hu, scan.hu)
    assert study.volume.hu.dtype == np.int16
    assert study.volume.grid.agrees(scan.grid())
    assert (study.name, study.study_uid, study.series_uid, study.warnings) == ("neck", "1.2.3", "1.2.3.4", ())


def test_the_sources_name_every_image_in_the_order_of_the_slices(tmp_path: Path) -> None:
    scan = Scan()

    sources = read_study(scan.write(tmp_path)).sources

    assert [source.sop_instance_uid for source in sources] == [f"1.2.3.4.{n}" for n in range(1, 7)]
    assert np.allclose([source.position_mm for source in sources], scan.places)
    assert {(source.sop_class_uid, source.frame_number) for source in sources} == {("1.2.840.10008.5.1.4.1.1.2", None)}


@pytest.mark.parametrize(("directions", "word"), [(AXIAL, "axial"), (SAGITTAL, "sagittal"), (CORONAL, "coronal")])
def test_the_orientation_is_named(tmp_path: Path, directions: tuple[float, ...], word: str) -> None:
    assert read_study(Scan(directions=directions).write(tmp_path)).orientation == word


def test_a_stack_between_the_axes_is_oblique(tmp_path: Path) -> None:
    half = np.sqrt(0.5)

    assert read_study(Scan(directions=(1, 0, 0, 0, half, half)).write(tmp_path)).orientation == "oblique"


def test_neither_file_names_nor_instance_numbers_nor_slice_thickness_matter(tmp_path: Path) -> None:
    def mislead(dataset: Dataset, index: int) -> None:
        dataset.InstanceNumber = (index * 5) % 6
        dataset.SliceThickness = 99
        dataset.SliceLocation = -index

    scan = Scan(change=mislead)

    assert np.array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)


def test_the_rsna_files_are_read_though_they_name_no_modality(tmp_path: Path) -> None:
    def as_rsna(dataset: Dataset, _index: int) -> None:
        del dataset.Modality, dataset.ImageType, dataset.SOPClassUID

    scan = Scan(change=as_rsna)

    assert np.array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)


def test_files_are_found_in_folders_within_folders_without_endings_and_beside_other_files(tmp_path: Path) -> None:
    scan = Scan()
    scan.write(tmp_path / "DICOM" / "PA0" / "ST0", "I{index}")
    (tmp_path / "DICOM" / "readme.txt").write_text("not an image")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")

    assert np.array_equal(read_study(tmp_path).volume.hu, scan.hu)
    assert np.array_equal(read_study(tmp_path / "DICOMDIR").volume.hu, scan.hu)


def test_files_without_preamble_are_read(tmp_path: Path) -> None:
    scan = Scan()
    for path in scan.write(tmp_path).iterdir():
        path.write_bytes(path.read_bytes()[132:])

    assert np.array_equal(read_study(tmp_path).volume.hu, scan.hu)


def test_a_header_longer_than_what_is_read_first_is_read_whole(tmp_path: Path) -> None:
    def talkative(dataset: Dataset, _index: int) -> None:
        dataset.add_new(0x00091010, "OB", bytes(200_000))

    scan = Scan(change=talkative)

    assert np.array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_read_like_the_folder_in_it(tmp_path: Path, packing: int) -> None:
    scan = Scan()
    archive = tmp_path / "neck.zip"
    with zipfile.ZipFile(archive, "w", packing) as file:
        for path in scan.write(tmp_path / "folder").iterdir():
            file.write(path, f"a/b/{path.name}")

    study = read_study(archive)

    assert np.array_equal(study.volume.hu, scan.hu)
    assert study.name == "neck"


def test_a_folder_that_holds_one_zip_stands_for_it(tmp_path: Path) -> None:
    scan = Scan()
    with zipfile.ZipFile(tmp_path / "neck.zip", "w") as file:
        for path in scan.write(tmp_path.parent / f"{tmp_path.name}-folder").iterdir():
            file.write(path, path.name)

    assert np.array_equal(read_study(tmp_path).volume.hu, scan.hu)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", JPEG_LOSSLESS])
@pytest.mark.parametrize("zipped", [False, True])
def test_an_enhanced_multi_frame_file_is_a_stack(tmp_path: Path, syntax: str, zipped: bool) -> None:
    scan = Scan(syntax=syntax)
    path = tmp_path / "enhanced.dcm"
    save(enhanced(scan), path)
    if zipped:
        with zipfile.ZipFile(tmp_path / "enhanced.zip", "w") as file:
            file.write(path, "enhanced.dcm")
        path = tmp_path / "enhanced.zip"

    study = read_study(path)

    assert np.array_equal(study.volume.hu, scan.hu)
    assert study.volume.grid.agrees(scan.grid())
    assert [source.frame_number for source in study.sources] == [6, 5, 4, 3, 2, 1]


def test_frames_of_several_fragments_are_told_apart_without_an_offset_table(tmp_path: Path) -> None:
    scan = Scan(syntax=JPEG_LOSSLESS)
    made = enhanced(scan)
    items = [b"\xfe\xff\x00\xe0\0\0\0\0"]
    for index in range(len(scan.hu))[::-1]:
        image = lossless((scan.hu[index] + 1024).astype(np.int16))
        image += bytes(len(image) % 2)
        for part in (image[:100], image[100:]):
            items.append(b"\xfe\xff\x00\xe0" + len(part).to_bytes(4, "little") + part)
    made.PixelData = b"".join(items) + b"\xfe\xff\xdd\xe0\0\0\0\0"
    save(made, tmp_path / "enhanced.dcm")

    assert np.array_equal(read_study(tmp_path / "enhanced.dcm").volume.hu, scan.hu)


def _stored(hu: NDArray[np.int16], dtype: str, intercept: int) -> bytes:
    return (hu.astype(np.int64) - intercept).astype(dtype).tobytes()


@pytest.mark.parametrize(
    ("stored", "signed", "intercept", "dtype"),
    [(12, 0, -1024, "<u2"), (16, 1, 0, "<i2"), (16, 0, -32768, "<u2"), (13, 1, 0, "<i2"), (32, 1, 0, "<i4"), (32, 0, -1024, "<u4")],
)
def test_pixels_of_any_width_and_sign_give_the_same_hounsfield_units(
    tmp_path: Path, stored: int, signed: int, intercept: int, dtype: str
) -> None:
    scan = Scan()

    def change(dataset: Dataset, index: int) -> None:
        dataset.BitsAllocated, dataset.BitsStored = 8 * np.dtype(dtype).itemsize, stored
        dataset.HighBit, dataset.PixelRepresentation, dataset.RescaleIntercept = stored - 1, signed, intercept
        dataset.PixelData = _stored(scan.hu[index], dtype, intercept)

    scan.change = change

    assert np.array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)


@pytest.mark.parametrize("signed", [0, 1])
def test_bits_beside_those_stored_do_not_count(tmp_path: Path, signed: int) -> None:
    scan = Scan()
    intercept = 0 if signed else -1024

    def change(dataset: Dataset, index: int) -> None:
        values = (scan.hu[index].astype(np.int64) - intercept) & 0x0FFF
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation, dataset.RescaleIntercept = 12, 12, signed, intercept
        dataset.PixelData = ((values << 1) | 0xE001).astype("<u2").tobytes()

    scan.change = change

    assert np.array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)


def test_each_slice_has_its_own_rescale(tmp_path: Path) -> None:
    scan = Scan()

    def change(dataset: Dataset, index: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 * (1 + index % 2), -1024 - index
        stored = (scan.hu[index] + 1024 + index) / (0.5 * (1 + index % 2))
        dataset.PixelData = stored.astype("<i2").tobytes()

    scan.change = change

    assert np.array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)


def test_a_fractional_slope_is_exact_to_the_last_bit_of_the_result(tmp_path: Path) -> None:
    scan = Scan(change=setting(RescaleSlope="1.0001", RescaleIntercept="-1024.3"))

    hu = read_study(scan.write(tmp_path)).volume.hu

    wanted = (scan.hu.astype(np.float64) + 1024) * 1.0001 - 1024.3
    wanted[wanted < -1024] = -1000
    assert np.array_equal(hu, wanted.astype(np.float32))


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ({}, np.int16),
        ({"RescaleIntercept": 0}, np.int16),
        ({"RescaleIntercept": -30_000}, np.int16),
        ({"RescaleIntercept": -40_000}, np.float32),
        ({"RescaleIntercept": "-1024.5"}, np.float32),
        ({"RescaleSlope": 2}, np.float32),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_whole_numbers_take_half_the_memory_where_the_scale_leaves_them_whole(
    tmp_path: Path, header: dict[str, Any], kind: type[np.generic], order: str
) -> None:
    slope, intercept = float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", -1024))
    scan = Scan(syntax="1.2.840.10008.1.2.2" if order == ">" else "1.2.840.10008.1.2.1")
    stored = np.rint((scan.hu - intercept) / slope)

    def change(dataset: Dataset, index: int) -> None:
        setting(PixelRepresentation=0 if stored.max() > 32_767 else 1, **header)(dataset, index)
        dataset.PixelData = stored[index].astype(f"{order}u2" if stored.max() > 32_767 else f"{order}i2").tobytes()

    scan.change = change

    hu = read_study(scan.write(tmp_path)).volume.hu

    assert hu.dtype == kind
    assert np.array_equal(hu, stored * slope + intercept)


@pytest.mark.parametrize("signed", [True, False])
def test_a_value_that_int16_cannot_hold_makes_all_of_a_scan_float32(tmp_path: Path, signed: bool) -> None:
    def change(dataset: Dataset, index: int) -> None:
        stored = scan.hu[index].astype(np.int64) + 1024
        if index == 4:
            stored[6, 6] = 32_767 + 2024 if signed else 65_535
        dataset.PixelRepresentation, dataset.RescaleIntercept = int(signed), 1000 if signed else -1024
        dataset.PixelData = (stored - 2024).astype("<i2").tobytes() if signed else stored.astype("<u2").tobytes()

    scan = Scan(hu=body(6, 48, 40), change=change)

    hu = read_study(scan.write(tmp_path)).volume.hu

    assert hu.dtype == np.float32
    assert hu[4, 6, 6] == (32_767 + 1000 if signed else 65_535 - 1024)


def test_what_lies_far_below_int16_is_air_too(tmp_path: Path) -> None:
    def change(dataset: Dataset, index: int) -> None:
        stored = scan.hu[index] + 1024
        stored[-1, -1] = -32_768
        dataset.PixelData = stored.astype("<i2").tobytes()

    scan = Scan(change=change)

    hu = read_study(scan.write(tmp_path)).volume.hu

    assert hu.dtype == np.int16
    assert np.all(hu[:, -1, -1] == -1000)
    assert np.array_equal(hu[:, :-1], scan.hu[:, :-1])


@pytest.mark.parametrize("fill", [-2000, -3024, -1500, -1025])
def test_what_fills_the_corners_outside_the_scan_circle_is_air(tmp_path: Path, fill: int) -> None:
    scan = Scan()
    scan.hu[:, -1, -1] = fill

    hu = read_study(scan.write(tmp_path)).volume.hu

    assert np.all(hu[:, -1, -1] == -1000)
    assert np.array_equal(hu[:, :-1], scan.hu[:, :-1])


@pytest.mark.parametrize(
    ("padding", "hu"),
    [({"PixelPaddingValue": 24}, [24 - 1024]), ({"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 30}, [-1024, -1000, -994])],
)
def test_padding_values_are_air(tmp_path: Path, padding: dict[str, Any], hu: list[int]) -> None:
    scan = Scan(change=setting(**padding))
    scan.hu[:, -1, : len(hu)] = hu

    assert np.all(read_study(scan.write(tmp_path)).volume.hu[:, -1, : len(hu)] == -1000)


def test_a_padding_value_written_without_its_sign_is_understood(tmp_path: Path) -> None:
    def change(dataset: Dataset, _index: int) -> None:
        dataset.add_new(0x00280120, "US", 65536 - 2000)

    scan = Scan(change=change)
    scan.hu[:, -1, -1] = -2000 - 1024

    assert np.all(read_study(scan.write(tmp_path)).volume.hu[:, -1, -1] == -1000)


def test_no_patient_is_named_in_a_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scan = Scan(study_uid="1.9.8.77", change=setting(PatientName="Doe^Jane", SpecificCharacterSet="ISO_IR 100"))
    for path in scan.write(tmp_path).iterdir():
        path.write_bytes(path.read_bytes().replace(b"1.9.8.77", b"Doe-Jane").replace(b"ISO_IR", b"ISO-IR"))

    read_study(tmp_path)

    assert caplog.text == ""


def test_the_same_series_gives_the_same_bytes_whatever_the_order_of_the_files(tmp_path: Path) -> None:
    scan = Scan(hu=body(9, seed=3))

    one, other = read_study(scan.write(tmp_path / "a")), read_study(scan.write(tmp_path / "b", "x{index:03}.ima"))

    assert one.volume.hu.tobytes() == other.volume.hu.tobytes()
    assert [source.sop_instance_uid for source in one.sources] == [source.sop_instance_uid for source in other.sources]
