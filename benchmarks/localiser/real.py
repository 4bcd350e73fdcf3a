"""A localiser on real scans, each stored in eight ways: which levels it finds, and how far their centres move.

    python -m benchmarks.localiser.real SCAN... -o FOLDER [--localiser PACKAGE]

Prints a table in Markdown; writes a picture of each scan, as it is stored, into FOLDER.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cspine.detection import check_located
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.locating import Localiser, Located
from cspine.reading import read_study
from cspine.reporting import vertebrae_picture
from cspine.results import LevelStatus
from cspine.volume import Volume

_TURN_DEG = 20.0
_THINNED = 3
_MARKS = {LevelStatus.ASSESSED: "", LevelStatus.PARTLY_IN_VIEW: "~", LevelStatus.UNCERTAIN: "?"}


def axial(volume: Volume) -> Volume:
    """Returns upright slices from feet to head, as wide as the voxels are."""
    grid = volume.grid.canonical()
    corners = grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    step = [max(spacing, 0.8) for spacing in grid.spacing_mm]
    z, y, x = (max(round(float(side / s)), 1) for side, s in zip((high - low)[::-1], step, strict=True))
    return sample(volume, Grid.upright((low + high) / 2, (z, y, x), (step[0], step[1], step[2])))


def sagittal(volume: Volume) -> Volume:
    """Returns the same voxels, stored slice by slice from right to left."""
    upright = axial(volume)
    affine = upright.grid.affine[:, [2, 0, 1, 3]]
    z, y, x = upright.grid.shape
    return Volume(np.ascontiguousarray(upright.hu.transpose(2, 0, 1)), Grid((x, z, y), affine))


def oblique(volume: Volume) -> Volume:
    """Returns slices that are turned by 20 degrees about the axis from ear to ear, as by a tilted head holder."""
    upright = axial(volume)
    grid, affine = upright.grid, upright.grid.affine.copy()
    affine[:3, :3] = Rotation.from_euler("x", _TURN_DEG, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
    return sample(volume, Grid(grid.shape, affine))


def flipped(axis: int) -> Callable[[Volume], Volume]:
    """Returns the same voxels, stored from the other end of an axis."""

    def change(volume: Volume) -> Volume:
        affine = volume.grid.affine.copy()
        affine[:3, 3] += affine[:3, axis] * (volume.grid.shape[axis] - 1)
        affine[:3, axis] *= -1
        return Volume(np.ascontiguousarray(np.flip(volume.hu, axis)), Grid(volume.grid.shape, affine))

    return change


def thinned(volume: Volume) -> Volume:
    """Returns every third slice from head to feet."""
    upright = axial(volume)
    affine, shape = upright.grid.affine.copy(), upright.grid.shape
    affine[:3, 0] *= _THINNED
    hu = np.ascontiguousarray(upright.hu[::_THINNED])
    return Volume(hu, Grid((len(hu), *shape[1:]), affine))


def noisy(volume: Volume) -> Volume:
    """Returns a scan with as much noise again as it has: the median deviation from a smooth picture, in soft tissue."""
    rest = volume.hu - ndimage.uniform_filter(volume.hu, 3)
    soft = (volume.hu > -50) & (volume.hu < 120)
    own = float(1.4826 * np.median(np.abs(rest[soft]))) if soft.any() else 20.0
    noise = np.random.default_rng(0).normal(0, np.sqrt(3) * own, volume.hu.shape)
    return Volume((volume.hu + noise).astype(np.float32), volume.grid)


WAYS: dict[str, Callable[[Volume], Volume]] = {
    "as stored": lambda volume: volume,
    "axial": axial,
    "sagittal": sagittal,
    "oblique by 20 degrees": oblique,
    "mirrored in storage": flipped(2),
    "from the other end": flipped(0),
    "every third slice": thinned,
    "noise doubled": noisy,
}


def main() -> None:
    """Prints the table, draws the pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.localiser.real", description=__doc__)
    parser.add_argument("scans", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--localiser")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    localiser = Localiser(options.localiser)
    print("| scan | stored | found | farthest move of a centre, mm |\n|---|---|---|---|", flush=True)
    for path in options.scans:
        study = read_study(path)
        volume = study.volume.in_float32()
        plain = localiser.outline(study.volume)
        name = study.name.removesuffix(".nii.gz").removesuffix(".zip")
        vertebrae_picture.write(plain, study, options.out / f"vertebrae-{name}.png")
        for way, change in WAYS.items():
            located = localiser(change(volume))
            print(f"| {name} | {way} | {levels_found(located)} | {_moved(plain.located, located)} |", flush=True)


def levels_found(located: Located) -> str:
    """Returns the levels that are found, those in part with ~, uncertain names with ?; or that the scan is rejected."""
    levels = " ".join(_MARKS[one.status] + one.level.name for one in located.vertebrae)
    return levels if not check_located(located) else f"rejected {levels}".strip()


def _moved(plain: Located, other: Located) -> str:
    moves = [
        np.linalg.norm(np.subtract(one.centre_mm, same.centre_mm))
        for one in plain.vertebrae
        if (same := other.vertebra(one.level)) is not None and one.status is LevelStatus.ASSESSED
    ]
    return f"{max(moves):.1f}" if moves else "-"


if __name__ == "__main__":
    main()
