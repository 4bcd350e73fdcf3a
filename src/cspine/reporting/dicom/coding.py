"""Codes as highdicom takes them."""

from highdicom.sr.coding import CodedConcept

from cspine.anatomy import Code


def coded(code: Code) -> CodedConcept:
    """Returns a code as highdicom takes it."""
    return CodedConcept(code.value, code.scheme, code.meaning)
