"""From a scan to its vertebrae, with one network: a look at all of it, then one or two at where the neck is."""

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.geometry import Grid
from cspine.locating.levels import Located, locate_levels
from cspine.locating.looking import look, look_again, look_at, neck_shape, with_atlas_of
from cspine.results import LevelStatus
from cspine.runtime import Session
from cspine.specs import VolumeSpec
from cspine.volume import Volume

_UPRIGHT, _LEAST_UPRIGHT = np.cos(np.deg2rad([20.0, 60.0]))
"""Of the angle to the length of the scan. A neck that leans less is not turned: one that leans by 14 degrees is outlined less
well so, one by 25 better. Nor is what seems to lie across the scan, as no neck does."""


def locate(volume: Volume, spec: VolumeSpec, session: Session, brightest: float) -> Located:
    """Finds C1..C7 in a scan.

    A neck of which the first look is sure is looked at again, in one window, which no other contradicts, and which would make
    a neck of a loin. It stands as the neck does: one that leans is named less well. The last look is mirrored too; one before it
    puts the window there more exactly, unless the first was as close already.
    In a neck whose dens and arches are far denser than its bodies, a network sees nothing of the discs; so bone is no denser than a
    limit in these looks. What parts C1 from dens and skull are gaps between dense bones, though, and are seen without it.

    Args:
        volume: The scan, however it is oriented.
        spec: What the network is fed.
        session: The network.
        brightest: The limit, of the median density of the neck's vertebrae.

    Raises:
        PackageError: The network does not do what it should.
    """
    first = look(volume, spec, session)
    located = locate_levels(first.probabilities, first.grid, first.seen)
    if not is_sure(located):
        return located
    limit_hu = brightest * np.median(first.hu[np.isin(located.labels.labels, CERVICAL)])
    if not first.close:
        window = neck_window(located, first.grid, spec)
        second = look_again(first, window, look_at(np.minimum(first.hu_in(window), limit_hu), spec, session))
        located = locate_levels(second.probabilities, second.grid, second.seen)
        if not is_sure(located):
            return located
    window = neck_window(located, first.grid, spec)
    hu = first.hu_in(window)
    said = with_atlas_of(look_at(hu, spec, session), look_at(np.minimum(hu, limit_hu), spec, session, mirrored=True))
    third = look_again(first, window, said)
    return locate_levels(third.probabilities, third.grid, third.seen)


def is_sure(located: Located) -> bool:
    """Whether any name is."""
    return any(one.status is not LevelStatus.UNCERTAIN for one in located.vertebrae)


def neck_window(located: Located, grid: Grid, spec: VolumeSpec) -> Grid:
    """A window around all vertebrae that were found, turned so that a neck that leans stands upright in it.

    Args:
        located: The vertebrae, one at least.
        grid: Upright; an upright window has its voxels.
        spec: What the network is fed.
    """
    centres = np.array([one.centre_mm for one in located.vertebrae])
    shape = neck_shape(spec)
    middle = grid.index((centres.min(axis=0) + centres.max(axis=0)) / 2)
    upright = grid.part(np.rint(middle - (np.array(shape) - 1) / 2), shape)
    turn = _turn_up(centres[0] - centres[-1])
    affine = upright.affine.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = upright.centre_mm - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def _turn_up(towards: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shortest turn that brings what points up into a direction, ``(3, 3)``; none where it is nearly there, or far off."""
    up, length = np.array([0.0, 0.0, 1.0]), float(np.linalg.norm(towards))
    if not length:
        return np.eye(3)
    about, cosine = np.cross(up, towards / length), float(towards @ up) / length
    if not _LEAST_UPRIGHT <= cosine <= _UPRIGHT:
        return np.eye(3)
    x, y, z = about
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))  # Rodrigues
