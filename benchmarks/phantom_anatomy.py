"""Phantoms against a real CT and against the clock.

    python benchmarks/phantom_anatomy.py [--real SCAN.nii.gz --low 91,58,3 --high 166,118,42] [--necks 12]

``--real`` is a NIfTI scan; ``--low`` and ``--high`` are the corners, in voxels of its closest canonical orientation, of a box
around C3..C5. Phantoms are rendered on voxels of the same size around C3 and C4, blurred in the slice by 0.6 voxels as a scanner
would.
"""

import argparse
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid, Vector
from cspine.phantoms import Neck, render, sample_neck
from cspine.phantoms.model.skeleton import DISTANCES_MM

QUANTILES = (5, 25, 50, 75, 95)
TISSUES = ("spongy bone", "bone surface", "soft tissue", "fat")


def main() -> None:
    """Prints three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--low", type=_triple, default=(91, 58, 3))
    parser.add_argument("--high", type=_triple, default=(166, 118, 42))
    parser.add_argument("--necks", type=int, default=12)
    options = parser.parse_args()
    necks = [sample_neck(np.random.default_rng(seed)) for seed in range(options.necks)]
    shape, spacing = (39, 60, 75), (1.5, 0.9375, 0.9375)
    if options.real:
        real, spacing = _real(options.real, options.low, options.high)
        shape = real.shape
        _tell("real", _percentiles(real, spacing))
    measured = np.array([_percentiles(_phantom(neck, shape, spacing), spacing) for neck in necks])
    _tell("phantoms, median", np.median(measured, axis=0))
    _tell("phantoms, least", measured.min(axis=0))
    _tell("phantoms, most", measured.max(axis=0))
    _distances(necks)
    _speed()


def _real(path: Path, low: tuple[int, ...], high: tuple[int, ...]) -> tuple[NDArray[np.float32], Vector]:
    image = nib.as_closest_canonical(nib.load(path))
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    x, y, z = (float(size) for size in image.header.get_zooms()[:3])
    return np.asarray(image.dataobj)[box].astype(np.float32).transpose(2, 1, 0), (z, y, x)


def _phantom(neck: Neck, shape: tuple[int, int, int], spacing: Vector) -> NDArray[np.float32]:
    middle = (np.array(neck.centres_mm["C3"]) + neck.centres_mm["C4"]) / 2 + (0, 12, 0)
    hu = render(neck, Grid.upright(middle, shape, spacing)).volume.hu
    return np.asarray(ndimage.gaussian_filter(hu, (0, 0.6, 0.6)), dtype=np.float32)


def _percentiles(hu: NDArray[np.float32], spacing: Vector) -> NDArray[np.float64]:
    """Returns HU at QUANTILES of TISSUES; bone is found as what is dense, filled slice by slice, and separated by its depth."""
    parts, _ = ndimage.label(ndimage.binary_closing(hu > 150))
    large = np.isin(parts, 1 + np.flatnonzero(np.bincount(parts.ravel())[1:] > 300))
    filled = np.stack([ndimage.binary_fill_holes(each) for each in large])
    depth = ndimage.distance_transform_edt(filled, sampling=spacing)
    chosen = (hu[depth > 2.6], hu[(depth > 0) & (depth <= 1.6)], hu[(hu > 0) & (hu < 110)], hu[(hu > -160) & (hu < -50)])
    return np.array([np.percentile(values, QUANTILES) for values in chosen])


def _tell(name: str, table: NDArray[np.float64]) -> None:
    print(f"{name}: HU at percentiles {QUANTILES}")
    for tissue, row in zip(TISSUES, table, strict=True):
        print(f"  {tissue:<13}" + "".join(f"{value:7.0f}" for value in row))


def _distances(necks: list[Neck]) -> None:
    """Prints the distance of neighbouring bodies, and of the centroids of bones as masks give them."""
    names = [*(level.name for level in CERVICAL), "T1"]
    centres = np.array([[neck.centres_mm[name] for name in names] for neck in necks])
    bodies = np.linalg.norm(np.diff(centres, axis=1), axis=2)
    masks = np.linalg.norm(np.diff([_centroids(neck) for neck in necks], axis=1), axis=2)
    print("distance to the next below, mm: literature, bodies (sd), masks (sd)")
    for k, name in enumerate(names[:-1]):
        cells = " ".join(f"{table[:, k].mean():6.1f} ({table[:, k].std():.1f})" for table in (bodies, masks))
        print(f"  {name} {DISTANCES_MM[name]:6.1f} {cells}")


def _centroids(neck: Neck) -> list[NDArray[np.float64]]:
    middle = np.mean([neck.centres_mm[level.name] for level in CERVICAL], axis=0)
    found = render(neck, Grid.upright(middle, (110, 60, 60), (2.0, 2.0, 2.0))).labels
    return [found.grid.world(np.argwhere(found.labels == label).mean(axis=0)) for label in range(1, 9)]


def _speed() -> None:
    """Prints seconds of the processor, over necks of which two in three are fractured at two levels; the first is not counted.

    Set OPENBLAS_NUM_THREADS=1: a second thread that spins while it waits counts too.
    """
    taken: dict[str, list[float]] = {}
    for seed in range(-1, 9):
        broken = (Level.C2, Level.C5) if seed % 3 else ()
        neck = sample_neck(np.random.default_rng(seed + 1), fractured=broken)
        middle = np.mean([neck.centres_mm[level.name] for level in CERVICAL], axis=0)
        grids = {
            "localiser, 80x100x100 at 2 mm": Grid.upright(middle, (80, 100, 100), (2.0, 2.0, 2.0)),
            "crop, 96x160x160 at 0.5 mm": Grid.upright(neck.centres_mm["C5"], (96, 160, 160), (0.5, 0.5, 0.5)),
            "scan, 300x512x512 at 0.6x0.35x0.35 mm": Grid.upright(middle, (300, 512, 512), (0.6, 0.35, 0.35)),
        }
        for name, grid in grids.items():
            begin = time.process_time()
            render(neck, grid)
            taken.setdefault(name, []).append(time.process_time() - begin)
    for name, seconds in taken.items():
        print(f"{name}: median {np.median(seconds[1:]):.2f}, most {max(seconds[1:]):.2f} s of one core")


def _triple(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    main()
