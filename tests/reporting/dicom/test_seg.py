"""Vertebrae on the stored images, read back by others and compared with the label map voxel by voxel."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription, segread
from pydicom.dataset import Dataset

from cspine.anatomy import CERVICAL, Level
from cspine.evidence import Evidence, Prediction
from cspine.geometry import Grid
from cspine.reading.quiet import quiet
from cspine.reporting import write_result
from cspine.reporting.dicom.segments import segments_of
from cspine.reporting.dicom.source import SourceSeries, source_of
from cspine.reporting.style import LEVEL_COLOURS
from cspine.volume import LabelMap
from tests.reporting.dicom.archived import FRAME, SOURCES, Archived, rejected
from tests.reporting.dicom.voxels import compared_voxels, expected_labels, pixels_mm_of, stored_planes

Make = Callable[[str], Archived]
_IMAGES_OF_ONE_OBJECT = ("enhanced",)
_NAMED = {
    "series_instance_uid": "1.2.3",
    "series_number": 1,
    "sop_instance_uid": "1.2.4",
    "instance_number": 1,
    "manufacturer": "a",
    "manufacturer_model_name": "b",
    "software_versions": "c",
    "device_serial_number": "d",
}
_OF_IMAGES = (
    "PerFrameFunctionalGroupsSequence",
    "SharedFunctionalGroupsSequence",
    "SourceImageSequence",
    "ReferencedSeriesSequence",
    "FrameOfReferenceUID",
    "NumberOfFrames",
    "PixelData",
)


def _segmentation(archive: Archived) -> Segmentation:
    return segread(archive.folder / "result_seg.dcm")


@pytest.mark.parametrize("name", SOURCES)
def test_every_stored_pixel_has_the_label_of_the_voxel_in_which_it_lies(name: str, made: Make) -> None:
    assert compared_voxels(made(name)) > 1000


@pytest.mark.parametrize("name", SOURCES)
def test_frames_lie_in_the_planes_of_their_images_and_in_their_frame_of_reference(name: str, made: Make) -> None:
    archive = made(name)
    segmentation = _segmentation(archive)
    planes = dict(stored_planes(archive))
    shared = segmentation.SharedFunctionalGroupsSequence[0]

    for group in segmentation.PerFrameFunctionalGroupsSequence:
        (cited,) = group.DerivationImageSequence[0].SourceImageSequence
        own = Dataset()
        for part in (group.PlanePositionSequence[0], shared.PlaneOrientationSequence[0], shared.PixelMeasuresSequence[0]):
            own.update(part)
        stored = planes[cited.ReferencedSOPInstanceUID, cited.get("ReferencedFrameNumber")]
        np.testing.assert_allclose(pixels_mm_of(own, segmentation), stored, atol=1e-5)
    stated = archive.study.volume.grid.frame_of_reference_uid
    assert stated in (None, FRAME)
    assert segmentation.FrameOfReferenceUID.startswith("2.25." if stated is None else FRAME)


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in _IMAGES_OF_ONE_OBJECT])
def test_highdicom_finds_the_segments_of_each_image(name: str, made: Make) -> None:
    archive = made(name)
    segmentation, labels = _segmentation(archive), archive.prediction.evidence.labels
    assert labels is not None
    uids = [source.sop_instance_uid for source in archive.study.sources]

    read = segmentation.get_pixels_by_source_instance(
        uids, combine_segments=True, assert_missing_frames_are_empty=True, ignore_spatial_locations=False
    )

    planes = {uid: pixels_mm for (uid, _), pixels_mm in stored_planes(archive)}
    of_segment = np.array([0] + [Level[description.SegmentLabel] for description in segmentation.SegmentSequence])
    for uid, numbers in zip(uids, read, strict=True):
        expected, sure = expected_labels(labels, planes[uid])
        np.testing.assert_array_equal(of_segment[numbers][sure], np.where(expected <= Level.C7, expected, 0)[sure])


def test_each_segment_recommends_the_colour_that_the_viewer_of_a_page_has(made: Make) -> None:
    colours = {}
    for description in _segmentation(made(next(iter(SOURCES)))).SegmentSequence:
        recommended = CIELabColor.from_dicom_value(description.RecommendedDisplayCIELabValue)
        colours[Level[description.SegmentLabel]] = recommended.to_rgb()

    assert colours == {level: LEVEL_COLOURS[level] for level in colours}


def test_no_two_vertebrae_are_recommended_colours_that_look_alike() -> None:
    labs = np.array([CIELabColor.from_rgb(*LEVEL_COLOURS[level]).lab for level in CERVICAL])

    apart = np.linalg.norm(labs[:, None] - labs[None], axis=-1)[~np.eye(len(CERVICAL), dtype=bool)]
    assert apart.min() > 30  # a difference of 2 is just seen


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in _IMAGES_OF_ONE_OBJECT])
def test_it_is_what_highdicom_makes_of_all_images(name: str, made: Make) -> None:
    archive = made(name)
    written, labels = _segmentation(archive), archive.prediction.evidence.labels
    source, segments = source_of(archive.study), segments_of(labels, archive.study)
    assert isinstance(source, SourceSeries)
    count = len(archive.study.sources)
    pixels = np.zeros((count, *segments.numbers.shape[1:]), np.uint8)
    pixels[segments.places] = segments.numbers

    with quiet("highdicom.image"):
        whole = Segmentation(
            source_images=[source.image(index) for index in range(count)],
            pixel_array=pixels,
            segmentation_type="BINARY",
            segment_descriptions=list(map(SegmentDescription.from_dataset, written.SegmentSequence)),
            **_NAMED,
        )

    for keyword in _OF_IMAGES:
        assert written[keyword].value == whole[keyword].value, keyword


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


@pytest.mark.parametrize(("name", "spacing_mm"), [("hospital", 3.0), ("uneven", None)])
def test_the_distance_of_slices_is_that_of_the_scan_whatever_frames_there_are(
    name: str, spacing_mm: float | None, made: Make, tmp_path: Path
) -> None:
    archive, grid = made(name), Grid.upright((0, 0, 0), (1, 9, 9), (1.0, 2.0, 2.0))
    centre = archive.study.first_pixels_mm()[14] + (40.0, 40.0, 0.0)
    labels = LabelMap(np.full(grid.shape, Level.C4, np.uint8), Grid.upright(centre, grid.shape, grid.spacing_mm))

    write_result(Prediction(archive.prediction.result, Evidence(labels)), archive.study, tmp_path, ("seg",))

    segmentation = segread(tmp_path / "result_seg.dcm")
    assert segmentation.NumberOfFrames == 1
    assert segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].get("SpacingBetweenSlices") == spacing_mm


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

    written = write_result(Prediction(archive.prediction.result, Evidence(labels)), archive.study, tmp_path, ("seg",))

    assert written.files == ()
    assert [note.code for note in written.notes] == ["no_vertebrae"]
    assert list(tmp_path.iterdir()) == []


def test_a_rejected_scan_gets_no_segmentation(made: Make, tmp_path: Path) -> None:
    archive = made("hospital")

    written = write_result(rejected(archive.prediction), archive.study, tmp_path, ("seg",))

    assert (written.files, [note.code for note in written.notes]) == ((), ["not_assessed"])
