"""The conformance statement says what the objects hold."""

from pathlib import Path

from pydicom.uid import UID

from cspine import anatomy
from cspine.anatomy import CERVICAL, Code
from cspine.reporting import codes, nifti
from cspine.reporting.dicom import sc, seg, source, sr

_PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "dicom.md").read_text(encoding="utf-8")


def test_every_code_is_listed() -> None:
    own = [value for value in vars(codes).values() if isinstance(value, Code)]
    listed = [*own, anatomy.FRACTURE, anatomy.CERVICAL_SPINE, *(level.code for level in CERVICAL)]

    assert len(own) == 14
    assert [code.value for code in listed if code.value not in _PAGE] == []


def test_every_note_is_explained() -> None:
    notes = (source.NO_DICOM, source.NOT_CITABLE, source.NOT_ASSESSED, seg.NO_VERTEBRAE, nifti.NOTHING)

    for code in (*(note.code for note in notes), "completed"):
        assert f"| `{code}` |" in _PAGE


def test_every_object_is_listed_with_its_series_number() -> None:
    kinds = {
        "1.2.840.10008.5.1.4.1.1.88.34": (sr, "SR"),
        "1.2.840.10008.5.1.4.1.1.66.4": (seg, "SEG"),
        "1.2.840.10008.5.1.4.1.1.7": (sc, "OT"),
    }

    for uid, (module, modality) in kinds.items():
        assert f"| {UID(uid).name} | {uid} | {modality} | {module.SERIES_NUMBER} |" in _PAGE
        assert all(f"`{file}`" in _PAGE for file in module.FILES)
