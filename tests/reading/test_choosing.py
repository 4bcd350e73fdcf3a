"""One table of rules says which series is used, and why not another."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cspine.errors import PixelError, StudyError
from cspine.reading import Listing, find_series, list_studies, read_study, studies_in
from cspine.reading.choosing import PREFERENCES, REQUIREMENTS
from tests.reading.scans import SAGITTAL, Change, Scan, anatomy, body, setting

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


_UNUSUAL: dict[str, Change] = {
    "in another unit than Hounsfield's (Rescale Type Z_EFF)": setting(RescaleType="Z_EFF"),
    "in another unit than Hounsfield's (Rescale Type MGML)": setting(RescaleType="MGML"),
    "in another unit than Hounsfield's (Rescale Type unknown)": setting(RescaleType="Doe^Jane"),
    "a projection or rendering": setting(ImageType=["DERIVED", "SECONDARY", "AXIAL", "PROJECTION IMAGE"]),
    "a projection or rendering ": setting(ImageType=["DERIVED", "PRIMARY", "VOLUME", "MIN_IP"]),
    "a projection or rendering  ": setting(SeriesDescription="Neck MIP 10/3"),
    "a map of one material, or without one": setting(ImageType=["DERIVED", "SECONDARY", "AXIAL", "MAT_SPECIFIC"]),
    "a map of one material, or without one ": setting(SeriesDescription="Iodine no Water[mg/ml]"),
    "a map of one material, or without one  ": setting(SeriesDescription="VNCa HWS"),
    "a map of atomic numbers or electron densities": setting(SeriesDescription="Z Effective"),
    "a map of atomic numbers or electron densities ": setting(ImageType=["DERIVED", "PRIMARY", "VOLUME", "ELECTRON_DENSITY"]),
    "an image of perfusion": setting(ImageType=["DERIVED", "PRIMARY", "PERFUSION", "RCBF"]),
    "virtual mono-energetic, of 40 keV": setting(SeriesDescription="MonoE 40keV[HU]"),
    "virtual mono-energetic, of 190 keV": setting(SeriesDescription="CT MONO+ 190"),
    "virtual mono-energetic, of 50 keV": lambda dataset, _: dataset.add_new(0x0018937C, "FD", 50.0),
    "made of slabs of 10 mm every 1.25 mm": setting(SliceThickness=10),
}


@pytest.mark.parametrize("kind", _UNUSUAL)
def test_what_shows_no_usual_hounsfield_units_comes_last_and_says_why(tmp_path: Path, kind: str) -> None:
    change = _UNUSUAL[kind]

    def tempting(dataset: Dataset, index: int) -> None:
        dataset.ConvolutionKernel, dataset.BodyPartExamined = "BONE", "CSPINE"
        change(dataset, index)

    odd = _scan("1.1", tempting, hu=body(40, 8, 8))
    _better(tmp_path, odd, _scan("1.2", setting(ConvolutionKernel="STANDARD", SliceThickness=2.5)))

    (other,) = (summary for summary in find_series(tmp_path / "0") if not summary.chosen)
    assert other.reason.endswith(f"; it is {kind.strip()}")
    alone = read_study(tmp_path / "0", "1.1")
    assert any(f"The series is {kind.strip()};" in warning.text for warning in alone.warnings)


@pytest.mark.parametrize(
    "change",
    [
        setting(RescaleType="HU", ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]),
        setting(SeriesDescription="HWS 1.0 Br64 mit KM", SliceThickness=1.5),
        setting(SeriesDescription="C-SPINE W IODINE CONTRAST", SliceThickness=2.5),
        setting(SeriesDescription="Mono 70 keV"),
        setting(ImageType=["DERIVED", "PRIMARY", "AXIAL", "VMI"], SeriesDescription="VMI_65"),
        setting(ImageType=["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"]),
        setting(SeriesDescription="AXIAL 0.625 MONOCHROME", ProtocolName="PERFUSION + C-SPINE", StudyDescription="MIP IODINE"),
    ],
)
def test_a_usual_image_is_not_taken_for_anything_else(tmp_path: Path, change: Change) -> None:
    assert read_study(_scan("1.1", change).write(tmp_path)).warnings == ()


def test_energies_near_seventy_come_before_others_and_maps_after_all(tmp_path: Path) -> None:
    for uid, name in {"1.1": "MonoE 40keV", "1.2": "MonoE 50keV", "1.3": "Iodine no Water", "1.4": "MonoE 200keV"}.items():
        _scan(uid, setting(SeriesDescription=name)).write(tmp_path / uid)

    assert read_study(tmp_path).series_uid == "1.2"


def _darker(scan: Scan) -> Scan:
    """Returns the scan with values of neither bone nor air."""
    scan.hu = np.random.default_rng(0).normal(20, 25, scan.hu.shape).astype(np.int16)
    return scan


def test_where_the_best_series_holds_no_hounsfield_units_the_next_is_used_and_that_is_said(tmp_path: Path) -> None:
    _darker(_scan("1.1", setting(ConvolutionKernel="BONE"))).write(tmp_path / "1")
    _darker(_scan("1.2", setting(BodyPartExamined="CSPINE"))).write(tmp_path / "2")
    _scan("1.3").write(tmp_path / "3")

    study = read_study(tmp_path)

    assert study.series_uid == "1.3"
    assert [warning.code for warning in study.warnings] == ["next_series", "next_series"]
    assert "left out, because its values cannot be Hounsfield units; the next one is used" in study.warnings[0].text
    with pytest.raises(PixelError, match="Hounsfield units are needed"):
        read_study(tmp_path, "1.1")


def test_where_no_series_holds_hounsfield_units_the_best_one_is_named(tmp_path: Path) -> None:
    _darker(_scan("1.1")).write(tmp_path / "1")
    _scan("1.2", setting(Modality="MR")).write(tmp_path / "2")

    with pytest.raises(PixelError, match="so there is no air"):
        read_study(tmp_path)


def test_a_series_of_passes_that_cannot_be_told_apart_gives_way_to_the_next(tmp_path: Path) -> None:
    z = np.arange(40) * 0.5
    hu = np.where((np.arange(40) % 2 == 0)[:, None, None], anatomy(z), anatomy(z, shift_mm=8))
    Scan(series_uid="1.1", hu=hu, step_mm=0.5).write(tmp_path / "1")
    Scan(series_uid="1.2").write(tmp_path / "2")

    study = read_study(tmp_path)

    assert (study.series_uid, [warning.code for warning in study.warnings]) == ("1.2", ["next_series"])


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
    page = (Path(__file__).parents[2] / "docs" / "reference" / "reading.md").read_text()

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
