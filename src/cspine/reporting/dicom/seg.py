"""``result_seg.dcm``: the vertebrae on the stored images as a binary segmentation."""

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

from highdicom.color import CIELabColor
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage

from cspine.anatomy import Level
from cspine.evidence import Prediction
from cspine.reading.quiet import quiet
from cspine.reporting.codes import ANATOMICAL_STRUCTURE, ARTIFICIAL_INTELLIGENCE
from cspine.reporting.dicom.coding import coded
from cspine.reporting.dicom.identity import MAKER, ObjectIdentity, ascii_text, equipment
from cspine.reporting.dicom.segments import Segments, segments_of
from cspine.reporting.dicom.source import SourceSeries, clinical_source, finish, save
from cspine.reporting.style import LEVEL_COLOURS
from cspine.reporting.written import Written
from cspine.results import Reason, StudyResult
from cspine.study import Study

FILES = ("result_seg.dcm",)

SERIES_NUMBER = 9102
NO_VERTEBRAE = Reason("no_vertebrae", "No seg is written: the package finds no outlines of vertebrae, or none lie in the scan.")


def write(prediction: Prediction, study: Study, folder: Path) -> Written:
    """Writes ``result_seg.dcm``; nothing where no vertebra is outlined."""
    source = clinical_source(prediction.result, study)
    if isinstance(source, Reason):
        return Written(notes=(source,))
    segments = segments_of(prediction.evidence.labels, study)
    if not segments.levels:
        return Written(notes=(NO_VERTEBRAE,))
    identity = ObjectIdentity.of(prediction.result, study)
    save(segmentation(prediction.result, source, segments, identity), folder / FILES[0])
    return Written(FILES, source.notes)


def segmentation(result: StudyResult, source: SourceSeries, segments: Segments, identity: ObjectIdentity) -> Segmentation:
    """Returns the segmentation; frames without a segment are left out."""
    with quiet("highdicom.image"):
        made = Segmentation(
            source_images=[_as_single(image) for image in source.images] if any(source.frames) else source.images,
            pixel_array=segments.numbers,
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=[_described(level, place, result, identity) for place, level in enumerate(segments.levels, 1)],
            series_instance_uid=identity.uid("seg", "series"),
            series_number=SERIES_NUMBER,
            sop_instance_uid=identity.uid("seg"),
            instance_number=1,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            content_label="VERTEBRAE",
            content_description="Vertebrae C1 to C7. Research software, not for diagnosis",
            series_description="cspine vertebrae (research, not for diagnosis)",
            **equipment(result),
        )
    organization = identity.uid("seg", "dimensions")
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    _cite_frames(made, source)
    finish(made, source, result)
    return made


def reference(source: SourceSeries, identity: ObjectIdentity) -> Dataset:
    """Returns the segmentation as another object cites it."""
    cited = Dataset()
    cited.SOPClassUID, cited.SOPInstanceUID = SegmentationStorage, identity.uid("seg")
    cited.StudyInstanceUID, cited.SeriesInstanceUID = source.header.StudyInstanceUID, identity.uid("seg", "series")
    return cited


def _described(level: Level, number: int, result: StudyResult, identity: ObjectIdentity) -> SegmentDescription:
    model = result.localiser
    return SegmentDescription(
        segment_number=number,
        segment_label=level.name,
        segmented_property_category=coded(ANATOMICAL_STRUCTURE),
        segmented_property_type=coded(level.code),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=ascii_text(model.name)[:64],
            family=coded(ARTIFICIAL_INTELLIGENCE),
            version=ascii_text(model.version)[:64],
            source=MAKER,
        ),
        tracking_uid=identity.tracking_uid(level),
        tracking_id=level.name,
        display_color=CIELabColor.from_rgb(*LEVEL_COLOURS[level]),
    )


def _as_single(image: Dataset) -> Dataset:
    """Returns a frame as a CT image of its own: highdicom takes a whole multi-frame object or single images."""
    single = deepcopy(image)
    single.SOPClassUID = CTImageStorage
    return single


def _cite_frames(made: Segmentation, source: SourceSeries) -> None:
    """Cites an object of several frames once, as what it is, with the right frame of it for each of ours."""
    if not any(source.frames):
        return
    made.SourceImageSequence = _once(made.SourceImageSequence, source)
    for series in made.ReferencedSeriesSequence:
        series.ReferencedInstanceSequence = _once(series.ReferencedInstanceSequence, source)
    numbers = {tuple(image.ImagePositionPatient): frame for image, frame in zip(source.images, source.frames, strict=True)}
    for group in made.PerFrameFunctionalGroupsSequence:
        number = numbers[tuple(group.PlanePositionSequence[0].ImagePositionPatient)]
        for derivation in group.DerivationImageSequence:
            for cited in _once(derivation.SourceImageSequence, source):
                cited.ReferencedFrameNumber = number


def _once(references: Iterable[Dataset], source: SourceSeries) -> list[Dataset]:
    """Returns the references without repetitions, each with the true kind of its object."""
    kinds = {image.SOPInstanceUID: image.SOPClassUID for image in source.objects}
    kept = {item.ReferencedSOPInstanceUID: item for item in references}
    for uid, item in kept.items():
        item.ReferencedSOPClassUID = kinds[uid]
    return list(kept.values())
