"""Holds that arrays, NIfTI images of nibabel and data sets of pydicom are read as their files are."""

import copy
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset

from cspine import as_study, read_study
from cspine.errors import GeometryError, InputError, PixelError, StudyError
from cspine.geometry import Grid
from cspine.study import Study
from cspine.volume import Volume
from tests.reading.scans import JPEG_LOSSLESS, Scan, body

_IMPLICIT, _BIG, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


def _same(one: Study, other: Study) -> bool:
    return (
        np.array_equal(one.volume.hu, other.volume.hu)
        and one.volume.grid.agrees(other.volume.grid, 1e-9)
        and (one.study_uid, one.series_uid, one.orientation, one.sources, one.warnings)
        == (other.study_uid, other.series_uid, other.orientation, other.sources, other.warnings)
    )


def _read(folder: Path) -> list[Dataset]:
    return [dcmread(file) for file in sorted(folder.iterdir())]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", _IMPLICIT, _DEFLATED, JPEG_LOSSLESS])
def test_data_sets_are_the_study_of_their_files_in_any_order(syntax: str, tmp_path: Path) -> None:
    folder = Scan(syntax=syntax).write(tmp_path / "scan")
    datasets = _read(folder)

    study = as_study(datasets[::-1], name="neck")

    assert _same(study, read_study(folder))
    assert (study.name, study.origin) == ("neck", None)
    assert all(not hasattr(one, "file_meta") or one == other for one, other in zip(datasets, _read(folder), strict=True))


def test_values_of_big_endian_files_are_read_in_their_order(tmp_path: Path) -> None:
    def swapped(made: Dataset, _: int) -> None:
        made.PixelData = np.frombuffer(made.PixelData, "<i2").astype(">i2").tobytes()

    folder = Scan(syntax=_BIG, change=swapped).write(tmp_path / "scan")

    assert np.array_equal(as_study(_read(folder)).volume.hu, body())


def test_data_sets_that_were_never_in_a_file_are_read(tmp_path: Path) -> None:
    scan = Scan()
    datasets = [scan.dataset(index) for index in range(len(scan.hu))]
    for one in datasets:
        del one.file_meta
    before = copy.deepcopy(datasets)

    study = as_study(datasets)

    assert _same(study, read_study(scan.write(tmp_path / "scan")))
    assert datasets == before
    assert not any(hasattr(one, "file_meta") or hasattr(one, "preamble") for one in datasets)


def test_of_several_series_the_named_one_is_read() -> None:
    scans = [Scan(series_uid=uid, hu=body(seed=seed)) for seed, uid in enumerate(("1.2.7", "1.2.8"))]
    datasets = [scan.dataset(index) for scan in scans for index in range(len(scan.hu))]

    assert np.array_equal(as_study(datasets, series_uid="1.2.8").volume.hu, scans[1].hu)
    with pytest.raises(StudyError, match=r"^Several series in data sets are equally good: 1\.2\.7, 1\.2\.8\."):
        as_study(datasets)


def test_one_data_set_of_one_slice_is_refused_like_its_file() -> None:
    with pytest.raises(StudyError, match=r"^A stack of slices is needed; series 1\.2\.3\.4 has one image\."):
        as_study(Scan().dataset(0))


def test_data_sets_that_were_read_without_pixels_are_refused(tmp_path: Path) -> None:
    folder = Scan().write(tmp_path / "scan")
    datasets = [dcmread(file, stop_before_pixels=True) for file in sorted(folder.iterdir())]

    with pytest.raises(PixelError, match=r"has no pixel data\. Export it again with its images\.$"):
        as_study(datasets)


def test_a_data_set_that_cannot_be_written_is_told_by_its_number() -> None:
    scan = Scan()
    datasets = [scan.dataset(index) for index in range(len(scan.hu))]
    datasets[2].file_meta = FileMetaDataset()
    datasets[2].add_new(0x00020010, "UI", "1.2")  # belongs into the head of a file

    with pytest.raises(
        StudyError, match=r"needed; data set 2, counted from 0, cannot be written as DICOM \(ValueError: .*dcmread\.$"
    ):
        as_study(datasets)


def _image(values: NDArray[Any] | None = None, affine: NDArray[Any] | None = None) -> Any:
    affine = np.array([[0.75, 0, 0, 4], [0, 0.5, 0.1, -7], [0, 0, 1.25, 30], [0, 0, 0, 1]]) if affine is None else affine
    return nibabel.Nifti1Image(body().transpose(2, 1, 0) if values is None else values, affine)


def _scaled(path: Path) -> None:
    image = _image()
    image.header.set_slope_inter(0.5, -30)
    nibabel.save(image, path)


_IMAGES: dict[str, Callable[[Path], None]] = {
    "plain": lambda path: nibabel.save(_image(), path),
    "scaled": _scaled,
    "four dimensions": lambda path: nibabel.save(_image(body().transpose(2, 1, 0)[..., None]), path),
    "floating": lambda path: nibabel.save(_image(body().transpose(2, 1, 0).astype(np.float32) + 0.25), path),
}


@pytest.mark.parametrize("packed", [".nii", ".nii.gz"])
@pytest.mark.parametrize("made", _IMAGES)
def test_an_image_of_nibabel_is_the_study_of_its_file(made: str, packed: str, tmp_path: Path) -> None:
    path = tmp_path / f"scan{packed}"
    _IMAGES[made](path)

    study = as_study(nibabel.load(path))

    assert _same(study, read_study(path))
    assert study.name == "scan"


def test_an_image_in_memory_is_read_as_if_it_had_been_saved(tmp_path: Path) -> None:
    image = _image()
    nibabel.save(image, tmp_path / "scan.nii")

    assert _same(as_study(_image()), read_study(tmp_path / "scan.nii"))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_an_image_of_unsigned_numbers_is_refused_as_its_file_is(kind: Any, tmp_path: Path) -> None:
    image = _image(np.clip(body().transpose(2, 1, 0), 0, 255).astype(kind))
    nibabel.save(image, tmp_path / "scan.nii")

    with pytest.raises(PixelError, match=r"so there is no air\."):
        as_study(image)
    with pytest.raises(PixelError, match=r"so there is no air\."):
        read_study(tmp_path / "scan.nii")


def test_an_affine_that_was_changed_in_the_image_counts() -> None:
    image = _image(affine=np.diag([1.0, 1, 1, 1]))
    image.affine[:3, 3] = 5, 6, 7

    assert as_study(image).volume.grid.world((0, 0, 0)).tolist() == [-5, -6, 7]


def _cut(path: Path) -> Any:
    nibabel.save(_image(np.random.default_rng(0).integers(-1000, 1000, (30, 30, 30)).astype(np.int16)), path / "scan.nii.gz")
    data = (path / "scan.nii.gz").read_bytes()
    (path / "scan.nii.gz").write_bytes(data[: len(data) // 2])
    return nibabel.load(path / "scan.nii.gz")


def _short(path: Path) -> Any:
    nibabel.save(_image(), path / "scan.nii")
    data = (path / "scan.nii").read_bytes()
    (path / "scan.nii").write_bytes(data[:-100])
    return nibabel.load(path / "scan.nii")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            lambda _: nibabel.Nifti1Image(body().transpose(2, 1, 0), None),
            "^A NIfTI must say where its voxels lie; image has neither",
        ),
        (
            lambda _: _image(np.zeros((3, 4, 5, 2), np.int16)),
            "^A NIfTI of three dimensions is needed; image has the shape 3 x 4 x 5 x 2",
        ),
        (lambda _: _image(np.zeros((3, 4, 5), np.complex64)), "^A NIfTI of numbers is needed; image holds complex64"),
        (
            lambda _: _image(body().transpose(2, 1, 0) // 100),
            "^Hounsfield units are needed; the values of image are something else",
        ),
        (_cut, r"^scan\.nii\.gz is damaged: it cannot be unpacked to its end"),
        (_short, r"^scan\.nii is damaged: it cannot be unpacked to its end"),
    ],
)
def test_an_image_that_is_no_scan_is_refused_in_one_line(made: Callable[[Path], Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=words) as raised:
        as_study(made(tmp_path))

    assert "\n" not in str(raised.value)


def _grid(shape: tuple[int, int, int] = (6, 12, 10), spacing_mm: tuple[float, float, float] = (1.25, 0.5, 0.75)) -> Grid:
    return Grid.upright((0, 0, 0), shape, spacing_mm)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float64, ">i2"])
def test_an_array_of_any_numbers_is_read_on_its_grid(kind: Any) -> None:
    values = body().astype(kind)

    study = as_study(values, _grid(), name="mine")

    assert (study.name, study.orientation, study.sources) == ("mine", "axial", ())
    assert study.volume.hu.dtype == (np.int16 if np.dtype(kind).kind == "i" else np.float32)
    assert np.array_equal(study.volume.hu, body())
    assert study.volume.grid.agrees(_grid())


def test_what_is_no_number_becomes_air_in_a_copy() -> None:
    values = body().astype(np.float32)
    values[0, 3, 3], values[1, 3, 3], values[2, 3, 3] = np.nan, np.inf, -3024
    before = values.copy()

    study = as_study(Volume(values, _grid()))

    assert study.volume.hu[[0, 1, 2], 3, 3].tolist() == [-1000] * 3
    assert [warning.code for warning in study.warnings][-1] == "not_finite"
    assert np.array_equal(values, before, equal_nan=True)


@pytest.mark.parametrize(
    ("scan", "grid", "kind", "words"),
    [
        (body(), None, StudyError, "^A scan is a path, a Study, .* Received: an array without a grid.$"),
        ({}, None, StudyError, "Received: builtins.dict.$"),
        ([], None, StudyError, "Received: an empty list.$"),
        ([Dataset(), "a"], None, StudyError, "Received: a list with str in it.$"),
        (body().tolist(), _grid(), StudyError, r"^A grid comes with an array of numbers.* Received: list\.$"),
        (body() > 0, _grid(), StudyError, r"Received: an array of bool\.$"),
        (body(), np.eye(4), GeometryError, r"^An array needs a cspine\.geometry\.Grid\. Received: ndarray\.$"),
        (body(), _grid((10, 12, 6)), GeometryError, r"shape of its grid, \(10, 12, 6\)\. Received: \(6, 12, 10\)\.$"),
        (body(), _grid(spacing_mm=(0.00125, 0.5, 0.75)), GeometryError, r"the grid has 0\.00125 x 0\.5 x 0\.75\."),
        (body()[:1], _grid((1, 12, 10)), GeometryError, r"^A scan needs 2 to 4096 voxels along each side"),
        (body() // 100, _grid(), PixelError, "^Hounsfield units are needed; the values of array"),
    ],
)
def test_what_is_no_scan_is_one_clear_line(scan: Any, grid: Any, kind: type[InputError], words: str) -> None:
    with pytest.raises(kind, match=words) as raised:
        as_study(scan, grid)

    assert "\n" not in str(raised.value)


def test_a_study_is_returned_as_it_is_and_a_path_is_read(tmp_path: Path) -> None:
    study = read_study(Scan().write(tmp_path / "scan"))

    assert as_study(study) is study
    assert as_study(study, name="other").name == "other"
    assert _same(as_study(str(tmp_path / "scan")), study)


def test_a_packed_image_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nibabel.save(_image(), tmp_path / "scan.nii.gz")
    image, opened = nibabel.load(tmp_path / "scan.nii.gz"), []
    before = gzip.GzipFile.__init__

    def counting(self: gzip.GzipFile, *arguments: Any, **more: Any) -> None:
        opened.append(1)
        before(self, *arguments, **more)

    monkeypatch.setattr(gzip.GzipFile, "__init__", counting)
    as_study(image)

    assert len(opened) <= 1
