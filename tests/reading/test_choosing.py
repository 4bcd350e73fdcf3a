"""One table of rules says which series is used, and why not another."""

from pathlib import Path

import numpy as np
import pytest

from cspine.errors import StudyError
from cspine.reading import Listing, find_series, list_studies, read_study, studies_in
from cspine.reading.choosing import PREFERENCES, REQUIREMENTS
from tests.reading.scans import SAGITTAL, Change, Scan, body, setting

_FEW, _ENOUGH = 6, 30


def _better(folder: Path, worse: Scan, better: Scan) -> None:
    """Asserts that the series of ``better`` is chosen, whatever the order of the files, and that a reason is given."""
    for number, (first, second) in enumerate(((worse, better), (better, worse))):
        place = folder / str(number)
        first.write(place / "1")
        second.write(place / "2")
        assert read_study(place).series_uid == better.series_uid
        chosen, other = sorted(find_series(place), key=lambda summary: not summary.chosen)
        assert (chosen.chosen, chosen.series_uid, chosen.reason) == (True, better.series_uid, "used")
        assert (other.chosen, other.series_uid) == (False, worse.series_uid)
        assert other.reason not in ("", "used")


def _scan(uid: str, change: Change | None = None, **values: object) -> Scan:
    return Scan(series_uid=uid, change=change, **{"hu": body(_FEW, 8, 8), **values})  # type: ignore[arg-type]


def test_thin_slices_come_before_thick_ones(tmp_path: Path) -> None:
    _better(tmp_path, _scan("1.1", setting(ConvolutionKernel="BONE"), step_mm=5.0), _scan("1.2"))


def test_a_long_stack_comes_before_a_short_one(tmp_path: Path) -> None:
    _better(
        tmp_path, _scan("1.1", setting(ConvolutionKernel="BONE"), hu=body(_ENOUGH - 1, 8, 8)), _scan("1.2", hu=body(_ENOUGH, 8, 8))
    )


def test_axial_comes_before_reformatted(tmp_path: Path) -> None:
    _better(tmp_path, _scan("1.1", setting(ConvolutionKernel="BONE"), directions=SAGITTAL), _scan("1.2"))


@pytest.mark.parametrize("kernel", ["BONE", "BONEPLUS", "B60s", ["Br64d", "3"], "H70h", "FC30", "YD", "EDGE"])
def test_a_bone_kernel_comes_before_a_soft_one(tmp_path: Path, kernel: str | list[str]) -> None:
    named = setting(ConvolutionKernel="STANDARD", SeriesDescription="CSPINE")

    _better(tmp_path, _scan("1.1", named), _scan("1.2", setting(ConvolutionKernel=kernel)))


@pytest.mark.parametrize("kernel", ["STANDARD", "B30s", "FC08", "Br40d", "H31s", "SOFT", "C"])
def test_a_soft_kernel_is_no_bone_kernel(tmp_path: Path, kernel: str) -> None:
    _better(tmp_path, _scan("1.1", setting(ConvolutionKernel=kernel)), _scan("1.2", setting(ConvolutionKernel="BONE")))


@pytest.mark.parametrize("words", [{"BodyPartExamined": "CSPINE"}, {"SeriesDescription": "Neck 0.6"}, {"ProtocolName": "C-Spine"}])
def test_a_series_named_after_the_neck_comes_before_another(tmp_path: Path, words: dict[str, str]) -> None:
    _better(tmp_path, _scan("1.1", step_mm=1.0), _scan("1.2", setting(**words)))


def test_among_the_rest_the_thinner_and_then_the_longer_series_is_used(tmp_path: Path) -> None:
    _better(tmp_path / "thin", _scan("1.1"), _scan("1.2", step_mm=1.0))
    _better(tmp_path / "long", _scan("1.1"), _scan("1.2", hu=body(_FEW + 1, 8, 8)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (setting(Modality="MR"), "is MR"),
        (setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "is a localizer"),
        (setting(ImageType=["DERIVED", "SECONDARY", "DOSE_INFO"]), "is a screen image"),
        (setting(SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality=""), "another kind of object"),
    ],
)
def test_what_is_no_cross_section_of_a_ct_is_never_used(tmp_path: Path, change: Change, reason: str) -> None:
    Scan(series_uid="1.1", hu=body(40), change=change).write(tmp_path / "1")
    Scan(series_uid="1.2", hu=body(3)).write(tmp_path / "2")

    assert read_study(tmp_path).series_uid == "1.2"
    assert any(reason in summary.reason for summary in find_series(tmp_path))


def test_a_series_that_cannot_be_read_is_not_chosen(tmp_path: Path) -> None:
    Scan(series_uid="1.1", hu=body(40), step_mm=11.0).write(tmp_path / "1")
    Scan(series_uid="1.2", hu=body(3)).write(tmp_path / "2")

    assert read_study(tmp_path).series_uid == "1.2"


def test_the_user_overrides_the_rules(tmp_path: Path) -> None:
    Scan(series_uid="1.1", hu=body(40)).write(tmp_path / "1")
    other = Scan(series_uid="1.2", hu=body(3, seed=5), change=setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    other.write(tmp_path / "2")

    assert np.array_equal(read_study(tmp_path, "1.2").volume.hu, other.hu)


def test_between_equals_the_user_is_asked(tmp_path: Path) -> None:
    Scan(series_uid="1.1").write(tmp_path / "1")
    Scan(series_uid="1.2", hu=body(seed=1)).write(tmp_path / "2")

    with pytest.raises(StudyError, match=r"equally good: 1\.[12], 1\.[12]\. Choose one with --series UID"):
        read_study(tmp_path)
    assert {summary.chosen for summary in find_series(tmp_path)} == {False}


def test_every_rule_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reading.md").read_text()

    assert all(f"- {rule.text}" in page for rule in (*REQUIREMENTS, *PREFERENCES))


def test_a_folder_of_studies_gives_each_of_them(tmp_path: Path) -> None:
    Scan(study_uid="1.1").write(tmp_path / "a")
    Scan(study_uid="1.2").write(tmp_path / "b" / "series")
    Scan(study_uid="1.3", series_uid="1.3.1").write(tmp_path / "c" / "1")
    Scan(study_uid="1.3", series_uid="1.3.2").write(tmp_path / "c" / "2")
    (tmp_path / "d.nii.gz").write_bytes(b"")

    assert studies_in(tmp_path) == tuple(tmp_path / name for name in ("d.nii.gz", "a", "b/series", "c"))
    assert len(find_series(tmp_path)) == 5


def test_a_folder_of_one_study_in_several_series_is_one_study(tmp_path: Path) -> None:
    Scan(series_uid="1.1").write(tmp_path / "a")
    Scan(series_uid="1.2").write(tmp_path / "b")

    assert studies_in(tmp_path) == (tmp_path,)


def test_what_lies_beside_studies_and_holds_none_is_named_with_the_reason(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Scan(study_uid=f"1.{ord(name)}").write(tmp_path / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "1.dcm").write_text("hello")
    (tmp_path / "half.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    image = next((tmp_path / "a").iterdir()).read_bytes()
    (tmp_path / "stray.dcm").write_bytes(image.replace(b"\x28\x00\x30\x00DS", b"\x28\x00\x30\x00SQ"))
    (tmp_path / ".trash").mkdir()
    (tmp_path / "notes.txt").write_text("years of work")

    listing = list_studies(tmp_path)

    assert listing.studies == (tmp_path / "a", tmp_path / "b")
    assert {path.name: error.code for path, error in listing.barren} == {
        "empty": "no_images",
        "words": "no_images",
        "half.zip": "damaged_zip",
        "stray.dcm": "damaged_file",
    }


def test_folders_without_images_beside_a_single_study_are_no_studies(tmp_path: Path) -> None:
    Scan(study_uid="1.1", series_uid="1.1.1").write(tmp_path / "DICOM" / "1")
    Scan(study_uid="1.1", series_uid="1.1.2").write(tmp_path / "DICOM" / "2")
    (tmp_path / "DICOM" / "3").mkdir()
    (tmp_path / "VIEWER").mkdir()

    assert list_studies(tmp_path) == Listing((tmp_path / "DICOM",))


def test_two_studies_mixed_in_one_folder_are_told_apart_by_their_series(tmp_path: Path) -> None:
    Scan(study_uid="1.1", series_uid="1.1.1").write(tmp_path, "a{index}")
    scan = Scan(study_uid="1.2", series_uid="1.2.1", hu=body(seed=2))
    scan.write(tmp_path, "b{index}")

    with pytest.raises(StudyError, match="holds 2 studies"):
        read_study(tmp_path)
    assert np.array_equal(read_study(tmp_path, "1.2.1").volume.hu, scan.hu)
