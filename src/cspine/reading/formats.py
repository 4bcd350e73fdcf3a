"""Formats that may hold scans and are not read, each with what to do about it; and names to pass over."""

from dataclasses import dataclass

_CONVERT = "Convert it to NIfTI, or give the DICOM folder that it was made of."
_UNPACK = "Unpack it and give the folder."


@dataclass(frozen=True, slots=True)
class UnreadFormat:
    """A format that is not read.

    Attributes:
        name: What to call it, with its article.
        advice: What to do.
        is_general: Whether it seldom holds a scan, so that in a folder of studies it is passed over.
    """

    name: str
    advice: str
    is_general: bool = False


_TAR, _GZIP = UnreadFormat("a tar archive", _UNPACK), UnreadFormat("a file packed with gzip", _UNPACK, is_general=True)
_META, _NRRD = UnreadFormat("a MetaImage volume", _CONVERT), UnreadFormat("an NRRD volume", _CONVERT)
_PAIR = UnreadFormat("half of an Analyze or NIfTI pair (.hdr and .img)", "Convert the pair to one .nii file.")
_UNNAMED = UnreadFormat("a NIfTI file under another name", "Let its name end with .nii.")
_MGH, _MINC = UnreadFormat("a FreeSurfer volume", _CONVERT), UnreadFormat("a MINC volume", _CONVERT)
_RAR, _SEVEN = UnreadFormat("a rar archive", _UNPACK), UnreadFormat("a 7z archive", _UNPACK)
ZIP = UnreadFormat("a zip", _UNPACK)
_PACKED = UnreadFormat("a packed file", _UNPACK, is_general=True)
_DISC = UnreadFormat("the image of a disc", "Open it and give the folder of the study.")

_ENDINGS = {
    ".tar": _TAR,
    ".tgz": _TAR,
    ".tar.gz": _TAR,
    ".tar.bz2": _TAR,
    ".tar.xz": _TAR,
    ".tbz2": _TAR,
    ".txz": _TAR,
    ".tar.zst": _TAR,
    ".gz": _GZIP,
    ".bz2": _PACKED,
    ".xz": _PACKED,
    ".zst": _PACKED,
    ".zip": ZIP,
    ".rar": _RAR,
    ".7z": _SEVEN,
    ".mha": _META,
    ".mhd": _META,
    ".nrrd": _NRRD,
    ".nhdr": _NRRD,
    ".hdr": _PAIR,
    ".img": _PAIR,
    ".mgh": _MGH,
    ".mgz": _MGH,
    ".mnc": _MINC,
    ".iso": _DISC,
}
_BEGINNINGS = {
    b"\x1f\x8b": _GZIP,
    b"BZh": _PACKED,
    b"\xfd7zXZ\x00": _PACKED,
    b"\x28\xb5\x2f\xfd": _PACKED,
    b"Rar!": _RAR,
    b"7z\xbc\xaf\x27\x1c": _SEVEN,
    b"PK\x03\x04": ZIP,
    b"NRRD000": _NRRD,
    b"ObjectType": _META,
    b"\x5c\x01\x00\x00": _PAIR,
    b"\x00\x00\x01\x5c": _PAIR,
}
_TAR_MARK, _NIFTI_MARK = slice(257, 262), slice(344, 347)
_PASSED_OVER = ("__macosx", "thumbs.db", "desktop.ini")


def other_format(name: str, start: bytes) -> UnreadFormat | None:
    """Returns the format of a file that is not read but may hold a scan; ``None`` for anything else.

    Args:
        name: Its name.
        start: Its first bytes; 262 or more tell tar archives without an ending.
    """
    lower = name.lower()
    named = next((found for ending, found in _ENDINGS.items() if lower.endswith(ending)), None)
    if start[_TAR_MARK] == b"ustar":
        return _TAR
    if start[:4] in (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c") and start[_NIFTI_MARK] == b"n+1":
        return _UNNAMED
    begun = next((found for mark, found in _BEGINNINGS.items() if start.startswith(mark)), None)
    if named in (_TAR, _MGH) and begun in (_GZIP, _PACKED):
        return named
    return begun or named


def is_nifti(name: str) -> bool:
    """Says whether a file is named like a NIfTI file."""
    return name.lower().endswith((".nii", ".nii.gz"))


def is_passed_over(name: str) -> bool:
    """Says whether a file or a folder is what a system puts beside the files of people: its notes, never images.

    Args:
        name: Its path or name.
    """
    return any(part.startswith("._") or part.lower() in _PASSED_OVER or part == ".DS_Store" for part in name.split("/"))
