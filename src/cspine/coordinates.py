"""Names what a place in the patient is made of; without numpy, as what a person waits for first needs no more of it."""

Vector = tuple[float, float, float]
"""World coordinates or steps along them, DICOM LPS millimetres ``(x, y, z)``; or three steps of an array ``(z, y, x)``."""
