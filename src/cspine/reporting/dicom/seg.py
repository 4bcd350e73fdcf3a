"""``result_seg.dcm``: the vertebrae on the stored images as a binary segmentation."""

from pathlib import Path

import numpy as np
from highdicom.color import CIELabColor
from highdicom.content import AlgorithmIdentificationSequence, PlanePositionSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.spatial import get_volume_positions
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage
from pydicom.valuerep import VR, format_number_as_ds

from cspine.anatomy import Level
from cspine.evidence import Prediction
from cspine.reading.quiet import quiet
from cspine.reporting.codes import ANATOMICAL_STRUCTURE, ARTIFICIAL_INTELLIGENCE, SEGMENTATION, SOURCE_IMAGE
from cspine.reporting.dicom.coding import coded
from cspine.reporting.dicom.encoded import code_item, encoded, held, hold, item, sequence, text
from cspine.reporting.dicom.identity import MAKER, ObjectIdentity, ascii_text, equipment
from cspine.reporting.dicom.segments import Segments, segments_of
from cspine.reporting.dicom.source import SourceSeries, clinical_source, finish, reference, references_to, save
from cspine.reporting.style import LEVEL_COLOURS
from cspine.reporting.written import Written
from cspine.results import Reason, StudyResult
from cspine.study import Study

FILES = ("result_seg.dcm",)

SERIES_NUMBER = 9102
_PURPOSE = sequence("PurposeOfReferenceCodeSequence", code_item(SOURCE_IMAGE))
_DERIVATION = sequence("DerivationCodeSequence", code_item(SEGMENTATION))

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
    first = source.image(0)
    first.SOPClassUID = CTImageStorage  # if a frame: highdicom takes a whole multi-frame object or single images
    with quiet("highdicom.image"):
        made = Segmentation(
            source_images=[first],  # all are cited below, at less cost than highdicom takes an image
            pixel_array=segments.numbers,
            plane_positions=[PlanePositionSequence("PATIENT", source.position(place)) for place in segments.places],
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
    for dimension in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        dimension.DimensionOrganizationUID = organization
    _tell_spacing(made.SharedFunctionalGroupsSequence[0], source)
    finish(made, source, result)
    _cite(made, source, segments)
    return made


def citation(source: SourceSeries, identity: ObjectIdentity) -> Dataset:
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


def _tell_spacing(shared: Dataset, source: SourceSeries) -> None:
    """States the distance of slices where all of the scan has the same; highdicom knows those with a segment only."""
    measures, orientation = shared.PixelMeasuresSequence[0], shared.PlaneOrientationSequence[0].ImageOrientationPatient
    positions = np.array([source.position(index) for index in range(len(source.slices))], dtype=np.float64)
    spacing, _ = get_volume_positions(positions, orientation)
    measures.SpacingBetweenSlices = None if spacing is None else format_number_as_ds(spacing)
    if spacing is None:
        del measures.SpacingBetweenSlices


def _cite(made: Segmentation, source: SourceSeries, segments: Segments) -> None:
    """Cites all of the scan, and for each frame the image that it lies on, with the number of a frame in its object."""
    derivations = {tuple(source.position(place)): _derivation(source, place) for place in segments.places}
    for group in made.PerFrameFunctionalGroupsSequence:
        position = tuple(map(str, group.PlanePositionSequence[0].ImagePositionPatient))
        hold(group, *map(encoded, group), derivations[position])
    (series,) = made.ReferencedSeriesSequence
    hold(series, held("ReferencedInstanceSequence", references_to(source)))
    hold(made, held("SourceImageSequence", references_to(source)))
    made["PixelData"].VR = VR.OB  # as pydicom finds out itself where nothing is encoded


def _derivation(source: SourceSeries, place: int) -> RawDataElement:
    frame = source.frame(place)
    cited = [*reference(*source.reference(place))]
    cited += [] if frame is None else [text("ReferencedFrameNumber", str(frame))]
    cited += [text("SpatialLocationsPreserved", "YES"), _PURPOSE]
    return held("DerivationImageSequence", item(sequence("SourceImageSequence", item(*cited)), _DERIVATION))
