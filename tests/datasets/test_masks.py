import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from scipy import ndimage

from cspine.datasets import load_mask, mask_on, read_dataset, read_mask
from cspine.datasets.masks import without_small_components
from cspine.errors import DatasetError
from cspine.geometry import Grid
from cspine.volume import LabelMap


def stored_grid(images: Path) -> Grid:
    """Returns the grid of a folder of upright slices, in the order of their file numbers, without our reader."""
    numbers = sorted(int(path.stem) for path in images.iterdir())
    first, second = (pydicom.dcmread(images / f"{n}.dcm") for n in numbers[:2])
    affine = np.eye(4)
    affine[:3, 3] = first.ImagePositionPatient
    affine[:3, 0] = np.subtract(second.ImagePositionPatient, first.ImagePositionPatient)
    affine[1, 1], affine[0, 2] = first.PixelSpacing
    affine[0, 0] = affine[2, 2] = 0
    affine[2, 0] = second.ImagePositionPatient[2] - first.ImagePositionPatient[2]
    return Grid((len(numbers), first.Rows, first.Columns), affine)


@pytest.mark.parametrize("study", [0, 1])
def test_a_mask_comes_to_lie_on_its_bones_in_either_slice_direction(folder: Path, study: int) -> None:
    case = read_dataset(folder).cases[study]
    files = sorted(case.images.iterdir(), key=lambda path: int(path.stem))
    hu = np.stack([pydicom.dcmread(path).pixel_array for path in files]) - 1024
    mask = read_mask(case, stored_grid(case.images))

    np.testing.assert_array_equal(mask.labels > 0, hu == 400)
    heights = [mask.grid.world(np.argwhere(mask.labels == level).mean(axis=0))[2] for level in range(1, 8)]
    assert heights == sorted(heights, reverse=True)


def test_a_mask_on_another_grid_keeps_its_place_in_the_world(folder: Path) -> None:
    case = read_dataset(folder).cases[0]
    assert case.mask is not None
    stored = load_mask(case.mask)
    fine = mask_on(stored.grid.with_spacing((1.0, 0.5, 0.5)), case.mask)

    for level in range(1, 8):
        centres = [m.grid.world(np.argwhere(m.labels == level).mean(axis=0)) for m in (stored, fine)]
        assert np.abs(centres[0] - centres[1]).max() < 0.5


def test_small_components_are_removed_and_vertebrae_stay(folder: Path) -> None:
    case = read_dataset(folder).cases[0]
    assert case.mask is not None
    clean = load_mask(case.mask)
    image = nibabel.load(case.mask)
    noisy = np.asarray(image.dataobj).copy()
    noisy[30:32, 30, 2] = 3
    nibabel.save(nibabel.Nifti1Image(noisy, image.affine), case.mask)

    assert not np.array_equal(load_mask(case.mask).labels, clean.labels)
    np.testing.assert_array_equal(read_mask(case, clean.grid).labels, clean.labels)
    assert ndimage.label(read_mask(case, clean.grid).labels == 3)[1] == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_masks_of_any_number_type_are_read(tmp_path: Path, dtype: type) -> None:
    labels: np.ndarray = np.arange(24).reshape(2, 3, 4).astype(dtype)
    nibabel.save(nibabel.Nifti1Image(labels, np.diag([-1, 1, 2, 1])), tmp_path / "m.nii")
    mask = load_mask(tmp_path / "m.nii")

    assert isinstance(mask, LabelMap)
    np.testing.assert_array_equal(mask.labels, np.arange(24).reshape(2, 3, 4).T)
    np.testing.assert_array_equal(mask.grid.world((1, 1, 1)), (1, -1, 2))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 2, 2), 0.5, np.float32), "needs integer labels"),
        (np.full((2, 2, 2), -1, np.int16), r"needs labels 0\.\.255"),
        (np.full((2, 2, 2), 256, np.int16), r"needs labels 0\.\.255"),
        (np.full((2, 2), 1, np.int16), "needs three axes"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path: Path, values: np.ndarray, message: str) -> None:
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "m.nii")
    with pytest.raises(DatasetError, match=message):
        load_mask(tmp_path / "m.nii")


def test_a_file_that_is_no_nifti_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.nii").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="cannot be read as a mask"):
        load_mask(tmp_path / "m.nii")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-8],
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[: len(data) // 2] + b"\xff" + data[len(data) // 2 + 1 :],
        lambda data: data[:-6] + bytes([data[-6] ^ 1]) + data[-5:],
        lambda data: data[:3],
        lambda data: data[:0],
        lambda data: gzip.compress(gzip.decompress(data)[:-3]),
    ],
)
def test_a_packed_mask_that_is_damaged_anywhere_is_refused_in_one_line(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "m.nii.gz"
    labels = np.random.default_rng(0).integers(0, 8, (9, 8, 7)).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), path)
    np.testing.assert_array_equal(load_mask(path).labels, labels.T)
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(DatasetError, match=r"m\.nii\.gz cannot be read as a mask \(.*\)\. Give a NIfTI file") as raised:
        load_mask(path)
    assert str(raised.value).isprintable()


def test_a_mask_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot be read as a mask \(No such file or directory\)"):
        load_mask(tmp_path / "m.nii")


def test_a_mask_of_scaled_numbers_is_read_as_it_is_meant(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(24).reshape(2, 3, 4).astype(np.int16), np.eye(4))
    nibabel.save(image, tmp_path / "m.nii")
    data = bytearray((tmp_path / "m.nii").read_bytes())
    data[112:120] = np.array([2, 4], "<f4").tobytes()
    (tmp_path / "m.nii").write_bytes(data)

    np.testing.assert_array_equal(load_mask(tmp_path / "m.nii").labels, 2 * np.arange(24).reshape(2, 3, 4).T + 4)


def test_a_case_without_a_mask_says_so(folder: Path) -> None:
    case = read_dataset(folder).cases[2]
    with pytest.raises(DatasetError, match="needs a mask in segmentations"):
        read_mask(case, stored_grid(case.images))


@pytest.mark.parametrize(("voxels", "kept"), [(1, False), (80, False), (99, False), (100, True), (101, True), (120, True)])
def test_a_part_of_a_tenth_of_the_largest_stays_and_a_smaller_one_is_removed(voxels: int, kept: bool) -> None:
    """Arches that a fracture or a slice gap parts from their body are larger, specks smaller."""
    labels = np.zeros((20, 30, 20), np.uint8)
    labels[:10, :10, :10] = 4
    labels[:10, 15:17] = np.where(np.arange(10 * 2 * 20).reshape(10, 2, 20) < voxels, 4, 0)

    cleaned = without_small_components(LabelMap(labels, Grid.upright((0, 0, 0), labels.shape, (1, 1, 1)))).labels

    assert bool(cleaned[:, 15:].any()) is kept
    assert np.count_nonzero(cleaned[:, :10]) == 1000


def test_each_label_is_cleaned_against_its_own_largest_part_and_touches_no_other() -> None:
    """A vertebra of 1000 voxels does not remove the only part, or the halves, of one of 40."""
    labels = np.zeros((20, 30, 20), np.uint8)
    labels[:10, :10, :10] = 4
    labels[0, 12, :2] = 4  # a speck of it
    labels[15, 20, :] = 5  # 20 voxels
    labels[18, 20, :] = 5  # and 20 apart
    labels[12, 12, 12] = 6  # one voxel is its largest part

    cleaned = without_small_components(LabelMap(labels, Grid.upright((0, 0, 0), labels.shape, (1, 1, 1)))).labels

    assert not cleaned[0, 12].any()
    assert [int(np.count_nonzero(cleaned == value)) for value in (4, 5, 6)] == [1000, 40, 1]
    assert labels[0, 12, 0] == 4  # what was given stays as it is
