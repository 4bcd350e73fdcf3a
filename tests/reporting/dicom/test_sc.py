"""The page as an image of the archive."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from cspine.reporting import write_result
from cspine.reporting.dicom.sc import page
from tests.reporting.dicom.archived import Archived, rejected

Make = Callable[[str], Archived]


def test_the_image_is_the_page_and_says_that_words_are_burned_in(made: Make) -> None:
    archive = made("hospital")
    data = dcmread(archive.folder / "result_sc.dcm")

    np.testing.assert_array_equal(data.pixel_array, page(archive.prediction.result, archive.study))
    assert (data.BurnedInAnnotation, data.BodyPartExamined, data.Modality) == ("YES", "CSPINE", "OT")
    assert "not for diagnosis" in data.SeriesDescription
    assert data.DerivationDescription.endswith("Research software, not for diagnosis")


def test_a_band_of_words_is_burned_in_above_the_page(made: Make) -> None:
    archive = made("hospital")
    band = page(archive.prediction.result, archive.study)[:48].astype(int)
    bright = band.sum(axis=-1) > 400

    assert 0.01 < bright.mean() < 0.2
    columns = np.flatnonzero(bright.any(axis=0))
    assert abs((columns[0] + columns[-1]) / 2 - band.shape[1] / 2) < 10


@pytest.mark.parametrize("name", ["hospital", "enhanced"])
def test_the_page_cites_the_key_slices(name: str, made: Make) -> None:
    archive = made(name)
    keys = {finding.key_slice.index for finding in archive.prediction.result.levels if finding.key_slice is not None}

    cited = dcmread(archive.folder / "result_sc.dcm").SourceImageSequence

    sources = [archive.study.sources[index] for index in keys]
    assert {(item.ReferencedSOPInstanceUID, item.get("ReferencedFrameNumber")) for item in cited} == {
        (source.sop_instance_uid, source.frame_number) for source in sources
    }


def test_a_rejected_scan_gets_a_page_that_says_why(made: Make, tmp_path: Path) -> None:
    archive = made("hospital")
    prediction = rejected(archive.prediction)

    written = write_result(prediction, archive.study, tmp_path, ("sc", "sr", "seg"))

    data = dcmread(tmp_path / "result_sc.dcm")
    assert written.files == ("result_sc.dcm",)
    assert data.SOPInstanceUID != dcmread(archive.folder / "result_sc.dcm").SOPInstanceUID
    np.testing.assert_array_equal(data.pixel_array, page(prediction.result, archive.study))
