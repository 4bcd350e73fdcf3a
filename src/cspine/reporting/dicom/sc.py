"""``result_sc.dcm``: the page for people as a secondary capture, which every archive shows."""

from io import BytesIO
from pathlib import Path

import numpy as np
from highdicom.sc import SCImage
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cspine.evidence import Prediction
from cspine.reporting.dicom.identity import ObjectIdentity, equipment
from cspine.reporting.dicom.source import SourceSeries, finish, source_of
from cspine.reporting.dicom.source import save as save_object
from cspine.reporting.picture import draw
from cspine.reporting.style import BACKGROUND, MARK
from cspine.reporting.written import Written
from cspine.results import Reason, StudyResult
from cspine.study import Study

FILES = ("result_sc.dcm",)

SERIES_NUMBER = 9103
BURNED_IN = "Research software, not for diagnosis"

_DPI = 120
_BAND_INCHES = 0.42


def write(prediction: Prediction, study: Study, folder: Path) -> Written:
    """Writes ``result_sc.dcm``, for a study that was not assessed too: then it says why."""
    source = source_of(study)
    if isinstance(source, Reason):
        return Written(notes=(source,))
    identity = ObjectIdentity.of(prediction.result, study)
    save_object(capture(prediction.result, source, page(prediction.result, study), identity), folder / FILES[0])
    return Written(FILES, source.notes)


def page(result: StudyResult, study: Study) -> NDArray[np.uint8]:
    """Returns the page with the warning burned in above it, ``(rows, columns, 3)``."""
    drawn = draw(result, study)
    band = Figure(figsize=(float(drawn.get_figwidth()), _BAND_INCHES), facecolor=BACKGROUND)
    FigureCanvasAgg(band)
    band.text(0.5, 0.45, BURNED_IN, color=MARK, fontsize=15, weight="bold", ha="center", va="center")
    return np.concatenate([_pixels(band), _pixels(drawn)])


def capture(result: StudyResult, source: SourceSeries, pixels: NDArray[np.uint8], identity: ObjectIdentity) -> SCImage:
    """Returns the page as an object."""
    made = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=source.header.StudyInstanceUID,
        series_instance_uid=identity.uid("sc", "series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=identity.uid("sc"),
        instance_number=1,
        patient_orientation=("L", "P"),
        series_description="cspine summary (research, not for diagnosis)",
        **equipment(result),
    )
    made.PatientOrientation = None  # views of several directions on one page
    made.ConversionType = "WSD"
    made.BurnedInAnnotation = "YES"
    made.BodyPartExamined = "CSPINE"
    made.DerivationDescription = f"Page drawn by software. {BURNED_IN}"
    made.SourceImageSequence = _cited(result, source)
    finish(made, source, result)
    made.DateOfSecondaryCapture, made.TimeOfSecondaryCapture = made.ContentDate, made.ContentTime
    return made


def _cited(result: StudyResult, source: SourceSeries) -> list[Dataset]:
    """Returns the key slices of the levels, by object and frame, each once."""
    cited = {}
    for finding in result.levels:
        if finding.key_slice is not None:
            item, frame = Dataset(), source.frame(finding.key_slice.index)
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.reference(finding.key_slice.index)
            if frame is not None:
                item.ReferencedFrameNumber = frame
            cited[item.ReferencedSOPInstanceUID, frame] = item
    return list(cited.values())


def _pixels(figure: Figure) -> NDArray[np.uint8]:
    buffer = BytesIO()
    figure.savefig(buffer, format="rgba", dpi=_DPI, facecolor=BACKGROUND)
    columns = int(figure.get_figwidth() * _DPI)
    return np.frombuffer(buffer.getvalue(), np.uint8).reshape(-1, columns, 4)[..., :3]
