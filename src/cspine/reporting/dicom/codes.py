"""The codes that our objects use; ``docs/reference/dicom.md`` lists them."""

from highdicom.sr.coding import CodedConcept

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


def coded(code: Code) -> CodedConcept:
    """Returns a code as highdicom takes it."""
    return CodedConcept(code.value, code.scheme, code.meaning)
