"""The codes that our DICOM objects and FHIR resources use; ``docs/reference/dicom.md`` lists them."""

from cspine.anatomy import Code

ANATOMICAL_STRUCTURE = Code("123037004", "SCT", "Anatomical structure")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
PROBABILITY = Code("122157", "DCM", "Probability")
THRESHOLD = Code("122411", "DCM", "Threshold Value")
NO_UNITS = Code("1", "UCUM", "no units")
PRESENCE = Code("705057003", "SCT", "Presence")
PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
UNDETERMINED = Code("121059", "DCM", "Presence Undetermined")
COMMENT = Code("121106", "DCM", "Comment")
DEVICE = Code("121007", "DCM", "Device")
CT_PROCEDURE = Code("25045-6", "LN", "CT unspecified body region")
SEGMENTATION = Code("113076", "DCM", "Segmentation")
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
