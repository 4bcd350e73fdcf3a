from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.detection import Detector
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.reporting.views import SliceView, axial_view, key_height_mm, sagittal_view
from cspine.results import StudyResult
from cspine.study import SourceSlice, Study
from cspine.volume import Volume
from tests.coded import coded_volume, shade_hu, study_of


def _with_mark(volume: Volume, at_mm: tuple[float, float, float]) -> Volume:
    """Returns the same scan with a bright ball of 5 mm."""
    places = volume.grid.world(np.moveaxis(np.indices(volume.grid.shape), 0, -1))
    hu = np.where(np.linalg.norm(places - np.asarray(at_mm), axis=-1) < 5, 9000, volume.hu)
    return Volume(hu.astype(np.float32), volume.grid)


def _where(view: SliceView) -> tuple[float, float]:
    """Returns the share of the way from the left and from the top to the brightest spot."""
    row, column = np.argwhere(view.hu > 5000).mean(axis=0)
    return float((column + 0.5) / view.hu.shape[1]), float((row + 0.5) / view.hu.shape[0])


def _sagittal_storage(grid: Grid) -> Grid:
    matrix = grid.affine[:3, [2, 0, 1]] * (1, -1, 1)
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = grid.affine[:3, 3] + grid.affine[:3, 0] * (grid.shape[0] - 1)
    return Grid((grid.shape[2], grid.shape[0], grid.shape[1]), affine)


def _oblique(grid: Grid) -> Grid:
    angle = np.deg2rad(15)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ grid.affine[:3, :3]
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.asarray(grid.shape) - 1) / 2)
    return Grid(grid.shape, affine)


_STORED: dict[str, Callable[[Grid], Grid]] = {"axial": lambda grid: grid, "sagittal": _sagittal_storage, "oblique": _oblique}


@pytest.mark.parametrize("stored", _STORED)
def test_the_head_is_up_the_face_is_left_and_the_patients_right_is_left(stored: str, detector: Detector) -> None:
    upright = coded_volume()
    volume = sample(upright, _STORED[stored](upright.grid))
    result = detector(study_of(volume))
    x, y, z = result.levels[Level.C4 - 1].centre_mm or (0, 0, 0)

    marked = study_of(_with_mark(volume, (x, y - 25, z + 20)))
    right, top = _where(sagittal_view(marked, result))

    assert right < 0.45
    assert top < 0.45

    marked = study_of(_with_mark(volume, (x - 20, y - 25, z)))
    right, top = _where(axial_view(marked, replace(result.levels[Level.C4 - 1], key_slice=None)))

    assert right < 0.45
    assert top < 0.4


def test_pixels_are_square_millimetres_in_an_anisotropic_scan(detector: Detector) -> None:
    volume = coded_volume(spacing_mm=(4.0, 0.8, 2.4))
    study = study_of(volume)
    result = detector(study)

    for view in (sagittal_view(study, result), axial_view(study, result.levels[3])):
        left, right, bottom, top = view.extent_mm
        height, width = view.hu.shape

        assert abs(right - left) / width == pytest.approx(abs(top - bottom) / height, rel=0.02)


def test_a_long_scan_is_shown_around_the_levels_in_view(detector: Detector) -> None:
    study = study_of(coded_volume(margin_mm=150.0))
    result = detector(study)

    view = sagittal_view(study, result)

    centres = [finding.centre_mm[2] for finding in result.levels if finding.centre_mm is not None]
    assert view.extent_mm[2] > min(centres) - 45
    assert view.extent_mm[3] < max(centres) + 45
    assert len(centres) == 7


def test_a_scan_without_known_levels_is_shown_whole(broken_neck: Study, rejected_result: StudyResult) -> None:
    box = broken_neck.volume.grid.corners_mm()

    sagittal, axial = sagittal_view(broken_neck, rejected_result), axial_view(broken_neck)

    np.testing.assert_allclose(sagittal.extent_mm, (box[:, 1].min(), box[:, 1].max(), box[:, 2].min(), box[:, 2].max()))
    np.testing.assert_allclose(axial.extent_mm, (box[:, 0].min(), box[:, 0].max(), box[:, 1].max(), box[:, 1].min()))


def test_the_axial_view_shows_the_level_that_it_names(broken_neck: Study, broken_result: StudyResult) -> None:
    for level in CERVICAL[1:]:
        view = axial_view(broken_neck, broken_result.levels[level - 1])

        rows, columns = view.hu.shape
        lower_half = view.hu[rows // 2 :, columns // 4 : 3 * columns // 4]
        assert np.median(lower_half[lower_half > 200]) == pytest.approx(shade_hu(level), abs=20)


def test_the_key_slice_is_drawn_where_its_plane_passes(broken_neck: Study, broken_result: StudyResult) -> None:
    finding = broken_result.levels[Level.C4 - 1]
    grid = broken_neck.volume.grid
    assert finding.key_slice is not None
    plane = grid.world((finding.key_slice.index, 0, 0))[2]
    first = [grid.world((i, 0, 0)) for i in range(grid.shape[0])]
    sources = tuple(SourceSlice("1.2", f"1.2.{i}", (float(p[0]), float(p[1]), float(p[2]))) for i, p in enumerate(first))

    assert key_height_mm(broken_neck, finding) == pytest.approx(plane)
    assert key_height_mm(replace(broken_neck, sources=sources), finding) == pytest.approx(plane)


def test_a_height_needs_a_centre(broken_neck: Study, rejected_result: StudyResult) -> None:
    with pytest.raises(ValueError, match="needs a level with a centre"):
        key_height_mm(broken_neck, rejected_result.levels[0])
