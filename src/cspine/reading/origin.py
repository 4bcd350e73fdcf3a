"""Back to the files of a study, for what a report copies from them."""

from pydicom.dataset import Dataset

from cspine.reading.facts import DamagedFileError
from cspine.reading.headers import header_of
from cspine.reading.messages import Refusal
from cspine.reading.places import opened
from cspine.reading.quiet import quiet
from cspine.study import Origin, Study


def read_header(study: Study, origin: Origin) -> Dataset:
    """Returns the attributes of the first image of a study, the patient's among them: for the object that is written, not to keep.

    Args:
        study: A DICOM study.
        origin: Where it was read.

    Raises:
        StudyError: The file is gone, or is no longer what was read.
    """
    path = origin.place / origin.file if origin.place.is_dir() else origin.place
    with opened(path) as place:
        entries = place.entries if len(place.entries) == 1 else [entry for entry in place.entries if entry.name == origin.file]
        try:
            header = header_of(place, entries[0])
            with quiet("pydicom"):
                uid = str(header.get("SOPInstanceUID") or "").strip()
        except (DamagedFileError, IndexError) as error:
            raise Refusal.CHANGED_WHILE_READ.error(name=origin.file) from error
    if uid != study.sources[0].sop_instance_uid:
        raise Refusal.CHANGED_WHILE_READ.error(name=origin.file)
    return header
