import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from cspine.datasets import Case, SliceBox, box_in_world, check_case, load_mask
from cspine.geometry import Vector
from cspine.phantoms.ct.scanner import Scanner
from cspine.phantoms.dataset import rsna
from cspine.phantoms.dataset.layout import (
    EXPLICIT,
    FALLING_SHARE,
    IMPLICIT,
    JPEG_LOSSLESS,
    JPEG_SHARE,
    OBLIQUE_SHARE,
    RSNA_BOX_SHARE,
    RSNA_MASK_SHARE,
    Encoding,
    Shares,
    Size,
    StudyLayout,
    sample_layout,
)
from cspine.phantoms.dataset.rsna import StudyPaths, make_study, sample_boxes
from cspine.reading import read_study
from tests.phantoms.toy import sample_toy

UID = "1.2.826.0.1.3680043.1234567"
QUIET = Scanner(cutoff_per_mm=0.6, boost=0.5, thickness_mm=3.0, noise_hu=0.5, starvation=0.3, scatter=0.0, hardening=0.0)
SMALL_LAYOUT = StudyLayout(
    pixel_mm=1.5,
    spacing_mm=3.0,
    thickness_mm=3.0,
    size=96,
    margins_mm=(10.0, 5.0),
    turn_deg=(0.0, 0.0, 0.0),
    table_mm=(7.3, -180.2, 55.0),
    falling=True,
    first_number=1,
    padding_hu=None,
    encoding=Encoding(EXPLICIT, 16, -1024, (400,), (2000,)),
    mask_type="int16",
    small_components=0,
    boxes=True,
    box_margin_mm=8.0,
)


Make = Callable[[StudyLayout], tuple[Case, StudyPaths]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes one study of a toy neck with C3 and C6 broken, stored as a layout says; returns it as a case, and where it lies."""

    def made(layout: StudyLayout) -> tuple[Case, StudyPaths]:
        monkeypatch.setattr(rsna, "sample_layout", lambda *_: layout)
        monkeypatch.setattr(rsna, "sample_scanner", lambda *_: QUIET)
        monkeypatch.setattr(rsna, "sample_levels", lambda *_: (False, False, True, False, False, True, False))
        places = StudyPaths(tmp_path, UID)
        truth = make_study(places, np.random.SeedSequence(5), sample_toy, Size.SMALL, Shares())
        boxes = tuple(SliceBox(**asdict(box)) for box in truth.boxes)
        mask = places.mask if layout.mask_type else None
        return Case(UID, places.image_folder, truth.fractured, boxes, mask, places.truth), places

    return made


def independent(case: Case) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns HU and world LPS of the voxels of a study, in the order of the file numbers, without our reader."""
    hu, world = [], []
    for number in sorted(int(path.stem) for path in case.images.iterdir()):
        image = pydicom.dcmread(case.images / f"{number}.dcm")
        hu.append(image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept))
        row, column = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
        j, i = np.mgrid[: image.Rows, : image.Columns][..., None]
        down, across = (float(v) for v in image.PixelSpacing)
        world.append(np.array(image.ImagePositionPatient, float) + i * across * row + j * down * column)
    return np.stack(hu), np.stack(world)


def mask_at(path: Path, world: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns labels at world points, by the affine of the file alone."""
    image = nibabel.load(path)
    ras = world * (-1, -1, 1)
    index = np.rint(apply_affine(np.linalg.inv(image.affine), ras)).astype(int)
    inside = np.all((index >= 0) & (index < image.shape), axis=-1)
    found = np.asarray(image.dataobj)[tuple(np.clip(index, 0, np.array(image.shape) - 1)[..., a] for a in range(3))]
    return np.where(inside, found, 0).astype(int)


@pytest.mark.parametrize("falling", [True, False])
@pytest.mark.parametrize("turn_deg", [(0.0, 0.0, 0.0), (12.0, -4.0, 3.0)])
def test_the_mask_lies_on_the_bones_in_both_slice_directions_and_when_oblique(make: Make, falling: bool, turn_deg: Vector) -> None:
    case, places = make(replace(SMALL_LAYOUT, falling=falling, turn_deg=turn_deg))
    hu, world = independent(case)
    labels = mask_at(places.mask, world)
    neck = world - np.array(SMALL_LAYOUT.table_mm)

    np.testing.assert_array_equal(np.sign(np.diff(world[:, 0, 0, 2])), -1 if falling else 1)
    for level in range(1, 8):
        inside = (labels == level) & (np.hypot(neck[..., 0], neck[..., 1] - 5) < 7) & (neck[..., 0] < 0)
        inside &= np.abs(np.mod(-neck[..., 2], 16) - 10) < 3.5
        assert inside.sum() > 20
        assert np.median(hu[inside]) == pytest.approx(400 + 20 * level, abs=8)
    assert check_case(case) == ()


@pytest.mark.parametrize("falling", [True, False])
def test_boxes_hold_the_fractures_of_their_slices(make: Make, falling: bool) -> None:
    case, places = make(replace(SMALL_LAYOUT, falling=falling, first_number=7))
    study = read_study(case.images)
    fractures = load_mask(places.truth / "fractures.nii.gz")
    boxed = {int(box_in_world(study, case, box).slice_index) for box in case.boxes}
    there = {round(study.volume.grid.index(fractures.grid.world((k, 0, 0)))[0]) for k in np.argwhere(fractures.labels)[:, 0]}

    assert boxed == there
    assert len(case.boxes) == len(boxed) >= 4
    for box in case.boxes:
        placed = box_in_world(study, case, box)
        world = fractures.grid.world(np.argwhere(fractures.labels))
        here = world[np.abs(world[:, 2] - placed.centre_mm[2]) < 0.1]
        low, high = placed.corners_mm.min(axis=0), placed.corners_mm.max(axis=0)
        assert np.all((here[:, :2] > low[:2]) & (here[:, :2] < high[:2]))
        assert np.all(high[:2] - low[:2] < np.ptp(here[:, :2], axis=0) + 2 * 8 + 10)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, JPEG_LOSSLESS])
@pytest.mark.parametrize(("bits", "padding"), [(16, -2000), (12, -1000), (16, None)])
def test_every_encoding_shows_the_same_image_to_an_independent_reader_and_to_ours(
    make: Make, syntax: str, bits: int, padding: int | None
) -> None:
    encoding = Encoding(syntax, bits, -1024, (40, 500), (400, 2500))
    case, _places = make(replace(SMALL_LAYOUT, encoding=encoding, padding_hu=padding))
    hu, world = independent(case)
    first = pydicom.dcmread(case.images / "1.dcm")
    study = read_study(case.images)

    assert first.file_meta.TransferSyntaxUID == syntax
    assert (first.BitsAllocated, first.BitsStored, first.HighBit, first.PixelRepresentation) == (
        16,
        bits,
        bits - 1,
        int(bits == 16),
    )
    assert list(first.WindowWidth) == [400, 2500]
    assert hu[0, 0, 0] == (padding or hu[0, 0, 0]) < -900
    index = np.rint(study.volume.grid.index(world)).astype(int)
    ours = study.volume.hu[index[..., 0], index[..., 1], index[..., 2]]
    np.testing.assert_array_equal(ours[hu > -900], hu[hu > -900])
    assert np.median(hu[len(hu) // 2, 48:52, 40:47]) > 380


def test_files_keep_the_attributes_of_the_rsna_data_and_no_more(make: Make) -> None:
    case, _places = make(replace(SMALL_LAYOUT, first_number=4))
    image = pydicom.dcmread(case.images / "9.dcm")

    assert {element.keyword for element in image} == {
        "SOPClassUID",
        "SOPInstanceUID",
        "PatientName",
        "PatientID",
        "SliceThickness",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "InstanceNumber",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "Rows",
        "Columns",
        "PixelSpacing",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "WindowCenter",
        "WindowWidth",
        "RescaleIntercept",
        "RescaleSlope",
        "PixelData",
    }
    assert (image.SOPInstanceUID, image.SeriesInstanceUID) == (f"{UID}.1.9", f"{UID}.1")
    assert (str(image.PatientName), image.PatientID) == ("1234567", "1234567")
    assert min(int(path.stem) for path in case.images.iterdir()) == 4


@pytest.mark.parametrize("mask_type", ["uint8", "int16", "uint16", "float32"])
def test_masks_are_uncompressed_ras_files_of_vertebrae_with_specks(make: Make, mask_type: str) -> None:
    _case, places = make(replace(SMALL_LAYOUT, mask_type=mask_type, small_components=4))
    image = nibabel.load(places.mask)
    clean = load_mask(places.truth / "labels.nii.gz").labels
    noisy = load_mask(places.mask).labels

    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.get_data_dtype() == mask_type
    assert places.mask.suffix == ".nii"
    assert 0 < np.count_nonzero(noisy != clean) < 200
    assert set(np.unique(noisy)) <= set(range(20))


def test_specks_have_no_label_of_a_level_that_is_not_seen_or_hardly() -> None:
    labels = np.zeros((40, 40, 40), np.uint8)
    for level in range(1, 5):
        labels[40 - 9 * level : 48 - 9 * level, 10:30, 10:30] = level
    labels[2:4, 20:25, 20:25] = 5  # a sliver
    layout = replace(SMALL_LAYOUT, small_components=60)

    mask = rsna._mask(labels, layout, np.random.default_rng(0))

    assert np.any(mask != labels)
    assert set(np.unique(mask)) == {0, 1, 2, 3, 4, 5}
    assert not np.any((mask == 5) & (labels != 5))


def test_truth_tells_places_in_the_coordinates_of_the_files(make: Make) -> None:
    case, places = make(SMALL_LAYOUT)
    told = json.loads((places.truth / "truth.json").read_text())

    assert told["subject"]["site_mm"] == pytest.approx([3 + 7.3, 5 - 180.2, -10 + 55])
    assert told["fractured"] == {"C1": False, "C2": False, "C3": True, "C4": False, "C5": False, "C6": True, "C7": False}
    assert told["layout"]["encoding"]["transfer_syntax"] == EXPLICIT
    assert told["scanner"]["noise_hu"] == 0.5
    assert len(told["boxes"]) == len(case.boxes)


def test_quirks_are_drawn_in_their_stated_shares() -> None:
    sampled = [sample_layout(np.random.default_rng(seed), Size.FULL, Shares()) for seed in range(4000)]
    shares = {
        "falling": (np.mean([d.falling for d in sampled]), FALLING_SHARE),
        "jpeg": (np.mean([d.encoding.transfer_syntax == JPEG_LOSSLESS for d in sampled]), JPEG_SHARE),
        "masks": (np.mean([d.mask_type is not None for d in sampled]), RSNA_MASK_SHARE),
        "boxes": (np.mean([d.boxes for d in sampled]), RSNA_BOX_SHARE),
        "oblique": (np.mean([any(d.turn_deg) for d in sampled]), OBLIQUE_SHARE),
    }

    for name, (found, stated) in shares.items():
        assert abs(found - stated) < 4 * np.sqrt(stated * (1 - stated) / 4000), name
    assert np.median([d.pixel_mm for d in sampled]) == pytest.approx(0.31, abs=0.02)
    assert {d.size for d in sampled} == {512, 768}
    assert {d.mask_type for d in sampled} == {None, "uint8", "int16", "uint16", "float32"}


def test_a_slice_without_a_fracture_has_no_box() -> None:
    fractures = np.zeros((5, 96, 96), dtype=np.uint8)
    fractures[2, 40:44, 50:52] = 3
    boxes = sample_boxes(fractures, replace(SMALL_LAYOUT, falling=False, first_number=10), np.random.default_rng(0))

    assert [box.slice_number for box in boxes] == [12]
    assert sample_boxes(np.zeros_like(fractures), SMALL_LAYOUT, np.random.default_rng(0)) == ()
