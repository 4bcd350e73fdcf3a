from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

import cspine
from cspine.anatomy import CERVICAL, Level
from cspine.detection import Detector
from cspine.errors import PackageError, StudyError
from cspine.geometry import Grid, Vector
from cspine.imaging import sample
from cspine.results import LevelFinding, LevelStatus, StudyResult, StudyStatus
from cspine.runtime import Device, Engine
from cspine.study import ReadingWarning, SourceSlice
from cspine.volume import Volume
from tests.coded import HEIGHT_MM, coded_volume, study_of, write_coded_package, write_dicom, write_nifti

_STORED: dict[str, Callable[[Grid], Grid]] = {
    "as it is": lambda grid: grid,
    "feet to head": lambda grid: _permuted(grid, (0, 1, 2), (-1, 1, 1)),
    "mirrored": lambda grid: _permuted(grid, (0, 1, 2), (1, 1, -1)),
    "sagittal": lambda grid: _permuted(grid, (2, 0, 1), (1, -1, 1)),
    "coronal": lambda grid: _permuted(grid, (1, 0, 2), (1, -1, 1)),
}


def _permuted(grid: Grid, order: tuple[int, int, int], signs: tuple[int, int, int]) -> Grid:
    """Returns the same voxels stored in another order."""
    affine, shape = np.eye(4), tuple(grid.shape[axis] for axis in order)
    matrix = grid.affine[:3, :3][:, order]
    first = grid.affine[:3, 3] + sum(matrix[:, a] * (shape[a] - 1) for a in range(3) if signs[a] < 0)
    affine[:3, :3], affine[:3, 3] = matrix * signs, first
    return Grid((shape[0], shape[1], shape[2]), affine)


@pytest.fixture(scope="module")
def detector(coded_package: Path, coded_localiser: Path) -> Detector:
    return Detector(coded_package, Engine(Device.CPU, threads=1), localiser=coded_localiser)


def _level(result: StudyResult, level: Level) -> LevelFinding:
    return result.levels[level - 1]


def _positive(result: StudyResult) -> set[Level]:
    return {finding.level for finding in result.levels if finding.assessment is not None and finding.assessment.positive}


def _depth_mm(volume: Volume, level: Level) -> float:
    """Returns world z of the middle of a level of an uncut coded neck."""
    return float(volume.grid.corners_mm()[:, 2].max()) - 12.0 - (level - 0.5) * HEIGHT_MM


@pytest.mark.parametrize("stored", _STORED)
def test_the_broken_level_is_found_however_the_scan_is_stored(stored: str, detector: Detector) -> None:
    upright = coded_volume(fractured=[Level.C2, Level.C6])
    volume = sample(upright, _STORED[stored](upright.grid))

    result = detector(study_of(volume))

    assert result.status is StudyStatus.OK
    assert result.overall is not None
    assert result.overall.positive
    assert _positive(result) == {Level.C2, Level.C6}
    for finding in result.levels:
        assert finding.status is LevelStatus.ASSESSED
        assert finding.centre_mm == pytest.approx((10, -6, _depth_mm(upright, finding.level)), abs=3)


def _without_times(result: StudyResult) -> dict[str, object]:
    return result.to_dict() | {"timings_s": {}, "created": "", "study": {}}


def test_a_scan_that_a_program_holds_has_the_result_of_its_study(detector: Detector, tmp_path: Path) -> None:
    volume = coded_volume(fractured=[Level.C5])
    wanted = _without_times(detector(study_of(volume)))
    image = nibabel.load(write_nifti(volume, tmp_path / "scan.nii"))
    datasets = [pydicom.dcmread(path) for path in write_dicom(volume, tmp_path / "scan").iterdir()]

    assert _without_times(detector(volume.hu, volume.grid)) == wanted
    assert _without_times(detector(volume)) == wanted
    assert _positive(detector(image)) == {Level.C5}
    assert _without_times(detector(datasets)) == _without_times(detector(cspine.read_study(tmp_path / "scan")))
    assert detector.predict(volume.hu, volume.grid).evidence is not None


def test_vertebrae_are_found_in_a_scan_that_a_program_holds(detector: Detector, tmp_path: Path) -> None:
    volume = coded_volume()
    wanted = detector.localiser(volume)

    for found in (
        detector.localiser(volume.hu, volume.grid),
        detector.localiser(nibabel.load(write_nifti(volume, tmp_path / "scan.nii"))),
        detector.localiser.outline(study_of(volume)).located,
    ):
        assert [one.level for one in found.vertebrae] == [one.level for one in wanted.vertebrae] == list(CERVICAL)
        assert np.allclose([v.centre_mm for v in found.vertebrae], [v.centre_mm for v in wanted.vertebrae], atol=0.5)


def test_what_is_no_scan_is_refused_before_any_network_runs(detector: Detector) -> None:
    with pytest.raises(StudyError, match=r"^A scan is .* Received: an array without a grid\.$"):
        detector(coded_volume().hu)
    with pytest.raises(StudyError, match=r"Received: builtins\.int\.$"):
        detector.localiser(3)


def test_an_intact_neck_is_negative(detector: Detector) -> None:
    result = detector(study_of(coded_volume()))

    assert result.overall is not None
    assert not result.overall.positive
    assert _positive(result) == set()
    assert [reason.code for reason in result.reasons] == ["trained_on_phantoms"]


def test_a_level_that_is_not_in_the_picture_has_no_probability(detector: Detector) -> None:
    result = detector(study_of(coded_volume([Level.C2, Level.C3, Level.C4], fractured=[Level.C4])))

    assert [finding.level for finding in result.levels if finding.status is LevelStatus.ASSESSED] == [Level.C2, Level.C3, Level.C4]
    assert all(_level(result, level).assessment is None for level in (Level.C1, Level.C5, Level.C6, Level.C7))
    assert all(_level(result, level).status is LevelStatus.NOT_IN_VIEW for level in (Level.C1, Level.C5, Level.C6, Level.C7))
    assert "levels_incomplete: C1, C5, C6, C7" in {f"{r.code}:{r.text.split(':')[-1].rstrip('.')}" for r in result.reasons}


def test_levels_that_nothing_anchors_are_not_assessed(detector: Detector) -> None:
    result = detector(study_of(coded_volume([Level.C3, Level.C4, Level.C5], fractured=[Level.C4])))

    assert result.status is StudyStatus.REJECTED
    assert result.reasons[0].code == "levels_uncertain"
    assert all(finding.assessment is None for finding in result.levels)


def test_a_level_that_the_scan_cuts_is_partly_in_view(detector: Detector) -> None:
    uncut = coded_volume(fractured=[Level.C1])
    top = round((12 + HEIGHT_MM / 5) / 3)
    cut = Volume(uncut.hu[:-top], uncut.grid.part((0, 0, 0), (uncut.grid.shape[0] - top, *uncut.grid.shape[1:])))

    result = detector(study_of(cut))

    assert _level(result, Level.C1).status is LevelStatus.PARTLY_IN_VIEW
    assert _positive(result) == {Level.C1}


def test_the_key_slice_and_the_box_show_the_fracture(detector: Detector) -> None:
    volume = coded_volume(fractured=[Level.C5])
    uids = [f"1.2.3.{i}" for i in range(volume.grid.shape[0])]
    places = [volume.grid.world((i, 0, 0)) for i in range(volume.grid.shape[0])]
    sources = tuple(SourceSlice("1.2.840.10008.5.1.4.1.1.2", uid, (*p.tolist(),)) for uid, p in zip(uids, places, strict=True))

    finding = _level(detector(study_of(volume, sources=sources)), Level.C5)

    middle = _depth_mm(volume, Level.C5)
    assert finding.key_slice is not None
    assert finding.key_slice.sop_uid == uids[finding.key_slice.index]
    assert abs(places[finding.key_slice.index][2] - middle) < HEIGHT_MM / 2
    assert finding.box_mm is not None
    np.testing.assert_allclose(finding.box_mm.low_mm, (10 - 22, -6 - 16, middle - HEIGHT_MM / 2), atol=4)
    np.testing.assert_allclose(finding.box_mm.high_mm, (10 + 22, -6 + 16, middle + HEIGHT_MM / 2), atol=4)


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (lambda v: Volume(v.hu + 1024, v.grid), "not_hounsfield", "Values from 24 to 2374 are something else"),
        (lambda v: Volume(np.abs(v.hu) / 100, v.grid), "not_hounsfield", "holds air, soft tissue and bone"),
        (lambda v: Volume(v.hu[:8], v.grid.part((0, 0, 0), (8, *v.grid.shape[1:]))), "too_few_slices", "There are 8"),
        (lambda v: Volume(v.hu[:8], v.grid.part((0, 0, 0), (8, *v.grid.shape[1:]))), "too_short", "It covers 24.0 mm"),
        (lambda v: sample(v, v.grid.with_spacing((7, 1, 1))), "too_thick", "These are 7.00 mm apart"),
        (lambda v: sample(v, v.grid.with_spacing((2, 2, 6))), "too_thick", "These are 6.00 mm apart"),
        (
            lambda v: sample(v, v.grid.with_spacing((1, 2.6, 2.7))),
            "too_coarse",
            "may be 2.5 mm at most for fractures to be found. These are 2.60 mm.",
        ),
        (lambda v: Volume(np.where((v.hu > 100) & (v.hu < 2000), 350, v.hu), v.grid), "no_cervical_spine", "No cervical vertebra"),
    ],
)
def test_a_scan_that_cannot_be_assessed_is_rejected_with_its_reason(
    change: Callable[[Volume], Volume], code: str, text: str, detector: Detector
) -> None:
    result = detector(study_of(change(coded_volume())))

    assert result.status is StudyStatus.REJECTED
    assert result.overall is None
    assert all(finding.assessment is None for finding in result.levels)
    assert any(reason.code == code and text in reason.text for reason in result.reasons), result.reasons
    assert result.reasons[-1].code == "trained_on_phantoms"


def test_large_pixels_are_no_reason_where_there_is_no_neck(detector: Detector) -> None:
    coarse = sample(coded_volume(), coded_volume().grid.with_spacing((1, 2.6, 2.7)))
    other = Volume(np.where((coarse.hu > 100) & (coarse.hu < 2000), np.float32(350), coarse.hu), coarse.grid)

    assert [reason.code for reason in detector(study_of(other)).reasons] == ["no_cervical_spine", "trained_on_phantoms"]


def test_thresholds_come_from_the_operating_point(coded_package: Path, coded_localiser: Path) -> None:
    study = study_of(coded_volume())

    result = Detector(coded_package, operating_point="rule_out", localiser=coded_localiser)(study)

    assert result.operating_point == "rule_out"
    assert {finding.assessment.threshold for finding in result.levels if finding.assessment} == {0.001}


def test_an_unknown_operating_point_is_refused(coded_package: Path) -> None:
    with pytest.raises(PackageError, match="has the operating points balanced, rule_out"):
        Detector(coded_package, operating_point="bold")


def test_a_model_that_has_seen_patients_carries_no_phantom_warning(tmp_path: Path, coded_localiser: Path) -> None:
    from cspine.modelpack import TrainingData

    package = write_coded_package(tmp_path / "p", tmp_path, TrainingData.PATIENTS)

    assert Detector(package, localiser=coded_localiser)(study_of(coded_volume())).reasons == ()


def test_the_same_study_gives_the_same_result(detector: Detector) -> None:
    study = study_of(coded_volume(CERVICAL, [Level.C7]))

    first, second = detector(study), detector(study)

    assert (first.levels, first.overall) == (second.levels, second.overall)


def test_the_result_cites_the_scan_and_the_package(detector: Detector) -> None:
    study = study_of(coded_volume(), "neck-7", warnings=(ReadingWarning("uneven_spacing", "Slices lie unevenly."),))

    result = detector(study)

    assert (result.study.name, result.study.slices, result.study.orientation) == ("neck-7", 43, "axial")
    assert [warning.code for warning in result.study.warnings] == ["uneven_spacing"]
    assert (result.model.name, result.model.version, len(result.model.sha256)) == ("coded", "3", 64)
    assert (result.localiser.name, len(result.localiser.sha256)) == ("coded_localiser", 64)
    assert result.timings_s.keys() == {"check", "locate", "crop", "classify", "calibrate"}
    assert result.created.endswith("+00:00")


@pytest.mark.parametrize(("given", "created"), [("86400", "1970-01-02T00:00:00+00:00"), ("", None)])
def test_who_wants_the_same_bytes_again_says_when_it_is(
    detector: Detector, monkeypatch: pytest.MonkeyPatch, given: str, created: str | None
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)

    found = detector(study_of(coded_volume(), "neck")).created

    assert found == created if created else found > "2026"


def test_one_call_reads_and_predicts(coded_package: Path, coded_localiser: Path, tmp_path: Path) -> None:
    path = write_nifti(coded_volume(fractured=[Level.C3]), tmp_path / "neck.nii.gz")

    result = cspine.detect(path, coded_package, localiser=coded_localiser)

    assert _positive(result) == {Level.C3}
    assert "read" in result.timings_s


def test_one_call_on_nothing_says_so(coded_package: Path, coded_localiser: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError):
        cspine.detect(tmp_path, coded_package, localiser=coded_localiser)


@pytest.mark.parametrize(
    ("package", "spacing_mm"), [("vertebra_mil_phantoms", (2.0, 2.0, 2.0)), ("custom_cnn_phantoms", (1.2, 4.0, 4.0))]
)
def test_a_prediction_shows_where_the_network_sees_a_fracture(
    package: str, spacing_mm: Vector, coded_package: Path, coded_localiser: Path
) -> None:
    study = study_of(coded_volume(fractured=[Level.C5]))
    shipped = Detector(package, engine=Engine(Device.CPU, threads=1), localiser=coded_localiser)

    prediction = shipped.predict(study)

    heat = prediction.evidence.heat
    assert heat is not None
    assert heat.values.shape == heat.grid.shape
    np.testing.assert_allclose(heat.grid.spacing_mm, spacing_mm, rtol=1e-6)
    assert 0 <= heat.values.min() <= heat.values.max() <= 1
    assert prediction.evidence.labels is not None
    assert set(np.unique(prediction.evidence.labels.labels)) >= set(CERVICAL)
    assert Detector(coded_package, localiser=coded_localiser).predict(study).evidence.heat is None


@pytest.mark.parametrize(
    ("spacing_mm", "told"), [((3.9, 1.9, 1.9), False), ((4.1, 1, 1), True), ((1, 1, 4.1), True), ((1, 2.1, 2.2), True)]
)
def test_slices_and_pixels_in_which_intact_vertebrae_look_broken_are_told(
    spacing_mm: Vector, told: bool, detector: Detector
) -> None:
    volume = coded_volume()

    result = detector(study_of(sample(volume, volume.grid.with_spacing(spacing_mm))))

    assert result.status is StudyStatus.OK
    texts = [reason.text for reason in result.reasons if reason.code == "coarse"]
    assert len(texts) == told
    z, y, x = spacing_mm
    assert all(text.startswith(f"Voxels are {z:.2f} x {y:.2f} x {x:.2f} mm. ") for text in texts)
