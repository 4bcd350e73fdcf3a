"""Classifies studies vertebra by vertebra, with a network that knows a dark hole in a block."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.cli import Exit, main
from cspine.cli.doctor import check_package
from cspine.detection import Detector
from cspine.detection.classifiers import Classification
from cspine.detection.clock import Clock
from cspine.detection.vertebra_classifier import VertebraClassifier, cut_vertebrae, put_crops
from cspine.imaging import sample
from cspine.locating import Located, Vertebra
from cspine.modelpack import AppearanceLimits
from cspine.results import Box, LevelStatus, StudyStatus
from cspine.runtime import Engine, open_session
from cspine.volume import LabelMap, Volume
from tests.coded import shade_hu, study_of
from tests.coded_vertebrae import SPEC, hole_mm, holed_volume, vertebra_manifest, vertebra_network, write_vertebra_package
from tests.detection.test_detector import _STORED

BROKEN = Level.C4
INTACT = holed_volume()
CELL_MM = 12.0


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vertebra_network(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vertebra_package(tmp_path_factory.mktemp("packages") / "vertebrae", tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def detector(package: Path, coded_localiser: Path) -> Detector:
    return Detector(package, Engine(threads=1), localiser=coded_localiser)


def located(uncertain: Collection[Level] = (), missing: Collection[Level] = ()) -> Located:
    """Returns the blocks of a coded neck."""
    labels, vertebrae = np.zeros(INTACT.grid.shape, np.uint8), []
    for level in CERVICAL:
        own = shade_hu(level) == INTACT.hu
        if level in missing:
            continue
        labels[own] = level
        centre = INTACT.grid.world(np.argwhere(own)).mean(axis=0)
        box = Box((*(centre - 5).tolist(),), (*(centre + 5).tolist(),))
        status = LevelStatus.UNCERTAIN if level in uncertain else LevelStatus.ASSESSED
        vertebrae.append(Vertebra(level, status, 0.9, (*centre.tolist(),), box, (0, 0, 1)))
    return Located(tuple(vertebrae), LabelMap(labels, INTACT.grid), np.empty((0, 3)))


def classification(network: Path, volume: Volume, where: Located, passes: int = 2) -> Classification:
    return VertebraClassifier(vertebra_manifest(passes), open_session(network, Engine(threads=1)))(volume, where, Clock())


def test_each_level_has_its_score_and_the_study_its_own(network: Path) -> None:
    output = classification(network, holed_volume(BROKEN), located())

    assert output.scores.shape == (8,)
    assert output.tta_scores.shape == (2, 8)
    assert {level for level in CERVICAL if output.scores[level] > 0.5} == {BROKEN}
    assert output.scores[0] > 0.9
    assert classification(network, holed_volume(BROKEN), located(), passes=1).tta_scores.shape == (1, 8)


def test_the_second_view_is_mirrored_and_a_slice_nearer_the_head() -> None:
    cut = {passes: cut_vertebrae(holed_volume(BROKEN), located(), SPEC, passes) for passes in (1, 2)}
    only, first, second = (np.full(SPEC.shape, np.nan, np.float32) for _ in range(3))

    put_crops(cut[1], 0, SPEC, only)
    put_crops(cut[2], 0, SPEC, first)
    put_crops(cut[2], 1, SPEC, second)

    np.testing.assert_array_equal(first, only)
    np.testing.assert_array_equal(second[..., ::-1, 0], first[..., 1])
    assert not np.array_equal(second, first)


@pytest.mark.parametrize("stored", _STORED)
def test_it_points_at_the_hole_and_boxes_it_however_the_scan_is_stored(network: Path, stored: str) -> None:
    volume = holed_volume(BROKEN)

    output = classification(network, sample(volume, _STORED[stored](volume.grid)), located())

    spot, hole = output.spots[BROKEN - 1], hole_mm(volume, BROKEN)
    assert spot is not None
    assert spot.box_mm is not None
    off = np.abs(np.subtract(spot.point_mm, hole))
    assert np.all(off[:2] <= CELL_MM / 2 + 2)
    assert off[2] <= 3.5
    assert np.all(np.array(spot.box_mm.low_mm) < hole)
    assert np.all(np.array(spot.box_mm.high_mm) > hole)
    assert np.all(np.subtract(spot.box_mm.high_mm, spot.box_mm.low_mm) < (2 * CELL_MM + 1, 2 * CELL_MM + 1, 15))
    assert output.heat is not None
    hottest = output.heat.grid.world(np.argwhere(output.heat.values > 0.9 * output.heat.values.max())).mean(axis=0)
    assert np.all(np.abs(hottest - hole) <= (CELL_MM / 2 + 2, CELL_MM / 2 + 2, 5))


def test_levels_of_uncertain_names_and_such_as_are_not_there_are_not_assessed(network: Path) -> None:
    where = located(uncertain=[Level.C1, BROKEN], missing=[Level.C7])

    output = classification(network, holed_volume(BROKEN), where)
    crops = np.ones(SPEC.shape, np.float32)
    cut = cut_vertebrae(holed_volume(BROKEN), where, SPEC, 1)
    put_crops(cut, 0, SPEC, crops)

    assessed = set(CERVICAL) - {Level.C1, BROKEN, Level.C7}
    assert set(cut) == assessed
    assert {level for level in CERVICAL if crops[level - 1].any()} == assessed
    assert {level for level in CERVICAL if output.spots[level - 1] is not None} == assessed
    assert {level for level in CERVICAL if output.scores[level] > 0} == assessed
    assert output.scores[0] < 0.1


def test_the_heat_map_covers_every_vertebra_and_is_cold_where_nothing_is_broken(network: Path) -> None:
    heat = classification(network, holed_volume(BROKEN), located()).heat

    assert heat is not None
    np.testing.assert_allclose(heat.grid.spacing_mm, 2.0)
    assert np.all(heat.grid.contains(np.array([one.centre_mm for one in located().vertebrae])))
    away = np.abs(heat.grid.world(np.moveaxis(np.indices(heat.grid.shape), 0, -1))[..., 2] - hole_mm(INTACT, BROKEN)[2]) > 12
    assert heat.values[away].max() < 0.05
    assert 0 <= heat.values.min() <= heat.values.max() <= 1


@pytest.mark.parametrize("stored", _STORED)
def test_the_broken_level_is_found_however_the_scan_is_stored(detector: Detector, stored: str) -> None:
    upright = holed_volume(Level.C2, Level.C6)
    volume = sample(upright, _STORED[stored](upright.grid))

    prediction = detector.predict(study_of(volume))

    result = prediction.result
    assert result.status is StudyStatus.OK
    assert result.overall is not None
    assert result.overall.positive
    assert [finding.level for finding in result.levels if finding.assessment and finding.assessment.positive] == [
        Level.C2,
        Level.C6,
    ]
    assert all(finding.status is LevelStatus.ASSESSED for finding in result.levels)
    assert all(finding.assessment and finding.assessment.low is not None for finding in result.levels)
    assert result.timings_s.keys() == {"check", "locate", "crop", "classify", "calibrate"}
    for level in (Level.C2, Level.C6):
        finding, hole = result.levels[level - 1], hole_mm(upright, level)
        assert finding.key_slice is not None
        if stored == "as it is":
            assert abs(volume.grid.world((finding.key_slice.index, 0, 0))[2] - hole[2]) <= 5
        assert finding.box_mm is not None
        assert np.all(np.array(finding.box_mm.low_mm) < hole)
        assert np.all(np.array(finding.box_mm.high_mm) > hole)
    assert prediction.evidence.heat is not None


def test_an_intact_neck_is_negative_and_sure(detector: Detector) -> None:
    result = detector(study_of(INTACT))

    assert result.overall is not None
    assert not result.overall.positive
    assert result.overall.sure
    # The blocks are as small as a child's vertebrae.
    assert [reason.code for reason in result.reasons] == ["trained_on_phantoms", "size_unusual"]


def _noisy(volume: Volume) -> Volume:
    noise = np.random.default_rng(0).normal(0, 400, volume.hu.shape).astype(np.float32)
    return replace(volume, hu=volume.hu + noise)


def _with_metal(volume: Volume) -> Volume:
    hu = volume.hu.copy()
    z, y, x = (int(i) for i in np.round(volume.grid.index((10.0, -30.0, hole_mm(volume, Level.C4)[2]))))
    hu[z - 3 : z + 3, y - 4 : y + 4, x - 4 : x + 4] = 3000
    return replace(volume, hu=hu)


def test_a_scan_that_is_all_noise_is_not_assessed(network: Path) -> None:
    classifier = VertebraClassifier(
        vertebra_manifest(appearance=AppearanceLimits(most_noise_hu=100.0)), open_session(network, Engine(threads=1))
    )

    output = classifier(_noisy(INTACT), located(), Clock())

    (reason,) = output.refusals
    assert reason.code == "extreme_noise"
    assert reason.text.startswith("The noise may be 100 HU at most.")
    assert classifier(INTACT, located(), Clock()).refusals == ()
    assert not output.scores.any()
    assert output.spots == (None,) * 7


@pytest.mark.parametrize(
    ("change", "limits", "code", "text"),
    [
        (_with_metal, AppearanceLimits(), "metal", "There are "),
        (
            lambda volume: volume,
            AppearanceLimits(seen={"bone_hu": (0.0, 300.0), "soft_hu": (0.0, 100.0)}),
            "unlike_training",
            "HU of bone 898 (0 to 300 in training).",
        ),
    ],
)
def test_what_is_strange_about_a_scan_is_told(
    network: Path, change: Callable[[Volume], Volume], limits: AppearanceLimits, code: str, text: str
) -> None:
    classifier = VertebraClassifier(vertebra_manifest(appearance=limits), open_session(network, Engine(threads=1)))

    (reason,) = classifier(change(INTACT), located(), Clock()).reasons

    assert reason.code == code
    assert text in reason.text


def test_vertebrae_of_which_nothing_is_known_forbid_assessing(network: Path) -> None:
    output = classification(network, INTACT, located(uncertain=CERVICAL))

    assert [reason.code for reason in output.refusals] == ["nothing_to_see"]


def test_a_noisy_scan_is_rejected_with_its_reason(coded_localiser: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = vertebra_manifest(appearance=AppearanceLimits(most_noise_hu=-1.0))
    package = write_vertebra_package(tmp_path / "package", tmp_path, quiet)

    result = Detector(package, Engine(threads=1), localiser=coded_localiser)(study_of(INTACT))

    assert result.status is StudyStatus.REJECTED
    assert [reason.code for reason in result.reasons] == ["extreme_noise", "trained_on_phantoms"]
    assert all(finding.status is LevelStatus.UNCERTAIN for finding in result.levels)


def test_doctor_and_models_know_the_package(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked = check_package(str(package))

    assert checked.problem is None
    assert [(network.role, network.difference) for network in checked.networks] == [("vertebrae", 0.0)]
    assert main(["models", str(package)]) == Exit.DONE
    assert "kind       vertebrae" in capsys.readouterr().out


def test_the_crops_of_the_service_are_those_of_the_blocks() -> None:
    crops = np.empty(SPEC.shape, np.float32)
    cut = cut_vertebrae(INTACT, located(), SPEC, 1)
    put_crops(cut, 0, SPEC, crops)

    assert list(cut) == list(CERVICAL)
    for level in CERVICAL:
        crop = crops[level - 1]
        grid = cut[level].cells(SPEC)
        assert crop[2:4, 12:20, 12:20, 1].mean() == pytest.approx((shade_hu(level) + 200) / 2000, abs=0.01)
        assert crop[2:4, 14:18, 14:18, 3].min() > 0.95
        assert crop[:, 0, 0, 3].max() < 0.05
        np.testing.assert_allclose(grid.centre_mm, located().vertebrae[level - 1].centre_mm, atol=2.1)
