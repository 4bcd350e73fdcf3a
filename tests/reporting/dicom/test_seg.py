"""Vertebrae on the stored images, read back by others and compared with the label map voxel by voxel."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from highdicom.seg import Segmentation, segread
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from cspine.anatomy import CERVICAL, Level
from cspine.evidence import Evidence, Examination
from cspine.reading.places import opened
from cspine.reporting import write_result
from cspine.volume import LabelMap
from tests.reporting.dicom.archived import FRAME, SOURCES, Archived, rejected

pytestmark = pytest.mark.xdist_group("dicom objects")

Make = Callable[[str], Archived]
_IMAGES_OF_ONE_OBJECT = ("enhanced",)


def _stored_planes(archive: Archived) -> list[tuple[tuple[str, int | None], NDArray[np.float64]]]:
    """Object and frame of every image as its own file says, and the world coordinates of its pixels ``(rows, columns, 3)``."""
    found: list[tuple[tuple[str, int | None], NDArray[np.float64]]] = []
    with opened(archive.path) as place:
        for entry in place.entries:
            data = dcmread(BytesIO(place.read(entry)))
            if "PerFrameFunctionalGroupsSequence" not in data:
                found.append(((data.SOPInstanceUID, None), _pixels_mm(data, data)))
                continue
            shared = data.SharedFunctionalGroupsSequence[0]
            for number, group in enumerate(data.PerFrameFunctionalGroupsSequence, 1):
                merged = Dataset()
                merged.update(group.PlanePositionSequence[0])
                merged.update(shared.PlaneOrientationSequence[0])
                merged.update(shared.PixelMeasuresSequence[0])
                found.append(((data.SOPInstanceUID, number), _pixels_mm(merged, data)))
    return found


def _pixels_mm(where: Dataset, size: Dataset) -> NDArray[np.float64]:
    """PS3.3, C.7.6.2.1.1."""
    cosines = np.array(where.ImageOrientationPatient, dtype=float)
    rows, columns = np.indices((size.Rows, size.Columns))
    height, width = map(float, where.PixelSpacing)
    position = np.array(where.ImagePositionPatient, dtype=float)
    return position + (columns * width)[..., None] * cosines[:3] + (rows * height)[..., None] * cosines[3:]


def _expected(labels: LabelMap, pixels_mm: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The label of the voxel in which each pixel lies, and where that is beyond rounding."""
    index = labels.grid.index(pixels_mm)
    nearest = np.rint(index).astype(int)
    inside = np.all((nearest >= 0) & (nearest < labels.grid.shape), axis=-1)
    z, y, x = np.moveaxis(np.where(inside[..., None], nearest, 0), -1, 0)
    sure = np.all(np.abs(np.abs(index - nearest) - 0.5) > 1e-6, axis=-1)
    return np.where(inside, labels.labels[z, y, x], 0).astype(np.uint8), sure


def _segmentation(archive: Archived) -> Segmentation:
    return segread(archive.folder / "result_seg.dcm")


@pytest.mark.parametrize("name", SOURCES)
def test_every_stored_pixel_has_the_label_of_the_voxel_in_which_it_lies(name: str, made: Make) -> None:
    archive = made(name)
    segmentation, labels = _segmentation(archive), archive.examination.evidence.labels
    assert labels is not None
    of_segment = np.array([0] + [Level[description.SegmentLabel] for description in segmentation.SegmentSequence])
    found: dict[tuple[str, int | None], NDArray[np.uint8]] = {}
    for group, pixels in zip(segmentation.PerFrameFunctionalGroupsSequence, segmentation.pixel_array, strict=True):
        (cited,) = group.DerivationImageSequence[0].SourceImageSequence
        key = (cited.ReferencedSOPInstanceUID, cited.get("ReferencedFrameNumber"))
        level = of_segment[group.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
        assert pixels.any(), "an empty frame"
        found.setdefault(key, np.zeros(pixels.shape, np.uint8))[pixels > 0] = level

    compared = 0
    for key, pixels_mm in _stored_planes(archive):
        expected, sure = _expected(labels, pixels_mm)
        expected[expected > Level.C7] = 0
        got = found.pop(key, np.zeros(expected.shape, np.uint8))
        np.testing.assert_array_equal(got[sure], expected[sure])
        compared += int(np.count_nonzero(expected))

    assert found == {}
    assert compared > 1000


@pytest.mark.parametrize("name", SOURCES)
def test_frames_lie_in_the_planes_of_their_images_and_in_their_frame_of_reference(name: str, made: Make) -> None:
    archive = made(name)
    segmentation = _segmentation(archive)
    planes = dict(_stored_planes(archive))
    shared = segmentation.SharedFunctionalGroupsSequence[0]

    for group in segmentation.PerFrameFunctionalGroupsSequence:
        (cited,) = group.DerivationImageSequence[0].SourceImageSequence
        own = Dataset()
        for part in (group.PlanePositionSequence[0], shared.PlaneOrientationSequence[0], shared.PixelMeasuresSequence[0]):
            own.update(part)
        stored = planes[cited.ReferencedSOPInstanceUID, cited.get("ReferencedFrameNumber")]
        np.testing.assert_allclose(_pixels_mm(own, segmentation), stored, atol=1e-5)
    stated = archive.study.volume.grid.frame_of_reference_uid
    assert stated in (None, FRAME)
    assert segmentation.FrameOfReferenceUID.startswith("2.25." if stated is None else FRAME)


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in _IMAGES_OF_ONE_OBJECT])
def test_highdicom_finds_the_segments_of_each_image(name: str, made: Make) -> None:
    archive = made(name)
    segmentation, labels = _segmentation(archive), archive.examination.evidence.labels
    assert labels is not None
    uids = [source.sop_instance_uid for source in archive.study.sources]

    read = segmentation.get_pixels_by_source_instance(
        uids, combine_segments=True, assert_missing_frames_are_empty=True, ignore_spatial_locations=False
    )

    planes = {uid: pixels_mm for (uid, _), pixels_mm in _stored_planes(archive)}
    of_segment = np.array([0] + [Level[description.SegmentLabel] for description in segmentation.SegmentSequence])
    for uid, numbers in zip(uids, read, strict=True):
        expected, sure = _expected(labels, planes[uid])
        np.testing.assert_array_equal(of_segment[numbers][sure], np.where(expected <= Level.C7, expected, 0)[sure])


def test_frames_of_a_multi_frame_object_are_cited_by_number_and_the_object_once(made: Make) -> None:
    archive = made("enhanced")
    segmentation = _segmentation(archive)
    (series,) = segmentation.ReferencedSeriesSequence
    (instance,) = series.ReferencedInstanceSequence

    assert instance.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2.1"
    assert len(segmentation.SourceImageSequence) == 1
    cited = [group.DerivationImageSequence[0].SourceImageSequence[0] for group in segmentation.PerFrameFunctionalGroupsSequence]
    assert {item.ReferencedSOPClassUID for item in cited} == {instance.ReferencedSOPClassUID}
    assert len({item.ReferencedFrameNumber for item in cited}) > 20


def test_segments_are_the_cervical_vertebrae_that_are_there(made: Make) -> None:
    segmentation = _segmentation(made("hospital"))
    there = CERVICAL[:-1]

    assert segmentation.SegmentationType == "BINARY"
    assert [item.SegmentNumber for item in segmentation.SegmentSequence] == [1, 2, 3, 4, 5, 6]
    assert [item.SegmentLabel for item in segmentation.SegmentSequence] == [level.name for level in there]
    for item, level in zip(segmentation.SegmentSequence, there, strict=True):
        kind, category = item.SegmentedPropertyTypeCodeSequence[0], item.SegmentedPropertyCategoryCodeSequence[0]
        assert (kind.CodeValue, kind.CodingSchemeDesignator) == (level.code.value, "SCT")
        assert (category.CodeValue, category.CodingSchemeDesignator) == ("123037004", "SCT")
        assert item.TrackingID == level.name
        assert item.TrackingUID.startswith("2.25.")
        assert item.SegmentAlgorithmType == "AUTOMATIC"
    assert len({item.TrackingUID for item in segmentation.SegmentSequence}) == 6


def test_every_image_of_the_scan_is_cited(made: Make) -> None:
    archive = made("hospital")
    segmentation = _segmentation(archive)
    cited = {item.ReferencedSOPInstanceUID for item in segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence}

    assert cited == {source.sop_instance_uid for source in archive.study.sources}
    assert segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID == archive.study.series_uid


@pytest.mark.parametrize("there", ["no labels", "only other bone"])
def test_without_outlines_of_vertebrae_no_segmentation_is_written(there: str, made: Make, tmp_path: Path) -> None:
    archive = made("hospital")
    grid = archive.study.volume.grid
    labels = LabelMap(np.full(grid.shape, 20, np.uint8), grid) if there == "only other bone" else None

    written = write_result(Examination(archive.examination.result, Evidence(labels)), archive.study, tmp_path, ("seg",))

    assert written.files == ()
    assert [note.code for note in written.notes] == ["no_vertebrae"]
    assert list(tmp_path.iterdir()) == []


def test_a_rejected_scan_gets_no_segmentation(made: Make, tmp_path: Path) -> None:
    archive = made("hospital")

    written = write_result(rejected(archive.examination), archive.study, tmp_path, ("seg",))

    assert (written.files, [note.code for note in written.notes]) == ((), ["not_judged"])
