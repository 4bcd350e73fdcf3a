"""``result_sr.dcm``: what is said, as a structured report (TID 1500) that machines read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from highdicom import sr
from highdicom.sr.value_types import RelationshipTypeValues, TextContentItem
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from cspine.anatomy import CERVICAL_SPINE, FRACTURE, Code
from cspine.evidence import Prediction
from cspine.reporting import codes
from cspine.reporting.dicom import seg
from cspine.reporting.dicom.coding import coded
from cspine.reporting.dicom.encoded import held, hold
from cspine.reporting.dicom.identity import MAKER, ObjectIdentity, ascii_text, derived_uid, equipment
from cspine.reporting.dicom.regions import region_on
from cspine.reporting.dicom.segments import Segments, segments_of
from cspine.reporting.dicom.source import SourceSeries, clinical_source, finish, references_to, save
from cspine.reporting.words import STATUS_WORDS, span
from cspine.reporting.written import Written
from cspine.results import Assessment, LevelFinding, LevelStatus, Reason, StudyResult
from cspine.study import Study

FILES = ("result_sr.dcm",)

SERIES_NUMBER = 9101


def write(prediction: Prediction, study: Study, folder: Path) -> Written:
    """Writes ``result_sr.dcm``."""
    source = clinical_source(prediction.result, study)
    if isinstance(source, Reason):
        return Written(notes=(source,))
    segments = segments_of(prediction.evidence.labels, study)
    save(report(prediction.result, study, source, segments), folder / FILES[0])
    return Written(FILES, source.notes)


def report(result: StudyResult, study: Study, source: SourceSeries, segments: Segments) -> sr.Comprehensive3DSR:
    """Returns the report.

    Args:
        result: What is said.
        study: The scan.
        source: What of it is cited.
        segments: The vertebrae that the segmentation of the same result shows; the report refers to them.
    """
    identity = ObjectIdentity.of(result, study)
    groups = _Groups(result, study, source, segments, identity)
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(result)),
        procedure_reported=coded(codes.CT_PROCEDURE),
        imaging_measurements=list(groups.all()),
    )
    root = content[0]
    segmentation = [seg.citation(source, identity)] if segments.levels else []
    made = sr.Comprehensive3DSR(
        evidence=[source.image(0), *segmentation],
        content=_childless(root),  # highdicom would copy all of it, read the copy, and search it twice
        series_instance_uid=identity.uid("sr", "series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=identity.uid("sr"),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="cspine report (research, not for diagnosis)",
        **equipment(result),
    )
    made["ContentSequence"] = root["ContentSequence"]
    finish(made, source, result)
    (cited,) = made.CurrentRequestedProcedureEvidenceSequence
    hold(cited.ReferencedSeriesSequence[0], held("ReferencedSOPSequence", references_to(source)))
    hold(cited)
    hold(made)
    return made


def _childless(item: Dataset) -> Dataset:
    """Returns a content item without those that it contains."""
    alone = Dataset({tag: element for tag, element in item.items() if element.keyword != "ContentSequence"})
    alone.ContentSequence = []
    return alone


class _Groups:
    """The measurement groups of a report."""

    def __init__(
        self, result: StudyResult, study: Study, source: SourceSeries, segments: Segments, identity: ObjectIdentity
    ) -> None:
        self._result, self._study, self._source = result, study, source
        self._segments, self._identity = segments, identity
        self._algorithm = _algorithm(result)

    def all(self) -> Iterator[Any]:
        """Yields the whole neck, then every level, each followed by where to look if it is positive."""
        yield self._overall()
        for finding in self._result.levels:
            yield self._level(finding)
            region = self._region(finding) if finding.assessment is not None and finding.assessment.positive else None
            if region is not None:
                yield region

    def _overall(self) -> Any:
        tracking = sr.TrackingIdentifier(self._identity.uid("tracking", "overall"), "Any fracture of the levels in view")
        group = sr.MeasurementsAndQualitativeEvaluations(tracking, **self._assessment_items(self._result.overall, CERVICAL_SPINE))
        return _with_comments(group, _several(self._result.overall), self._result.disclaimer)

    def _level(self, finding: LevelFinding) -> Any:
        """Returns a volumetric group where the level is assessed and has a segment, else one without a region."""
        tracking = sr.TrackingIdentifier(self._identity.tracking_uid(finding.level), finding.level.name)
        items = self._assessment_items(finding.assessment, finding.level.code)
        number = self._segments.number(finding.level)
        group: Any
        if finding.assessment is None or number is None:
            group = sr.MeasurementsAndQualitativeEvaluations(tracking, **items)
        else:
            series = sr.SourceSeriesForSegmentation(self._source.header.SeriesInstanceUID)
            segment = sr.ReferencedSegment(SegmentationStorage, self._identity.uid("seg"), number, source_series=series)
            group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(tracking, referenced_segment=segment, **items)
        status = "" if finding.status is LevelStatus.ASSESSED else STATUS_WORDS[finding.status].capitalize()
        return _with_comments(group, status, _several(finding.assessment))

    def _region(self, finding: LevelFinding) -> Any | None:
        """Returns a planar group: a circle on the key slice."""
        if finding.key_slice is None:
            return None
        index = finding.key_slice.index
        region = region_on(self._study.plane(index), finding)
        if region is None:
            return None
        frame = self._source.frame(index)
        cited = sr.SourceImageForRegion(*self._source.reference(index), None if frame is None else [frame])
        tracking = sr.TrackingIdentifier(
            self._identity.uid("tracking", "key", finding.level.name), f"{finding.level.name}, image to open first"
        )
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking,
            referenced_region=sr.ImageRegion(region.graphic_type, region.points, cited),
            **self._assessment_items(finding.assessment, finding.level.code),
        )

    def _assessment_items(self, assessment: Assessment | None, site: Code) -> dict[str, Any]:
        """Returns finding, site, algorithm and assessment, alike in every kind of group."""
        return {
            "finding_type": coded(FRACTURE),
            "finding_sites": [sr.FindingSite(coded(site))],
            "algorithm_id": self._algorithm,
            "measurements": [] if assessment is None else _numbers(assessment),
            "qualitative_evaluations": [sr.QualitativeEvaluation(coded(codes.PRESENCE), coded(_presence(assessment)))],
        }


def _numbers(assessment: Assessment) -> list[sr.Measurement]:
    values = ((codes.PROBABILITY, assessment.probability), (codes.THRESHOLD, assessment.threshold))
    return [sr.Measurement(coded(name), value, coded(codes.NO_UNITS)) for name, value in values]


def _presence(assessment: Assessment | None) -> Code:
    if assessment is None:
        return codes.UNDETERMINED
    return codes.PRESENT if assessment.positive else codes.ABSENT


def _observer(result: StudyResult) -> sr.ObserverContext:
    model = result.model
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", model.sha256),
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=ascii_text(f"{model.name} {model.version}"),
        serial_number=model.sha256,
    )
    return sr.ObserverContext(coded(codes.DEVICE), device)


def _algorithm(result: StudyResult) -> sr.AlgorithmIdentification:
    model = result.model
    return sr.AlgorithmIdentification(
        name=ascii_text(model.name),
        version=ascii_text(model.version),
        parameters=[f"operating point: {ascii_text(result.operating_point)}", f"trained on: {ascii_text(model.trained_on)}"],
        family=coded(codes.ARTIFICIAL_INTELLIGENCE),
        manufacturer=MAKER,
    )


def _several(assessment: Assessment | None) -> str:
    """Returns the range over the passes of test-time augmentation, in words; empty where they read the same."""
    spread = "" if assessment is None else span(assessment)
    if assessment is None or not spread:
        return ""
    low, _, high = spread.partition("–")
    return f"Range over test-time augmentation: {f'{low} to {high}' if high else spread}{'' if assessment.sure else ', unsure'}"


def _with_comments(group: Any, *texts: str) -> Any:
    """Returns the group with remarks for people; those without words are left out."""
    for text in filter(None, texts):
        comment = TextContentItem(coded(codes.COMMENT), ascii_text(text), RelationshipTypeValues.CONTAINS)
        group[0].ContentSequence.append(comment)
    return group
