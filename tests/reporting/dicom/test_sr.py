"""Structured reports are read back by highdicom."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import sr
from highdicom.seg import segread
from highdicom.spatial import ReferenceToImageTransformer
from highdicom.sr.utils import collect_evidence
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from cspine.anatomy import CERVICAL, Level
from cspine.evidence import Prediction
from cspine.reporting import write_result
from cspine.results import Assessment
from tests.reporting.dicom.archived import SOURCES, Archived, rejected

Make = Callable[[str], Archived]
FRACTURE, PRESENCE = Code("125605004", "SCT", "Fracture of bone"), Code("705057003", "SCT", "Presence")
PROBABILITY, THRESHOLD = Code("122157", "DCM", "Probability"), Code("122411", "DCM", "Threshold Value")


def _report(archive: Archived) -> sr.Comprehensive3DSR:
    return sr.srread(archive.folder / "result_sr.dcm")


def _site(group: Any) -> str:
    (site,) = group.finding_sites
    return str(site.value.value)


def _number(group: Any, name: Code) -> float:
    (measurement,) = group.get_measurements(name)
    assert (measurement.unit.value, measurement.unit.scheme_designator) == ("1", "UCUM")
    return float(measurement.value)


def _presence(group: Any) -> str:
    (evaluation,) = group.get_qualitative_evaluations(PRESENCE)
    return str(evaluation.value.value)


def _is_comment(item: Any) -> bool:
    return bool(item.ConceptNameCodeSequence[0].CodeValue == "121106")


def test_the_report_is_preliminary_complete_and_unverified(made: Make) -> None:
    report = _report(made("hospital"))

    assert (report.PreliminaryFlag, report.CompletionFlag, report.VerificationFlag) == ("PRELIMINARY", "COMPLETE", "UNVERIFIED")
    assert "VerifyingObserverSequence" not in report
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_a_group_speaks_of_the_whole_neck(made: Make) -> None:
    groups = _report(made("hospital")).content.get_image_measurement_groups()
    (whole,) = [group for group in groups if _site(group) == "122494005"]

    assert whole.finding_type == FRACTURE
    assert _number(whole, PROBABILITY) == pytest.approx(0.9321)
    assert _number(whole, THRESHOLD) == pytest.approx(0.5)
    assert _presence(whole) == "52101004"
    assert "not a medical device" in str(whole[0].ContentSequence[-1].TextValue)


def test_the_range_over_test_time_augmentation_stands_as_a_comment(made: Make, tmp_path: Path) -> None:
    archive = made("hospital")
    given = archive.prediction.result
    unsure, sure = Assessment(0.6, 0.5, 0.45, 0.66), Assessment(0.3, 0.5, 0.004, 0.4)
    levels = tuple(replace(finding, assessment=sure) if finding.level is Level.C2 else finding for finding in given.levels)
    result = replace(given, overall=unsure, levels=levels)

    write_result(replace(archive.prediction, result=result), archive.study, tmp_path, ["sr"])

    groups = sr.srread(tmp_path / "result_sr.dcm").content
    (whole,) = [group for group in groups.get_image_measurement_groups() if _site(group) == "122494005"]
    assert next(str(item.TextValue) for item in whole[0].ContentSequence if _is_comment(item)) == (
        "Range over test-time augmentation: 45 to 66 %, unsure"
    )
    reported = {
        group.tracking_identifier: [str(item.TextValue) for item in group[0].ContentSequence if _is_comment(item)]
        for group in groups.get_volumetric_roi_measurement_groups()
    }
    assert reported["C2"] == ["Range over test-time augmentation: < 1 to 40 %"]
    assert reported["C3"] == []


def test_a_group_per_assessed_level_refers_to_its_segment_and_shares_its_tracking_uid(made: Make) -> None:
    archive = made("hospital")
    segmentation = segread(archive.folder / "result_seg.dcm")
    segments = {item.SegmentLabel: item for item in segmentation.SegmentSequence}
    groups = _report(archive).content.get_volumetric_roi_measurement_groups()

    assert [group.tracking_identifier for group in groups] == ["C1", "C2", "C3", "C4", "C5", "C6"]
    for group, level in zip(groups, CERVICAL, strict=False):
        segment, cited = segments[level.name], group.referenced_segment
        finding = archive.prediction.result.levels[level - 1]
        assert finding.assessment is not None
        assert group.tracking_uid == segment.TrackingUID
        assert cited.referenced_sop_instance_uid == segmentation.SOPInstanceUID
        assert list(cited.referenced_segment_numbers) == [segment.SegmentNumber]
        assert _site(group) == level.code.value
        assert _number(group, PROBABILITY) == pytest.approx(finding.assessment.probability)
        assert _number(group, THRESHOLD) == pytest.approx(1 / 3)
        assert _presence(group) == ("52101004" if level is Level.C4 else "272519000")


def test_what_was_not_assessed_is_undetermined_and_has_no_probability(made: Make) -> None:
    groups = _report(made("hospital")).content.get_image_measurement_groups()
    (missing,) = [group for group in groups if _site(group) == Level.C7.code.value]

    assert _presence(missing) == "121059"
    assert missing.get_measurements() == []
    assert str(missing[0].ContentSequence[-1].TextValue) == "Not in view"


def test_a_level_in_part_says_so(made: Make) -> None:
    (first, *_) = _report(made("hospital")).content.get_volumetric_roi_measurement_groups()

    assert str(first[0].ContentSequence[-1].TextValue) == "Partly in view"


def test_the_algorithm_stands_in_every_group_and_in_no_measurement(made: Make) -> None:
    content = _report(made("hospital")).content
    groups = [
        *content.get_image_measurement_groups(),
        *content.get_volumetric_roi_measurement_groups(),
        *content.get_planar_roi_measurement_groups(),
    ]

    assert len(groups) == 2 + 6 + 1
    for group in groups:
        items = group[0].ContentSequence
        names = {item.ConceptNameCodeSequence[0].CodeValue: item for item in items}
        assert names["111001"].TextValue == "blocks"
        assert names["111000"].ConceptCodeSequence[0].CodeValue == "123110"
        assert not any("ContentSequence" in item for item in items if item.ValueType == "NUM")


@pytest.mark.parametrize("name", SOURCES)
def test_a_region_on_the_key_slice_shows_where_the_positive_level_is(name: str, made: Make) -> None:
    archive = made(name)
    finding = archive.prediction.result.levels[Level.C4 - 1]
    assert finding.key_slice is not None
    assert finding.box_mm is not None
    (group,) = _report(archive).content.get_planar_roi_measurement_groups()
    region, source = group.roi, archive.study.sources[finding.key_slice.index]
    cited = region.ContentSequence[0].ReferencedSOPSequence[0]

    assert _site(group) == Level.C4.code.value
    assert cited.ReferencedSOPInstanceUID == source.sop_instance_uid
    assert cited.get("ReferencedFrameNumber") == source.frame_number
    grid = archive.study.volume.grid
    to_image = ReferenceToImageTransformer(
        image_position=source.position_mm,
        image_orientation=[*grid.directions[:, 2], *grid.directions[:, 1]],
        pixel_spacing=grid.spacing_mm[1:],
    )
    middle = (np.array(finding.box_mm.low_mm) + finding.box_mm.high_mm) / 2
    wanted, away = to_image(middle[None])[0, :2], to_image(middle[None])[0, 2]
    points = np.asarray(region.value)
    centre = points[0] if region.graphic_type.value == "CIRCLE" else points.mean(axis=0)
    np.testing.assert_allclose(centre, wanted, atol=1e-3)
    assert abs(away) < 3.0
    radii_mm = np.linalg.norm((points - centre) * grid.spacing_mm[:0:-1], axis=1)
    assert radii_mm.max() == pytest.approx(radii_mm[-1], rel=1e-3)
    assert 8 < radii_mm.max() < 20
    assert region.graphic_type.value == ("ELLIPSE" if name == "sagittal" else "CIRCLE")


@pytest.mark.parametrize("name", ["hospital", "enhanced"])
def test_the_evidence_lists_every_instance_once_the_segmentation_too(name: str, made: Make) -> None:
    archive = made(name)
    (study,) = _report(archive).CurrentRequestedProcedureEvidenceSequence
    series = {item.SeriesInstanceUID: item.ReferencedSOPSequence for item in study.ReferencedSeriesSequence}
    segmentation = segread(archive.folder / "result_seg.dcm")
    images = [item.ReferencedSOPInstanceUID for item in series[archive.study.series_uid]]

    assert study.StudyInstanceUID == archive.study.study_uid
    assert sorted(images) == sorted({source.sop_instance_uid for source in archive.study.sources})
    assert {item.ReferencedSOPClassUID for item in series[archive.study.series_uid]} == {archive.study.sources[0].sop_class_uid}
    (cited,) = series[segmentation.SeriesInstanceUID]
    assert cited.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID


@pytest.mark.parametrize("name", ["hospital", "enhanced"])
def test_highdicom_finds_all_that_the_content_refers_to_in_the_evidence(name: str, made: Make) -> None:
    report = _report(made(name))
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    listed = []
    for series in study.ReferencedSeriesSequence:
        for one in series.ReferencedSOPSequence:
            instance = Dataset()
            instance.SOPClassUID, instance.SOPInstanceUID = one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID
            instance.StudyInstanceUID, instance.SeriesInstanceUID = study.StudyInstanceUID, series.SeriesInstanceUID
            listed.append(instance)

    same_study, other = collect_evidence(listed, report, study.StudyInstanceUID)

    assert (same_study, other) == ([study], [])
    with pytest.raises(ValueError, match="No evidence was provided"):
        collect_evidence(listed[:1], report, study.StudyInstanceUID)


def test_without_labels_levels_are_reported_without_segments(made: Make, tmp_path: Path) -> None:
    archive = made("hospital")

    written = write_result(Prediction(archive.prediction.result), archive.study, tmp_path, ("sr", "seg"))

    report = sr.srread(tmp_path / "result_sr.dcm")
    assert written.files == ("result_sr.dcm",)
    assert report.content.get_volumetric_roi_measurement_groups() == []
    assert len(report.content.get_image_measurement_groups()) == 8
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    assert len(study.ReferencedSeriesSequence) == 1


def test_a_rejected_scan_gets_no_report(made: Make, tmp_path: Path) -> None:
    archive = made("hospital")

    written = write_result(rejected(archive.prediction), archive.study, tmp_path, ("sr",))

    assert (written.files, [note.code for note in written.notes]) == ((), ["not_assessed"])
    assert list(tmp_path.iterdir()) == []
