"""Images of one Series Instance UID are told apart into the stacks that they are, and one regular stack is never torn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cspine.errors import StudyError
from cspine.reading import find_series, read_study
from cspine.study import Study
from tests.reading.scans import Scan, anatomy, enhanced, save

_UID = "1.2.3.4"
Sets = Callable[[int], dict[str, object]]
"""What the headers of a slice say, by its number in its pass."""


def _codes(study: Study) -> list[str]:
    return [warning.code for warning in study.warnings]


def _pass(
    z: NDArray[np.floating[Any]], sets: Sets | None = None, shift_mm: float = 0.0, first: int = 1, offset_mm: float = 0.0
) -> Scan:
    """Returns a pass over some heights; its SOP Instance UIDs are counted from ``first`` on, and Instance Numbers are left out."""

    def change(dataset: Dataset, index: int) -> None:
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{_UID}.{first + index}"
        for keyword, value in (sets(index) if sets else {}).items():
            setattr(dataset, keyword, value)

    places = np.stack([np.full(len(z), -20.0 + offset_mm), np.full(len(z), -30.0), z], axis=1)
    return Scan(hu=anatomy(z, shift_mm), positions=places, spacing_mm=(1.0, 1.0), change=change)


def _written(folder: Path, *passes: Scan) -> Path:
    for number, scan in enumerate(passes):
        scan.write(folder, f"{number}-{{index:04}}.dcm")
    return folder


def _same(value: object, keyword: str) -> Sets:
    return lambda _index: {keyword: value}


def _clock(start: int) -> Sets:
    return lambda index: {"AcquisitionTime": f"{start + index:06}.5"}


_TWO: dict[str, tuple[Sets, Sets]] = {
    "acquisition numbers": (_same(1, "AcquisitionNumber"), _same(2, "AcquisitionNumber")),
    "acquisition numbers of rotations": (
        lambda index: {"AcquisitionNumber": 1 + index // 4},
        lambda index: {"AcquisitionNumber": 21 + index // 4},
    ),
    "acquisition times": (_same("101500", "AcquisitionTime"), _same("102233.4", "AcquisitionTime")),
    "acquisition times of slices": (_clock(101500), _clock(102200)),
    "content times of slices": (
        lambda index: {"ContentTime": f"{101500 + index}"},
        lambda index: {"ContentTime": f"{101800 + index}"},
    ),
    "dates and times": (_same("20240101235959", "AcquisitionDateTime"), _same("20240102000105", "AcquisitionDateTime")),
    "kernels": (_same("B30f", "ConvolutionKernel"), _same("B31f", "ConvolutionKernel")),
    "image types": (
        _same(["ORIGINAL", "PRIMARY", "AXIAL", "DET_A"], "ImageType"),
        _same(["ORIGINAL", "PRIMARY", "AXIAL", "DET_B"], "ImageType"),
    ),
    "rescale types": (_same("HU", "RescaleType"), _same("HOUNSFIELD UNITS", "RescaleType")),
    "voltages": (_same(80, "KVP"), _same(140, "KVP")),
    "contrast phases": (_same(1, "TemporalPositionIdentifier"), _same(2, "TemporalPositionIdentifier")),
    "contrast agents": (_same("", "ContrastBolusAgent"), _same("Iodine", "ContrastBolusAgent")),
    "thicknesses": (_same(1, "SliceThickness"), _same(1.5, "SliceThickness")),
    "frames of reference": (_same("1.7", "FrameOfReferenceUID"), _same("1.8", "FrameOfReferenceUID")),
    "energies": (_same("Mono 65 keV", "SeriesDescription"), _same("Mono 75 keV", "SeriesDescription")),
    "instance numbers": (lambda index: {"InstanceNumber": 1 + index}, lambda index: {"InstanceNumber": 41 + index}),
    "instance numbers, back": (lambda index: {"InstanceNumber": 1 + index}, lambda index: {"InstanceNumber": 99 - index}),
    "nothing": (lambda _index: {}, lambda _index: {}),
}
_Z = np.arange(20) * 1.25
_OTHER = {
    "half a slice off": _Z + 0.625,
    "at the same places": _Z,
    "overlapping, off": _Z + 12.6 * 1.25,
    "a third of a slice off": _Z + 0.4,
    "a tenth of a slice off": _Z + 0.13,
    "overlapping": _Z + 12 * 1.25,
    "at another distance": np.arange(30) * 0.9 + 0.2,
    "with a slice missing": np.delete(_Z + 0.625, 17),
}
_UNSEEN = {
    *(("nothing", where) for where in ("half a slice off", "with a slice missing", "at the same places", "overlapping")),
    ("nothing", "at another distance"),
    ("content times of slices", "half a slice off"),
    *(("frames of reference", where) for where in ("half a slice off", "with a slice missing")),
}
"""What no header tells; the pixels do."""
_CASES = [
    (differ, where)
    for differ in _TWO
    for number, where in enumerate(_OTHER)
    if number < 3 or differ in ("acquisition numbers of rotations", "instance numbers", "nothing")
]


@pytest.mark.parametrize(("differ", "where"), _CASES)
def test_two_passes_under_one_uid_are_two_stacks_that_can_be_named_or_refused(tmp_path: Path, differ: str, where: str) -> None:
    one = _pass(_Z, _TWO[differ][0])
    other = _pass(_OTHER[where], _TWO[differ][1], shift_mm=8.0, first=101)
    _written(tmp_path, one, other)

    if (differ, where) in _UNSEEN:
        with pytest.raises(StudyError, match=r"several are interleaved|different images at"):
            read_study(tmp_path)
        return
    summaries = find_series(tmp_path)
    assert sorted(summary.name for summary in summaries) == [f"{_UID}#1", f"{_UID}#2"]
    for summary in summaries:
        study = read_study(tmp_path, summary.name)
        scan = one if study.sources[0].sop_instance_uid == f"{_UID}.1" else other
        whole = [0, 1, 2, 3, 4, -2, -1]
        assert len(study.sources) == len(scan.hu) == summary.images
        assert np.array_equal(study.volume.hu[whole], scan.hu[whole])
        assert "stacks_left_out" in _codes(study)


def test_between_equal_passes_the_user_is_asked_by_names_that_work(tmp_path: Path) -> None:
    one, other = (_pass(_Z + 0.5 * n, _same(n, "AcquisitionNumber"), 8.0 * n, first=1 + 100 * n) for n in (0, 1))
    _written(tmp_path, one, other)

    with pytest.raises(StudyError, match=r"equally good: 1\.2\.3\.4#1, 1\.2\.3\.4#2\. Choose one with --series UID"):
        read_study(tmp_path)
    with pytest.raises(StudyError, match=r"There is no series 1\.2\.3\.4#3 .* Give one of: 1\.2\.3\.4#1, 1\.2\.3\.4#2"):
        read_study(tmp_path, f"{_UID}#3")
    assert np.array_equal(read_study(tmp_path, f"{_UID}#2").volume.hu, other.hu)


def test_among_passes_the_rules_choose_and_the_result_says_so(tmp_path: Path) -> None:
    bone = _pass(_Z, _same("B70f", "ConvolutionKernel"))
    soft = _pass(_Z, _same("B30f", "ConvolutionKernel"), first=101)

    study = read_study(_written(tmp_path, soft, bone))

    assert np.array_equal(study.volume.hu, bone.hu)
    (text,) = [warning.text for warning in study.warnings]
    assert (
        text
        == "This is stack 1 of 2 in its series, which differ in convolution kernel; the other 20 images of the series are left out."
    )


_REGULAR: dict[str, Sets] = {
    "acquisition time of each slice": _clock(101500),
    "acquisition times that come in disorder": lambda index: {"AcquisitionTime": f"{101500 + (index * 7) % 20}"},
    "acquisition number of each rotation": lambda index: {"AcquisitionNumber": 1 + index // 4},
    "acquisition number of each long rotation": lambda index: {"AcquisitionNumber": 1 + index // 10},
    "acquisition number of each slice": lambda index: {"AcquisitionNumber": index},
    "acquisition number in a third": lambda index: {"AcquisitionNumber": 3} if index % 3 == 0 else {},
    "acquisition number in each second slice": lambda index: {"AcquisitionNumber": 3} if index % 2 == 0 else {},
    "acquisition number in the lower half": lambda index: {"AcquisitionNumber": 3} if index < 10 else {},
    "acquisition numbers without meaning": lambda index: {"AcquisitionNumber": (index * index) % 7 % 3},
    "frame of reference of each slice": lambda index: {"FrameOfReferenceUID": f"1.9.{index}"},
    "frame of reference lacking in a third": lambda index: {"FrameOfReferenceUID": "1.9"} if index % 3 else {},
    "frame of reference of each second slice": lambda index: {"FrameOfReferenceUID": f"1.9.{index % 2}"},
    "frame of reference of each half": lambda index: {"FrameOfReferenceUID": f"1.9.{index // 10}"},
    "kernel of each half": lambda index: {"ConvolutionKernel": ("B30", "B31")[index // 10]},
    "image type of some": lambda index: {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "ADD"] if index % 3 else ["ORIGINAL"]},
    "rescale type of some": lambda index: {"RescaleType": "HU"} if index % 3 else {},
    "instance numbers in disorder": lambda index: {"InstanceNumber": (index * 13) % 20},
    "instance numbers as words sort": lambda index: {"InstanceNumber": sorted(map(str, range(20))).index(str(index))},
    "instance number of all": _same(1, "InstanceNumber"),
    "thicknesses as texts": lambda index: {"SliceThickness": ("1.250", "1.25", "1.2500001")[index % 3]},
    "content times of several machines": lambda index: {"ContentTime": f"{101500 + index // 2 + 10 * (index % 2)}"},
}


@pytest.mark.parametrize("missing", [(), (7, 12)], ids=["whole", "two slices missing"])
@pytest.mark.parametrize("varies", _REGULAR)
def test_one_regular_stack_is_never_torn(tmp_path: Path, varies: str, missing: tuple[int, ...]) -> None:
    there = np.delete(np.arange(20), missing)
    scan = _pass(_Z[there], lambda index: _REGULAR[varies](int(there[index])))

    study = read_study(scan.write(tmp_path))

    assert np.array_equal(study.volume.hu[there], scan.hu)
    assert len(study.sources) == len(there)
    assert set(_codes(study)) <= {"frames_of_reference", "missing_slices"}


@pytest.mark.parametrize("varies", ["acquisition number of each rotation", "acquisition number of each slice"])
def test_an_uneven_stack_is_not_torn_where_its_distance_changes(tmp_path: Path, varies: str) -> None:
    z = np.concatenate([np.arange(12) * 1.0, 11.7 + np.arange(12) * 2.5])
    scan = _pass(z, lambda index: {**_REGULAR[varies](index), "SliceThickness": 1 if index < 12 else 2.5})

    study = read_study(scan.write(tmp_path))

    assert len(study.sources) == 24
    assert _codes(study) == ["uneven_spacing"]


_GAPS = {"a gap": 6.3, "a wide gap": 40.0, "an overlap": -7.4}


@pytest.mark.parametrize("between", _GAPS)
def test_of_two_runs_over_one_neck_the_longer_is_used_and_that_is_said(tmp_path: Path, between: str) -> None:
    below = _pass(np.arange(14) * 1.0, _same(1, "AcquisitionNumber"))
    above = _pass(13 + _GAPS[between] + np.arange(26) * 1.0, _same(2, "AcquisitionNumber"), shift_mm=5, first=101)

    study = read_study(_written(tmp_path, below, above))

    assert np.array_equal(study.volume.hu, above.hu)
    assert _codes(study) == ["stacks_left_out"]
    assert (
        "stack 2 of 2 in its series, which differ in acquisition number; the other 14 images of the series"
        in study.warnings[0].text
    )


def test_the_longer_of_two_runs_is_used_though_the_other_is_a_trifle_thinner(tmp_path: Path) -> None:
    below = _pass(np.arange(14) * 0.99, _same(1, "AcquisitionNumber"))
    above = _pass(20 + np.arange(26) * 1.0, _same(2, "AcquisitionNumber"), first=101)

    assert np.array_equal(read_study(_written(tmp_path, below, above)).volume.hu, above.hu)


@pytest.mark.parametrize("seam_mm", [1.0, 0.6])
def test_two_runs_that_continue_each_other_are_one_stack(tmp_path: Path, seam_mm: float) -> None:
    below = _pass(np.arange(14) * 1.0, _same(1, "AcquisitionNumber"))
    above = _pass(13 + seam_mm + np.arange(26) * 1.0, _same(2, "AcquisitionNumber"), first=101)

    study = read_study(_written(tmp_path, below, above))

    assert len(study.sources) == 40
    assert "stacks_left_out" not in _codes(study)


def _halves(kind: str) -> tuple[Scan, Scan]:
    lower, upper = _pass(_Z), _pass(_Z + 25, first=101)
    if kind == "sizes":
        upper.hu = np.pad(upper.hu, ((0, 0), (0, 4), (0, 4)), constant_values=-1000)
    elif kind == "pixel spacings":
        upper.spacing_mm = (1.1, 1.1)
    elif kind == "directions":
        upper.directions = (1.0, 0.0, 0.0, 0.0, np.cos(0.2), np.sin(0.2))
    elif kind == "frames of reference, apart":
        lower, upper = (
            _pass(_Z, _same("1.7", "FrameOfReferenceUID")),
            _pass(_Z + 60, _same("1.8", "FrameOfReferenceUID"), first=101),
        )
    elif kind == "places":
        upper = _pass(_Z + 25, offset_mm=12, first=101)
    return lower, upper


@pytest.mark.parametrize("kind", ["sizes", "pixel spacings", "directions", "frames of reference, apart", "places"])
def test_either_half_of_a_series_can_be_named(tmp_path: Path, kind: str) -> None:
    halves = _halves(kind)
    _written(tmp_path, *halves)

    with pytest.raises(StudyError, match=r"equally good: 1\.2\.3\.4#1, 1\.2\.3\.4#2"):
        read_study(tmp_path)
    for number, half in enumerate(halves, 1):
        assert np.array_equal(read_study(tmp_path, f"{_UID}#{number}").volume.hu, half.hu)


def test_a_topogram_and_a_dose_sheet_within_a_series_are_left_out(tmp_path: Path) -> None:
    scan = _pass(_Z)
    sheet = _pass(np.array([99.0]), _same(["DERIVED", "SECONDARY", "DOSE_INFO"], "ImageType"), first=201)
    topogram = _pass(np.array([7.0]), _same(["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImageType"), first=202)

    study = read_study(_written(tmp_path, sheet, topogram, scan))

    assert np.array_equal(study.volume.hu, scan.hu)
    assert _codes(study) == ["stacks_left_out"]


def test_three_phases_with_two_kernels_each_are_six_stacks(tmp_path: Path) -> None:
    def sets(phase: int, kernel: str) -> Sets:
        return lambda _index: {"AcquisitionNumber": phase, "ConvolutionKernel": kernel}

    kinds = [(phase, kernel) for phase in range(3) for kernel in ("B30f", "B70f")]
    passes = [_pass(_Z, sets(*kind), shift_mm=8.0 * kind[0], first=1 + 100 * number) for number, kind in enumerate(kinds)]

    summaries = find_series(_written(tmp_path, *passes))

    assert [(summary.images, summary.kernel) for summary in summaries] == [(20, "B30F"), (20, "B70F")] * 3
    assert [summary.name for summary in summaries] == [f"{_UID}#{number}" for number in range(1, 7)]


def test_a_name_stands_for_the_same_stack_however_the_files_are_called(tmp_path: Path) -> None:
    one, other = (_pass(_Z + 0.5 * n, _same(1 + n, "AcquisitionNumber"), 8.0 * n, first=1 + 100 * n) for n in (0, 1))
    _written(tmp_path / "a", one, other)
    _written(tmp_path / "b", other, one)

    for number, scan in enumerate((one, other), 1):
        for folder in ("a", "b"):
            assert np.array_equal(read_study(tmp_path / folder, f"{_UID}#{number}").volume.hu, scan.hu)


def test_copies_of_all_images_are_no_second_pass(tmp_path: Path) -> None:
    scan = _pass(_Z, lambda index: {"AcquisitionNumber": 1 + index // 4, "InstanceNumber": index + 1})

    study = read_study(_written(tmp_path, scan, scan))

    assert np.array_equal(study.volume.hu, scan.hu)
    assert _codes(study) == ["duplicates"]


def test_a_pass_whose_images_are_all_of_one_place_is_told_from_a_single_image(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"all 4 images of series 1\.2\.3\.4 lie at one position"):
        read_study(_pass(np.full(4, 7.0)).write(tmp_path))


def test_a_patient_who_moves_once_is_no_second_pass(tmp_path: Path) -> None:
    scan = _pass(_Z)
    scan.hu = np.concatenate([anatomy(_Z[:12]), anatomy(_Z[12:], shift_mm=8)])

    assert np.array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)


def test_stacks_of_an_enhanced_object_are_told_apart_by_what_its_frames_say(tmp_path: Path) -> None:
    z = np.concatenate([_Z, _Z + 0.625])
    scan = _pass(z)
    scan.hu = np.concatenate([anatomy(_Z), anatomy(_Z + 0.625, shift_mm=8)])
    made = enhanced(scan)
    for number, group in enumerate(made.PerFrameFunctionalGroupsSequence):
        content = Dataset()
        content.StackID = "1" if number >= 20 else "2"  # frames come last first
        group.FrameContentSequence = [content]
    save(made, tmp_path / "enhanced.dcm")

    first, second = (read_study(tmp_path / "enhanced.dcm", f"{_UID}#{number}").volume.hu for number in (1, 2))
    lower, upper = (first, second) if np.array_equal(first, scan.hu[:20]) else (second, first)
    assert np.array_equal(lower, scan.hu[:20])
    assert np.array_equal(upper, scan.hu[20:])
