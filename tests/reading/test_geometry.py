"""Tilted, uneven, doubled and mixed stacks lie where they were scanned."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy.spatial.transform import Rotation

from cspine.errors import StudyError
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.reading import find_series, read_study
from cspine.study import Study
from tests.reading.scans import AXIAL, SAGITTAL, Scan, body, setting


def _codes(study: Study) -> list[str]:
    return [warning.code for warning in study.warnings]


def _tilted(degrees: float) -> tuple[float, ...]:
    angle = np.radians(degrees)
    return (1.0, 0.0, 0.0, 0.0, float(np.cos(angle)), float(np.sin(angle)))


def _ramp(positions: NDArray[np.float64], scan: Scan) -> NDArray[np.int16]:
    """Returns an image whose value is ten times the world z of its voxels, between air and bone, plus 10."""
    row, column = np.array(scan.directions[:3]), np.array(scan.directions[3:])
    rows, columns = np.mgrid[: scan.hu.shape[1], : scan.hu.shape[2]]
    z = positions[:, 2, None, None] + rows * column[2] * scan.spacing_mm[0] + columns * row[2] * scan.spacing_mm[1]
    hu = np.round(10 * z).astype(np.int16)
    hu[0, 0, 0], hu[0, 0, 1] = -1000, 2000
    return hu


@pytest.mark.parametrize("degrees", [18.5, -22.0])
def test_a_tilted_gantry_gives_a_sheared_grid_and_the_stored_voxels(tmp_path: Path, degrees: float) -> None:
    positions = np.array([-20.0, -30, 40]) + np.arange(6)[:, None] * [0, 0, 1.5]
    scan = Scan(directions=_tilted(degrees), positions=positions)

    study = read_study(scan.write(tmp_path))

    assert np.array_equal(study.volume.hu, scan.hu)
    assert study.volume.grid.agrees(scan.grid())
    assert _codes(study) == ["gantry_tilt"]
    assert f"{abs(degrees):.1f} degrees" in study.warnings[0].text


def test_a_tilt_that_only_the_positions_show_is_seen(tmp_path: Path) -> None:
    positions = np.array([-20.0, -30, 40]) + np.arange(6)[:, None] * [0, 0.5, 1.5]
    scan = Scan(positions=positions, change=setting(GantryDetectorTilt=0))

    study = read_study(scan.write(tmp_path))

    assert study.volume.grid.agrees(scan.grid())
    assert _codes(study) == ["gantry_tilt"]


def test_a_stated_tilt_that_the_positions_do_not_show_is_no_tilt(tmp_path: Path) -> None:
    assert _codes(read_study(Scan(change=setting(GantryDetectorTilt=20)).write(tmp_path))) == []


def test_a_sheared_stack_sampled_upright_shows_what_was_scanned(tmp_path: Path) -> None:
    positions = np.array([-20.0, -30, 0]) + np.arange(12)[:, None] * [0, 0, 1.0]
    scan = Scan(hu=body(12, 40, 10), directions=_tilted(20), positions=positions)
    scan.hu = _ramp(positions, scan)
    volume = read_study(scan.write(tmp_path)).volume

    inside = Grid.upright(volume.grid.centre_mm, (3, 3, 3), (1.0, 1.0, 1.0))

    wanted = 10 * inside.world(np.moveaxis(np.indices((3, 3, 3)), 0, -1))[..., 2]
    assert np.allclose(sample(volume, inside).hu, wanted, atol=1.0)


def test_missing_slices_are_interpolated_and_the_others_kept(tmp_path: Path) -> None:
    scan = Scan(hu=body(12))
    positions = scan.places
    scan.hu, scan.positions = np.delete(scan.hu, (5, 6), axis=0), np.delete(positions, (5, 6), axis=0)

    study = read_study(scan.write(tmp_path))

    there = [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]
    assert np.array_equal(study.volume.hu[there], scan.hu)
    assert np.allclose(study.volume.hu[5], scan.hu[4] + (scan.hu[5].astype(float) - scan.hu[4]) / 3, atol=1e-3)
    assert study.volume.grid.agrees(Scan(hu=body(12)).grid())
    assert _codes(study) == ["missing_slices"]
    assert "2 slices are missing, the widest gap is between z 45.0 and z 48.8 mm" in study.warnings[0].text
    assert len(study.sources) == 10


def test_uneven_slices_are_interpolated_at_their_true_places(tmp_path: Path) -> None:
    z = np.concatenate([np.arange(10) * 1.0, 9 + 0.3 + np.arange(10) * 2.3])
    positions = np.stack([np.full(20, -20.0), np.full(20, -30.0), z], axis=1)
    scan = Scan(hu=body(20), positions=positions)
    scan.hu = _ramp(positions, scan)

    study = read_study(scan.write(tmp_path))

    world = study.volume.grid.world(np.array([[k, 5, 5] for k in range(study.volume.grid.shape[0])]))[:, 2]
    assert np.allclose(study.volume.hu[:, 5, 5], 10 * world, atol=0.1)
    assert world[0] == pytest.approx(z[0])
    assert world[-1] == pytest.approx(z[-1])
    assert _codes(study) == ["uneven_spacing"]
    assert "from 0.30 to 2.30 mm" in study.warnings[0].text


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_even(tmp_path: Path) -> None:
    scan = Scan(hu=body(50), step_mm=0.625)
    scan.positions = np.round(scan.places, 1)

    study = read_study(scan.write(tmp_path))

    assert np.array_equal(study.volume.hu, scan.hu)
    assert study.warnings == ()


def test_one_slice_missing_among_rounded_positions_is_found(tmp_path: Path) -> None:
    scan = Scan(hu=body(50), step_mm=0.625)
    positions = np.round(scan.places, 1)
    scan.hu, scan.positions = np.delete(scan.hu, 20, axis=0), np.delete(positions, 20, axis=0)

    study = read_study(scan.write(tmp_path))

    assert study.volume.grid.shape[0] == 50
    assert _codes(study) == ["missing_slices"]
    assert np.array_equal(np.delete(study.volume.hu, 20, axis=0), scan.hu)


@pytest.mark.parametrize("step_mm", [1.25, 1.5, 0.625, 2.3, 0.8])
@pytest.mark.parametrize("directions", [AXIAL, SAGITTAL])
def test_positions_rounded_to_a_millimetre_are_even_and_that_is_said(
    tmp_path: Path, step_mm: float, directions: tuple[float, ...]
) -> None:
    scan = Scan(hu=body(40), step_mm=step_mm, directions=directions)
    scan.positions = np.round(scan.places)
    scan.change = lambda dataset, index: setattr(dataset, "InstanceNumber", 41 - index)

    study = read_study(scan.write(tmp_path))

    assert np.array_equal(study.volume.hu, scan.hu)
    assert study.volume.grid.spacing_mm[0] == pytest.approx(step_mm, abs=0.03)
    assert _codes(study) == ["rounded_positions"]


def test_slices_missing_from_whole_millimetres_are_missing(tmp_path: Path) -> None:
    scan = Scan(hu=body(40), step_mm=1.0)
    there = np.delete(np.arange(40), (8, 9, 21, 30))
    scan.hu, scan.positions = scan.hu[there], scan.places[there]

    study = read_study(scan.write(tmp_path))

    assert _codes(study) == ["missing_slices"]
    assert study.volume.grid.shape[0] == 40


def test_a_decimal_comma_is_a_point_and_what_is_no_number_is_named(tmp_path: Path) -> None:
    scan = Scan(change=setting(SliceThickness="1.25"))
    for path in scan.write(tmp_path).iterdir():
        data = path.read_bytes()
        for old in (b"0.5\\0.75", b"-20.000000", b"-30.000000"):
            assert old in data
            data = data.replace(old, old.replace(b".", b","))
        path.write_bytes(data)

    study = read_study(tmp_path)
    assert np.array_equal(study.volume.hu, scan.hu)
    assert study.volume.grid.agrees(scan.grid())
    assert _codes(study) == ["decimal_comma"]
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes().replace(b"0,5\\0,75", b"0,5\\,0,7"))
    with pytest.raises(
        StudyError, match=r"numbers where DICOM needs them .PixelSpacing is not a number.*Export it again"
    ) as raised:
        read_study(tmp_path)
    assert raised.value.code == "wrong_number"


def test_images_that_are_there_twice_are_used_once(tmp_path: Path) -> None:
    scan = Scan()
    scan.write(tmp_path / "a")
    scan.write(tmp_path / "b")

    study = read_study(tmp_path)

    assert np.array_equal(study.volume.hu, scan.hu)
    assert _codes(study) == ["duplicates"]
    assert len(study.sources) == 6


def test_different_images_at_one_position_are_refused(tmp_path: Path) -> None:
    Scan().write(tmp_path / "a")
    Scan(hu=body(seed=1)).write(tmp_path / "b")

    with pytest.raises(StudyError, match=r"different images at -20.0, -30.0, 4\d"):
        read_study(tmp_path)


def test_a_series_that_mixes_directions_is_split_and_the_axial_stack_is_used(tmp_path: Path) -> None:
    scan = Scan(hu=body(8))
    scan.write(tmp_path / "axial")
    Scan(hu=body(9), directions=SAGITTAL).write(tmp_path / "sagittal")

    study = read_study(tmp_path)

    assert np.array_equal(study.volume.hu, scan.hu)
    assert _codes(study) == ["stacks_left_out"]
    assert "9 images of the series" in study.warnings[0].text


def test_a_series_that_mixes_sizes_is_split_and_the_larger_stack_is_used(tmp_path: Path) -> None:
    scan = Scan(hu=body(8))
    scan.write(tmp_path / "a")
    Scan(hu=body(3, 12, 11)).write(tmp_path / "b")

    assert np.array_equal(read_study(tmp_path).volume.hu, scan.hu)


def test_a_localizer_within_a_series_is_left_out(tmp_path: Path) -> None:
    scan = Scan()
    scan.write(tmp_path / "a")
    Scan(hu=body(1, 12, 10), change=setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])).write(tmp_path / "b")

    study = read_study(tmp_path)

    assert np.array_equal(study.volume.hu, scan.hu)
    assert _codes(study) == ["stacks_left_out"]


@pytest.mark.parametrize("gap_mm", [9.9, 10.1])
def test_a_gap_is_bridged_up_to_ten_millimetres(tmp_path: Path, gap_mm: float) -> None:
    z = np.array([0, 1, 2, 3, 3 + gap_mm, 4 + gap_mm])
    Scan(positions=np.stack([0 * z, 0 * z, z], axis=1)).write(tmp_path)

    if gap_mm < 10:
        assert _codes(read_study(tmp_path)) in (["uneven_spacing"], ["missing_slices"])
    else:
        with pytest.raises(StudyError, match=r"has none between z 3.0 and z 13.1 mm"):
            read_study(tmp_path)


def test_find_series_says_the_same_geometry_as_reading(tmp_path: Path) -> None:
    Scan(directions=_tilted(15)).write(tmp_path)

    (summary,) = find_series(tmp_path)

    grid = read_study(tmp_path).volume.grid
    assert (summary.shape, summary.spacing_mm, summary.extent_mm) == (grid.shape, grid.spacing_mm, grid.extent_mm)


@settings(derandomize=True, max_examples=25, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    step=st.floats(0.3, 5),
    spacing=st.tuples(st.floats(0.2, 1.5), st.floats(0.2, 1.5)),
    tilt=st.floats(-0.5, 0.5),
)
def test_any_orientation_spacing_and_tilt_comes_back(
    tmp_path_factory: pytest.TempPathFactory, angles: tuple[float, ...], step: float, spacing: tuple[float, float], tilt: float
) -> None:
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    directions = [float(v) for v in (*turn[:, 0], *turn[:, 1])]
    along = np.cross(turn[:, 0], turn[:, 1]) + tilt * turn[:, 1]
    positions = np.array([3.0, -5, 7]) + np.arange(4)[:, None] * along * step
    scan = Scan(hu=body(4), directions=directions, spacing_mm=spacing, positions=positions)

    def exact(dataset: Dataset, _index: int) -> None:
        dataset.PixelSpacing = [f"{value:.9f}" for value in spacing]

    scan.change = exact
    volume = read_study(scan.write(tmp_path_factory.mktemp("scan"))).volume

    assert np.array_equal(volume.hu, scan.hu)
    assert volume.grid.agrees(scan.grid())


def test_axial_slices_rising_and_falling_show_the_same_world(tmp_path: Path) -> None:
    falling = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    scan = Scan(directions=AXIAL)
    mirrored = Scan(hu=scan.hu[::-1, :, ::-1].copy(), directions=falling)
    mirrored.positions = scan.places[::-1] + np.array([(scan.hu.shape[2] - 1) * scan.spacing_mm[1], 0, 0])

    one, other = read_study(scan.write(tmp_path / "a")), read_study(mirrored.write(tmp_path / "b"))

    assert np.allclose(sample(other.volume, one.volume.grid).hu, one.volume.hu, atol=1e-3)
