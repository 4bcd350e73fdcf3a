"""The stored image that is opened first shows the vertebra, wherever the network points."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.detection.key_slices import key_slice
from cspine.geometry import Grid, Vector
from cspine.study import SourceSlice, Study
from cspine.volume import LabelMap, Volume
from tests.coded import coded_volume, shade_hu, study_of

_STORED = {
    "feet first": (0, 1, 2),
    "head first": (0, 1, 2),
    "sagittal": (2, 0, 1),
    "coronal": (1, 0, 2),
}


def _stored(volume: Volume, how: str) -> Volume:
    """Returns the same voxels in another order of axes, from the other end where the head comes first."""
    order = _STORED[how]
    affine = volume.grid.affine[:, [*order, 3]]
    hu = volume.hu.transpose(order)
    if how == "head first":
        affine = affine @ np.diag([-1.0, 1, 1, 1])
        affine[:3, 3] = volume.grid.world((volume.grid.shape[0] - 1, 0, 0))
        hu = hu[::-1]
    return Volume(np.ascontiguousarray(hu), Grid(hu.shape, affine))


def _labels(volume: Volume) -> LabelMap:
    labels = np.zeros(volume.hu.shape, np.uint8)
    for level in CERVICAL:
        labels[volume.hu == np.float32(shade_hu(level))] = level
    return LabelMap(labels, volume.grid)


def _shows(volume: Volume, level: Level) -> NDArray[np.intp]:
    return np.flatnonzero((volume.hu == np.float32(shade_hu(level))).any(axis=(1, 2)))


def _middle(volume: Volume, level: Level) -> Vector:
    x, y, z = volume.grid.world(np.argwhere(volume.hu == np.float32(shade_hu(level)))).mean(axis=0)
    return float(x), float(y), float(z)


@pytest.mark.parametrize("how", _STORED)
@pytest.mark.parametrize("level", [Level.C1, Level.C4, Level.C7])
@pytest.mark.parametrize("away_mm", [(0, 0, 400), (0, 0, -400), (300, 0, 0), (-300, 0, 0), (0, 300, 0), (0, -300, 0)])
def test_a_point_beyond_the_scan_leads_to_an_image_that_shows_the_vertebra(how: str, level: Level, away_mm: Vector) -> None:
    volume = _stored(coded_volume(), how)
    x, y, z = np.add(_middle(volume, level), away_mm)

    found = key_slice(study_of(volume), _labels(volume), level, (x, y, z))

    assert found.index in _shows(volume, level)


@pytest.mark.parametrize("fill_hu", [-1000.0, -1024.0, 0.0, 40.0])
@pytest.mark.parametrize("how", ["feet first", "head first"])
def test_an_image_without_content_is_never_the_key_image(how: str, fill_hu: float) -> None:
    """The mask goes on where the scanner filled the last images up."""
    whole = _stored(coded_volume(), how)
    hu, shown = whole.hu.copy(), _shows(whole, Level.C7)
    feet = how == "feet first"
    end, cut = (0, slice(None, shown[0] + 3)) if feet else (len(hu) - 1, slice(shown[-1] - 2, None))
    hu[cut] = fill_hu
    filled = Volume(hu, whole.grid)
    _, _, z = whole.grid.world((end, 0, 0))

    found = key_slice(study_of(filled), _labels(whole), Level.C7, (10.0, -6.0, float(z)))

    assert found.index == (shown[3] if feet else shown[-4])


def test_a_point_in_the_vertebra_leads_to_the_image_through_it() -> None:
    volume = coded_volume()
    labels = _labels(volume)
    for index in _shows(volume, Level.C4):
        _, _, z = volume.grid.world((index, 0, 0))

        assert key_slice(study_of(volume), labels, Level.C4, (0.0, 0.0, float(z) + 0.4)).index == index


def test_a_level_without_bone_has_the_image_nearest_to_the_point_in_the_scan() -> None:
    volume = coded_volume()
    air = Volume(np.full(volume.hu.shape, -1000, np.float32), volume.grid)

    assert key_slice(study_of(air), _labels(volume), Level.C4, (0.0, 0.0, 1e4)).index == volume.grid.shape[0] - 1


@pytest.mark.parametrize(("uids", "told"), [("1.2.{}", True), ("1.2", False), ("", False)])
def test_a_uid_is_told_where_it_names_one_image_only(uids: str, told: bool) -> None:
    volume = coded_volume()
    places = [volume.grid.world((index, 0, 0)) for index in range(volume.grid.shape[0])]
    sources = tuple(SourceSlice("1.2", uids.format(n), (float(x), float(y), float(z))) for n, (x, y, z) in enumerate(places))
    study: Study = study_of(volume, sources=sources)

    found = key_slice(study, _labels(volume), Level.C4, _middle(volume, Level.C4))

    assert found.sop_uid == (f"1.2.{found.index}" if told else None)
