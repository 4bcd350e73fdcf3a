"""A NIfTI file gives the voxels where its header says, or a reason."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cspine.errors import PixelError, StudyError
from cspine.geometry import Grid
from cspine.reading import as_study, find_series, limits, read_study
from tests.reading.scans import body

_TO_LPS = np.diag((-1.0, -1.0, 1.0, 1.0))


def _write(path: Path, hu: NDArray[Any], affine: NDArray[np.float64], kind: Any = nibabel.Nifti1Image) -> Path:
    """Writes ``hu`` ``(z, y, x)`` with an affine from ``(i, j, k)`` to RAS."""
    nibabel.save(kind(hu.transpose(2, 1, 0), affine), path)
    return path


def _grid(hu: NDArray[Any], affine: NDArray[np.float64]) -> Grid:
    return Grid(hu.shape, _TO_LPS @ affine[:, [2, 1, 0, 3]])


@settings(derandomize=True, max_examples=25, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 4)] * 3),
    shear=st.floats(-0.5, 0.5),
    mirrored=st.booleans(),
)
def test_any_sform_is_followed(
    tmp_path_factory: pytest.TempPathFactory, angles: tuple[float, ...], spacing: tuple[float, ...], shear: float, mirrored: bool
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * spacing
    affine[:3, 2] += shear * affine[:3, 1]
    affine[:3, 0] *= -1 if mirrored else 1
    affine[:3, 3] = 3, -50, 70
    hu = body()
    path = tmp_path_factory.mktemp("nifti") / "scan.nii.gz"

    volume = read_study(_write(path, hu, affine)).volume

    assert np.array_equal(volume.hu, hu)
    assert volume.grid.agrees(_grid(hu, affine.astype(np.float32).astype(np.float64)), 1e-3)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<i4", "<f4", "<f8", ">f4"])
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_every_type_and_byte_order_gives_the_same_hounsfield_units(tmp_path: Path, kind: Any, dtype: str, name: str) -> None:
    hu = body()
    image = kind(hu.transpose(2, 1, 0).astype(dtype), np.eye(4), kind.header_class(endianness=dtype[0]))
    image.header.set_data_dtype(np.dtype(dtype))
    nibabel.save(image, tmp_path / name)

    study = read_study(tmp_path / name)

    assert np.array_equal(study.volume.hu, hu)
    assert (study.name, study.sources, study.series_uid) == ("scan", (), None)


@pytest.mark.parametrize(
    ("slope", "intercept", "kind"), [(1, 0, np.int16), (1, -24, np.int16), (1, 0.5, np.float32), (2, 0, np.float32)]
)
def test_whole_numbers_take_half_the_memory_where_the_scale_leaves_them_whole(
    tmp_path: Path, slope: float, intercept: float, kind: type[np.generic]
) -> None:
    image = nibabel.Nifti1Image(np.zeros(body().T.shape, np.int16), np.eye(4))
    image.header.set_slope_inter(slope, intercept)
    nibabel.save(image, tmp_path / "scan.nii")
    stored = np.rint((body() - intercept) / slope).astype("<i2")
    data = bytearray((tmp_path / "scan.nii").read_bytes())
    data[352:] = stored.tobytes()
    (tmp_path / "scan.nii").write_bytes(data)

    hu = read_study(tmp_path / "scan.nii").volume.hu

    assert hu.dtype == kind
    assert np.array_equal(hu, stored * slope + intercept)


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_value_that_int16_cannot_hold_makes_all_of_a_scan_float32(tmp_path: Path, in_memory: bool) -> None:
    stored = body(6, 48, 40).astype(np.int32)
    stored[0, -1, -1], stored[2, -1, -1], stored[3, 6, 6] = -40_000, -3024, 40_000
    path = _write(tmp_path / "scan.nii.gz", stored, np.eye(4))

    hu = as_study(nibabel.load(path)).volume.hu if in_memory else read_study(path).volume.hu

    wanted = np.where(stored < -1024, -1000, stored)
    assert hu.dtype == np.float32
    assert np.array_equal(hu, wanted)
    wanted[3, 6, 6] = 700
    stored[3, 6, 6] = 700
    hu = read_study(_write(tmp_path / "other.nii.gz", stored, np.eye(4))).volume.hu
    assert hu.dtype == np.int16
    assert np.array_equal(hu, wanted)


def test_stored_values_are_scaled(tmp_path: Path) -> None:
    hu = body()
    image = nibabel.Nifti1Image(np.zeros(hu.T.shape, np.uint16), np.eye(4))
    image.header.set_slope_inter(0.5, -1024)
    nibabel.save(image, tmp_path / "scan.nii")
    data = bytearray((tmp_path / "scan.nii").read_bytes())
    data[352:] = (2 * (hu.astype(int) + 1024)).astype("<u2").tobytes()
    (tmp_path / "scan.nii").write_bytes(data)

    assert np.array_equal(read_study(tmp_path / "scan.nii").volume.hu, hu)


def test_the_qform_is_followed_where_there_is_no_sform(tmp_path: Path) -> None:
    hu, affine = body(), np.diag((-0.5, 0.5, 2.0, 1.0))
    image = nibabel.Nifti1Image(hu.transpose(2, 1, 0), None)
    image.header.set_qform(affine, 1)
    nibabel.save(image, tmp_path / "scan.nii")

    assert read_study(tmp_path / "scan.nii").volume.grid.agrees(_grid(hu, affine))


@pytest.mark.parametrize(("unit", "millimetres"), [("mm", 1.0), ("meter", 1000.0), ("micron", 0.001)])
def test_units_of_length_are_followed(tmp_path: Path, unit: str, millimetres: float) -> None:
    hu, affine = body(), np.diag((1 / millimetres, 1 / millimetres, 2 / millimetres, 1.0))
    image = nibabel.Nifti1Image(hu.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "scan.nii")

    assert np.allclose(read_study(tmp_path / "scan.nii").volume.grid.spacing_mm, (2, 1, 1), rtol=1e-5)


@pytest.mark.parametrize(
    ("low", "high", "reason"),
    [(0, 255, "there is no air"), (0, 4095, "there is no air"), (-1, 1, "there is no air"), (-1000, 100, "there is no bone")],
)
def test_values_that_cannot_be_hounsfield_units_are_refused(tmp_path: Path, low: float, high: float, reason: str) -> None:
    values = np.linspace(low, high, 720).reshape(6, 12, 10).astype(np.float32)

    with pytest.raises(PixelError, match=f"they reach from {low} to {high}, so {reason}"):
        read_study(_write(tmp_path / "scan.nii", values, np.eye(4)))


def test_values_many_of_which_are_denser_than_bone_are_refused(tmp_path: Path) -> None:
    values = np.linspace(-1000, 60000, 720).reshape(6, 12, 10).astype(np.float32)

    with pytest.raises(PixelError, match="many are denser than any bone"):
        read_study(_write(tmp_path / "scan.nii", values, np.eye(4)))


def test_a_fourth_dimension_of_one_is_none(tmp_path: Path) -> None:
    hu = body()
    nibabel.save(nibabel.Nifti1Image(hu.transpose(2, 1, 0)[..., None], np.eye(4)), tmp_path / "scan.nii")

    assert np.array_equal(read_study(tmp_path / "scan.nii").volume.hu, hu)


def test_a_zip_or_a_folder_with_one_nifti_file_stands_for_it(tmp_path: Path) -> None:
    path = _write(tmp_path / "scan.nii.gz", body(), np.eye(4))
    with zipfile.ZipFile(tmp_path.parent / f"{tmp_path.name}.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.write(path, "inside/scan.nii.gz")

    assert np.array_equal(read_study(tmp_path).volume.hu, body())
    assert np.array_equal(read_study(tmp_path.parent / f"{tmp_path.name}.zip").volume.hu, body())


def test_several_nifti_files_in_a_folder_are_several_studies(tmp_path: Path) -> None:
    for name in ("a.nii", "b.nii"):
        _write(tmp_path / name, body(), np.eye(4))

    with pytest.raises(StudyError, match=r"holds 2 NIfTI files. Give one of a.nii, b.nii"):
        read_study(tmp_path)
    assert [summary.chosen for summary in find_series(tmp_path)] == [True, True]


def test_find_series_says_why_a_nifti_file_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "scan.nii", np.zeros((4, 4, 4, 2), np.int16).transpose(3, 2, 1, 0)[0], np.eye(4))

    (summary,) = find_series(path)

    assert not summary.chosen
    assert "are something else: they reach from 0 to 0" in summary.reason


def test_a_header_that_claims_more_than_there_is_costs_nothing(tmp_path: Path) -> None:
    path = _write(tmp_path / "scan.nii", body(), np.eye(4))
    data = bytearray(path.read_bytes())
    data[42:48] = np.array([32767] * 3, "<i2").tobytes()
    path.write_bytes(data)

    with pytest.raises(StudyError, match="A volume may have"):
        read_study(path)


def test_an_unknown_unit_of_length_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "scan.nii", body(), np.eye(4))
    data = bytearray(path.read_bytes())
    data[123] = 7
    path.write_bytes(data)

    with pytest.raises(StudyError, match="cannot be read as NIfTI"):
        read_study(path)


def test_nothing_is_logged_about_an_odd_header(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = _write(tmp_path / "scan.nii", body(), np.eye(4))
    data = bytearray(path.read_bytes())
    data[252:254] = np.array([-254], "<i2").tobytes()
    path.write_bytes(data)

    assert read_study(path).warnings == ()
    assert caplog.text == ""


def test_a_packed_file_is_unpacked_no_further_than_its_header_says(tmp_path: Path) -> None:
    path = _write(tmp_path / "scan.nii", body(), np.eye(4))
    bomb = tmp_path / "bomb.nii.gz"
    bomb.write_bytes(gzip.compress(path.read_bytes() + bytes(50_000_000)))

    assert np.array_equal(read_study(bomb).volume.hu, body())
    assert limits.MAX_VOXELS * 4 <= 1 << 32


# ---- damage


def _stored(plain: bytes) -> bytes:
    """Returns a gzip file whose bytes are not compressed, so that a flipped bit changes one voxel and nothing else."""
    return gzip.compress(plain, compresslevel=0, mtime=0)


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda data: _flipped(data, len(data) // 2), "CRC check failed"),
        (lambda data: _flipped(data, len(data) - 9), "CRC check failed|invalid|block"),
        (lambda data: _flipped(data, len(data) - 6), "CRC check failed"),
        (lambda data: _flipped(data, len(data) - 2), "length"),
        (lambda data: data[:-8], "end-of-stream"),
        (lambda data: data[:-1], "end-of-stream"),
        (lambda data: data[: len(data) // 2], "end-of-stream"),
        (lambda data: data + b"more", "Not a gzipped file"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_packed_file_whose_checksum_or_length_is_wrong_is_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes], cause: str, zipped: bool
) -> None:
    plain = _write(tmp_path / "scan.nii", body(), np.eye(4)).read_bytes()
    path = tmp_path / "broken" / "scan.nii.gz"
    path.parent.mkdir()
    path.write_bytes(damage(_stored(plain)))
    if zipped:
        with zipfile.ZipFile(tmp_path / "broken.zip", "w") as archive:
            archive.write(path, "scan.nii.gz")
        path = tmp_path / "broken.zip"

    with pytest.raises(StudyError, match=rf"scan\.nii\.gz is damaged: it cannot be unpacked to its end \(.*({cause})") as raised:
        read_study(path)
    assert raised.value.code == "nifti_broken_off"
    assert find_series(path)[0].reason == str(raised.value)


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_of_a_zip_whose_checksum_is_wrong_is_refused(tmp_path: Path, packing: int) -> None:
    path = _write(tmp_path / "scan.nii", body(), np.eye(4))
    with zipfile.ZipFile(tmp_path / "scan.zip", "w", packing) as archive:
        archive.write(path, "scan.nii")
        checksum = archive.infolist()[0].CRC.to_bytes(4, "little")
    data = (tmp_path / "scan.zip").read_bytes()
    assert data.count(checksum) == 2
    (tmp_path / "scan.zip").write_bytes(data.replace(checksum, b"abcd"))

    with pytest.raises(StudyError, match="Bad CRC-32"):
        read_study(tmp_path / "scan.zip")


def test_a_packed_file_that_goes_on_and_on_is_refused_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_TRAILING_BYTES", 3 << 20)
    plain = _write(tmp_path / "scan.nii", body(), np.eye(4)).read_bytes()
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(plain + bytes(5 << 20)))

    with pytest.raises(StudyError, match="more than 3145728 bytes follow its voxels"):
        read_study(path)


@pytest.mark.parametrize(("slope", "intercept"), [(1e9, 0), (1, -1e9)])
def test_a_scale_that_no_scanner_has_is_refused(tmp_path: Path, slope: float, intercept: float) -> None:
    path = _write(tmp_path / "scan.nii", body(), np.eye(4))
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([slope, intercept], "<f4").tobytes()
    path.write_bytes(data)

    with pytest.raises(PixelError, match="that give Hounsfield units are needed"):
        read_study(path)


# ---- the place of voxels


@pytest.mark.parametrize("form", ["sform", "qform"])
@pytest.mark.parametrize(("unit", "millimetres"), [("mm", 1.0), ("meter", 1000.0), ("micron", 0.001), (0, 1.0)])
def test_units_of_length_are_those_of_the_steps_and_of_the_origin(
    tmp_path: Path, form: str, unit: str | int, millimetres: float
) -> None:
    hu, affine = body(), np.array([[-0.5, 0, 0, 100], [0, 0.75, 0, -40], [0, 0, 2.0, 30], [0, 0, 0, 1]])
    in_units = affine / ([millimetres], [millimetres], [millimetres], [1])
    image = nibabel.Nifti1Image(hu.transpose(2, 1, 0), in_units if form == "sform" else None)
    if form == "qform":
        image.header.set_qform(in_units, 1)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "scan.nii")

    study = read_study(tmp_path / "scan.nii")

    assert study.volume.grid.agrees(_grid(hu, affine), 1e-3)
    assert study.warnings == ()


@pytest.mark.parametrize(("unit", "step"), [("mm", 0.0005), ("meter", 0.5), ("micron", 0.5), ("mm", 25.0)])
def test_voxels_far_smaller_or_larger_than_any_are_refused_with_a_word_on_their_unit(
    tmp_path: Path, unit: str, step: float
) -> None:
    image = nibabel.Nifti1Image(body().transpose(2, 1, 0), np.diag((step, step, step, 1)))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "scan.nii")

    with pytest.raises(
        StudyError, match=r"Voxels 0\.01 to 20 mm apart are needed; scan\.nii has steps of .* Correct its unit of length"
    ):
        read_study(tmp_path / "scan.nii")


def _forms(path: Path, sform: NDArray[np.float64], qform: NDArray[np.float64], codes: tuple[int, int] = (1, 1)) -> list[str]:
    hu = body(8, 8, 8)
    image = nibabel.Nifti1Image(hu.transpose(2, 1, 0), None)
    image.header.set_sform(sform, codes[0])
    image.header.set_qform(qform, codes[1])
    nibabel.save(image, path)
    study = read_study(path)
    assert study.volume.grid.agrees(_grid(hu, sform if codes[0] else qform), 1e-3)
    return [warning.code for warning in study.warnings]


def test_forms_that_swap_two_axes_disagree_though_both_ends_of_the_diagonal_agree(tmp_path: Path) -> None:
    swapped = np.eye(4)[[1, 0, 2, 3]] * ([1], [1], [-1], [1])
    swapped[2, 3] = 7
    straight = np.eye(4)
    straight[2, 2], straight[2, 3] = -1, 7

    assert _forms(tmp_path / "scan.nii", straight, swapped) == ["nifti_forms_disagree"]


@pytest.mark.parametrize(("off", "codes"), [(0.9, []), (1.1, ["nifti_forms_disagree"])])
def test_forms_may_differ_by_a_millimetre(tmp_path: Path, off: float, codes: list[str]) -> None:
    moved = np.eye(4)
    moved[1, 3] = off

    assert _forms(tmp_path / "scan.nii", np.eye(4), moved) == codes


def test_a_form_whose_code_says_that_it_does_not_count_disagrees_with_nothing(tmp_path: Path) -> None:
    moved = np.eye(4)
    moved[1, 3] = 50

    assert _forms(tmp_path / "a.nii", np.eye(4), moved, (1, 0)) == []
    assert _forms(tmp_path / "b.nii", moved, np.eye(4), (0, 1)) == []
