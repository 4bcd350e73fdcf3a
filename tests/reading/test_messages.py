"""Every refusal and every warning can happen, says what its words promise, and stands in the documentation."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from cspine.errors import PixelError, StudyError
from cspine.reading import limits, read_study
from cspine.reading.messages import Notice, Refusal
from tests.reading.refused import CASES
from tests.reading.refused.cases import Made, nifti, transposed_hu
from tests.reading.scans import Scan, body, lacking, lossless, neck, setting

_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "reading.md"
Case = Callable[[Path], Path]
_NOTICES: dict[Notice, Case] = {}


def _noticed(notice: Notice) -> Callable[[Case], Case]:
    def remember(case: Case) -> Case:
        _NOTICES[notice] = case
        return case

    return remember


def _pattern(words: str) -> str:
    """Returns a regular expression for a message with any facts in it."""
    return "".join(part if number % 2 == 0 else ".+" for number, part in enumerate(_split(words)))


def _split(words: str) -> list[str]:
    return [re.escape(part) if number % 2 == 0 else part for number, part in enumerate(re.split(r"(\{[^}]*\})", words))]


def _read(made: Path | Made) -> object:
    path, uid = made if isinstance(made, tuple) else (made, None)
    return read_study(path, uid)


@pytest.mark.parametrize("refusal", Refusal, ids=lambda refusal: refusal.code)
def test_a_scan_that_deserves_it_is_refused_in_one_line(refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = CASES[refusal](tmp_path, monkeypatch)

    with pytest.raises(StudyError, match=f"^{_pattern(refusal.value)}$") as raised:
        _read(made)

    assert "\n" not in str(raised.value)
    assert raised.value.code == refusal.code


@pytest.mark.parametrize("notice", Notice, ids=lambda notice: notice.code)
def test_a_scan_that_deserves_it_is_read_with_a_warning(notice: Notice, tmp_path: Path) -> None:
    study = read_study(_NOTICES[notice](tmp_path))

    (text,) = [warning.text for warning in study.warnings if warning.code == notice.code]
    assert re.fullmatch(_pattern(notice.value), text)
    assert np.all(np.isfinite(study.volume.hu))


@pytest.mark.parametrize("message", [*Refusal, *Notice], ids=lambda message: message.code)
def test_every_message_has_a_line_in_the_documentation(message: Refusal | Notice) -> None:
    assert f"| `{message.code}` |" in _PAGE.read_text()


def test_the_limits_in_the_documentation_are_those_of_the_code() -> None:
    page = _PAGE.read_text()

    for what, limit in {
        "files searched for one study": "50 000",
        "folders within folders": str(limits.MAX_DEPTH),
        "one file, unpacked": "2 000 000 000 bytes",
        "all files of a zip, unpacked": f"{limits.MAX_ARCHIVE_BYTES >> 30} GiB",
        "rows or columns": str(limits.MAX_SIDE),
        "voxels of a volume": f"2^{limits.MAX_VOXELS.bit_length() - 1}",
        "sizes and directions within one series": str(limits.MAX_STACKS),
        "distance between neighbouring slices": f"{limits.MAX_GAP_MM:g} mm",
        "shear": f"{limits.MAX_SHEAR_DEGREES:g} degrees",
    }.items():
        assert f"| {what} | {limit} |" in page
    assert (limits.MAX_FILES, limits.MAX_FILE_BYTES, limits.MAX_CROOKED) == (50_000, 2_000_000_000, 0.5)


def test_trouble_with_pixels_is_a_pixel_error() -> None:
    assert isinstance(Refusal.NOT_HU.error(place="here", found="nothing"), PixelError)
    assert not isinstance(Refusal.NO_IMAGES.error(place="here", found="nothing"), PixelError)


def test_names_in_a_message_cannot_break_its_line() -> None:
    text = str(Refusal.DAMAGED_FILE.error(name="a\nb\x1b[31m" + "c" * 5000, cause="?"))

    assert "\n" not in text
    assert "\x1b" not in text
    assert len(text) < 1000


# ---- warnings


@_noticed(Notice.GANTRY_TILT)
def _tilt(folder: Path) -> Path:
    return Scan(positions=np.arange(6)[:, None] * [0.0, 0.3, 1.0]).write(folder)


@_noticed(Notice.UNEVEN_SPACING)
def _uneven(folder: Path) -> Path:
    return Scan(positions=np.array([[0, 0, z] for z in (0, 1, 2, 3, 4.5, 6)])).write(folder)


@_noticed(Notice.MISSING_SLICES)
def _missing(folder: Path) -> Path:
    return Scan(positions=np.array([[0, 0, z] for z in (0, 1, 2, 3, 5, 6)])).write(folder)


@_noticed(Notice.DUPLICATES)
def _duplicates(folder: Path) -> Path:
    Scan().write(folder / "a")
    Scan().write(folder / "b")
    return folder


@_noticed(Notice.STACKS_LEFT_OUT)
def _left_out(folder: Path) -> Path:
    Scan().write(folder / "a")
    Scan(hu=body(2, 16, 16)).write(folder / "b")
    return folder


@_noticed(Notice.ROUNDED_POSITIONS)
def _rounded(folder: Path) -> Path:
    scan = Scan(hu=body(24))
    scan.positions = np.round(scan.places)
    return scan.write(folder)


@_noticed(Notice.UNUSUAL_IMAGES)
def _projection(folder: Path) -> Path:
    return Scan(change=setting(ImageType=["DERIVED", "SECONDARY", "PROJECTION IMAGE"])).write(folder)


@_noticed(Notice.NEXT_SERIES)
def _next(folder: Path) -> Path:
    Scan(series_uid="1.1", hu=body(9) // 10, step_mm=1.0).write(folder / "a")
    Scan(series_uid="1.2").write(folder / "b")
    return folder


@_noticed(Notice.FRAMES_OF_REFERENCE)
def _frames_of_reference(folder: Path) -> Path:
    return Scan(change=lambda dataset, index: setattr(dataset, "FrameOfReferenceUID", f"1.2.{index}")).write(folder)


@_noticed(Notice.DECIMAL_COMMA)
def _comma(folder: Path) -> Path:
    for path in Scan().write(folder).iterdir():
        path.write_bytes(path.read_bytes().replace(b"0.5\\0.75", b"0,5\\0,75"))
    return folder


@_noticed(Notice.NOT_CITABLE)
def _not_citable(folder: Path) -> Path:
    return Scan(change=setting(SOPInstanceUID="1.2.3")).write(folder)


@_noticed(Notice.DAMAGED_FILES)
def _one_damaged(folder: Path) -> Path:
    Scan().write(folder)
    (folder / "7.dcm").write_bytes((folder / "1.dcm").read_bytes().replace(b"\x28\x00\x30\x00DS", b"\x28\x00\x30\x00SQ"))
    return folder


@_noticed(Notice.LINKS_IGNORED)
def _links(folder: Path) -> Path:
    Scan(series_uid="9.9", hu=body(seed=4)).write(folder / "outside")
    Scan().write(folder / "inside")
    (folder / "inside" / "link.dcm").symlink_to(folder / "outside" / "1.dcm")
    (folder / "inside" / "links").symlink_to(folder / "outside")
    return folder / "inside"


@_noticed(Notice.NO_RESCALE)
def _no_rescale(folder: Path) -> Path:
    def change(dataset: Dataset, index: int) -> None:
        del dataset.RescaleSlope, dataset.RescaleIntercept
        dataset.PixelData = body()[index].tobytes()

    return Scan(change=change).write(folder)


@_noticed(Notice.HALF_RESCALE)
def _half_rescale(folder: Path) -> Path:
    return Scan(change=lacking("RescaleSlope")).write(folder)


@_noticed(Notice.WRONG_REPRESENTATION)
def _wrong_representation(folder: Path) -> Path:
    for path in Scan().write(folder).iterdir():
        data = path.read_bytes()
        assert data.count(b"\x28\x00\x52\x10DS") == 1
        path.write_bytes(data.replace(b"\x28\x00\x52\x10DS", b"\x28\x00\x52\x10SH"))
    return folder


@_noticed(Notice.PADDING_IN_TISSUE)
def _padding_in_tissue(folder: Path) -> Path:
    return Scan(change=setting(PixelPaddingValue=1024)).write(folder)


@_noticed(Notice.SIGN_MISMATCH)
def _sign_mismatch(folder: Path) -> Path:
    def change(dataset: Dataset, index: int) -> None:
        dataset.PixelData = encapsulate([imagecodecs.jpeg2k_encode(body(6, 32, 32)[index], level=0, codecformat="j2k")])
        dataset.PixelRepresentation, dataset.RescaleIntercept = 0, 0

    return Scan(hu=body(6, 32, 32), syntax="1.2.840.10008.1.2.4.90", change=change).write(folder)


@_noticed(Notice.LOSSY)
def _lossy(folder: Path) -> Path:
    def change(dataset: Dataset, index: int) -> None:
        stored = (body()[index] + 1024).astype(np.uint16)
        dataset.PixelData = encapsulate([bytes(imagecodecs.jpegls_encode(stored, level=2))])
        dataset.PixelRepresentation = 0

    return Scan(syntax="1.2.840.10008.1.2.4.81", change=change).write(folder)


@_noticed(Notice.NO_AIR)
def _no_air(folder: Path) -> Path:
    return nifti(folder, np.maximum(neck(), -700).T)


@_noticed(Notice.COARSE_VALUES)
def _coarse_values(folder: Path) -> Path:
    return nifti(folder, (16 * np.round(neck() / 16)).astype(np.int16).T)


@_noticed(Notice.NIFTI_FORMS_DISAGREE)
def _forms_disagree(folder: Path) -> Path:
    image = nibabel.Nifti1Image(transposed_hu(), np.eye(4))
    image.header.set_sform(np.eye(4), 1)
    image.header.set_qform(np.diag((1, 1, 2, 1)), 1)
    nibabel.save(image, folder / "scan.nii")
    return folder / "scan.nii"


@_noticed(Notice.NIFTI_STEPS_DISAGREE)
def _steps_disagree(folder: Path) -> Path:
    image = nibabel.Nifti1Image(transposed_hu(), np.eye(4))
    nibabel.save(image, folder / "scan.nii")
    data = bytearray((folder / "scan.nii").read_bytes())
    data[80:92] = np.array([0.4, 0.4, 0.6], "<f4").tobytes()
    (folder / "scan.nii").write_bytes(data)
    return folder / "scan.nii"


@_noticed(Notice.NOT_FINITE)
def _not_finite(folder: Path) -> Path:
    values = np.array(transposed_hu(), np.float32)
    values[0, 0, 0], values[1, 0, 0] = np.nan, np.inf
    path = nifti(folder, values)
    (folder / "scan.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
    return folder / "scan.nii.gz"


def test_jpeg_lossless_images_of_the_tests_are_what_they_claim() -> None:
    image = (body()[0] + 1024).astype(np.int16)

    assert b"\xff\xc3" in lossless(image)
