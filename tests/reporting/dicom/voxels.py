"""A segmentation against its label map, by what the files of the scan say themselves: nothing of cspine but its labels is used."""

from io import BytesIO

import numpy as np
from highdicom.seg import segread
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from cspine.anatomy import Level
from cspine.reading.places import opened
from cspine.volume import LabelMap
from tests.reporting.dicom.archived import Archived


def compared_voxels(archive: Archived) -> int:
    """Compares every stored pixel; says how many of them belong to a vertebra."""
    segmentation, labels = segread(archive.folder / "result_seg.dcm"), archive.prediction.evidence.labels
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
    for key, pixels_mm in stored_planes(archive):
        expected, sure = expected_labels(labels, pixels_mm)
        expected[expected > Level.C7] = 0
        got = found.pop(key, np.zeros(expected.shape, np.uint8))
        np.testing.assert_array_equal(got[sure], expected[sure])
        compared += int(np.count_nonzero(expected))

    assert found == {}
    return compared


def stored_planes(archive: Archived) -> list[tuple[tuple[str, int | None], NDArray[np.float64]]]:
    """Returns object and frame of every image by its own file, and world coordinates of its pixels, ``(rows, columns, 3)``."""
    found: list[tuple[tuple[str, int | None], NDArray[np.float64]]] = []
    with opened(archive.path) as place:
        for entry in place.entries:
            content = place.read(entry)
            if content[128:132] != b"DICM":
                continue
            data = dcmread(BytesIO(content), stop_before_pixels=True)
            if "PerFrameFunctionalGroupsSequence" not in data:
                found.append(((data.SOPInstanceUID, None), pixels_mm_of(data, data)))
                continue
            shared = data.SharedFunctionalGroupsSequence[0]
            for number, group in enumerate(data.PerFrameFunctionalGroupsSequence, 1):
                merged = Dataset()
                merged.update(group.PlanePositionSequence[0])
                merged.update(shared.PlaneOrientationSequence[0])
                merged.update(shared.PixelMeasuresSequence[0])
                found.append(((data.SOPInstanceUID, number), pixels_mm_of(merged, data)))
    return found


def pixels_mm_of(where: Dataset, size: Dataset) -> NDArray[np.float64]:
    """Returns the world coordinates of pixels by PS3.3, C.7.6.2.1.1."""
    cosines = np.array(where.ImageOrientationPatient, dtype=float)
    rows, columns = np.indices((size.Rows, size.Columns))
    height, width = map(float, where.PixelSpacing)
    position = np.array(where.ImagePositionPatient, dtype=float)
    return position + (columns * width)[..., None] * cosines[:3] + (rows * height)[..., None] * cosines[3:]


def expected_labels(labels: LabelMap, pixels_mm: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Returns the label of the voxel in which each pixel lies, and where that is beyond rounding."""
    index = labels.grid.index(pixels_mm)
    nearest = np.rint(index).astype(int)
    inside = np.all((nearest >= 0) & (nearest < labels.grid.shape), axis=-1)
    z, y, x = np.moveaxis(np.where(inside[..., None], nearest, 0), -1, 0)
    sure = np.all(np.abs(np.abs(index - nearest) - 0.5) > 1e-6, axis=-1)
    return np.where(inside, labels.labels[z, y, x], 0).astype(np.uint8), sure
