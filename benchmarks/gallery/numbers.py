"""Real against phantom, as Markdown: densities, noise, distances."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.gallery import subjects
from benchmarks.noise_spectrum import BANDS_PER_MM, spectrum
from cspine.anatomy import CERVICAL
from cspine.geometry import Grid, Vector
from cspine.imaging import sample
from cspine.phantoms import render, sample_neck
from cspine.phantoms.model.injuries.sites import beside
from cspine.phantoms.model.neck import Neck
from cspine.phantoms.model.skeleton import DISTANCES_MM
from cspine.volume import Volume

QUANTILES = (5, 25, 50, 75, 95)
TISSUES = ("compact bone", "spongy bone", "soft tissue", "fat", "air")
_VOXEL_MM = (1.5, 0.9375, 0.9375)
_SHAPE = (34, 128, 128)
_COMPACT_MM = 1.0
_CORE_MM = 4.0
_COLUMN_MM = 32.0
_CORES = ("C3", "C4", "C5")
"""Bodies whose middles are spongy bone."""


def tables(data: Path, necks: int) -> str:
    """Returns all tables."""
    sampled = [sample_neck(np.random.default_rng(seed)) for seed in range(necks)]
    real = subjects.full_head_volume(data)
    scans = [(neck, subjects.scanned(replace(neck, hardware=()), _grid(neck.centres_mm))) for neck in sampled[: max(4, necks // 3)]]
    return "\n".join([_densities(real, scans), _noise(real, scans), _distances(sampled)])


def _grid(centres_mm: dict[str, Vector]) -> Grid:
    """Returns voxels like those of the real scan, around C4."""
    middle = beside(np.array(centres_mm["C4"]), y=12.0)
    return Grid.upright(middle, _SHAPE, _VOXEL_MM)


def _densities(real: Volume, scans: list[tuple[Neck, Volume]]) -> str:
    around = sample(real, _grid(subjects.FULL_HEAD_MM))
    found = _percentiles(around, subjects.FULL_HEAD_MM)
    many = np.array([_percentiles(scan, neck.centres_mm) for neck, scan in scans])
    lines = [f"HU at the percentiles {QUANTILES}, real / phantom (median of {len(scans)}; least to most of the medians)", ""]
    lines += ["| |" + " | ".join(f"p{q}" for q in QUANTILES) + " | median of phantoms |", "|---|" + "---|" * (len(QUANTILES) + 1)]
    for k, tissue in enumerate(TISSUES):
        cells = [f"{a:.0f} / {b:.0f}" for a, b in zip(found[k], np.median(many[:, k], axis=0), strict=True)]
        middle = many[:, k, QUANTILES.index(50)]
        lines.append(f"| {tissue} | " + " | ".join(cells) + f" | {middle.min():.0f} to {middle.max():.0f} |")
    return "\n".join(lines) + "\n"


def _percentiles(scan: Volume, centres_mm: dict[str, Vector]) -> NDArray[np.float64]:
    """Returns HU at QUANTILES of TISSUES: the outermost millimetres of what is dense around the canal, and the cores of bodies."""
    hu = scan.hu
    world = scan.grid.world(np.moveaxis(np.indices(hu.shape), 0, -1))
    middle = beside(np.array(centres_mm["C4"]), y=12.0)
    column = np.hypot(world[..., 0] - middle[0], world[..., 1] - middle[1]) < _COLUMN_MM
    dense, _ = ndimage.label((hu > 150) & column)
    bone = np.isin(dense, 1 + np.flatnonzero(np.bincount(dense.ravel())[1:] > 300))
    depth = ndimage.distance_transform_edt(bone, sampling=_VOXEL_MM)
    cores = np.min([np.linalg.norm(world - centres_mm[name], axis=-1) for name in _CORES], axis=0) < _CORE_MM
    chosen = (
        hu[(depth > 0) & (depth <= _COMPACT_MM)],
        hu[cores],
        hu[(hu > 0) & (hu < 110)],
        hu[(hu > -160) & (hu < -50)],
        hu[hu < -700],
    )
    return np.array([np.percentile(values, QUANTILES) for values in chosen])


def _noise(real: Volume, scans: list[tuple[Neck, Volume]]) -> str:
    """Returns the standard deviation and the spectrum of even soft tissue."""
    lines = ["Noise of even soft tissue: standard deviation, and power by cycles per mm relative to its largest value", ""]
    bands = " | ".join(f"{band + 0.03:.2f}" for band in BANDS_PER_MM)
    lines += [f"| | sd, HU | {bands} |", "|---|" + "---|" * (len(BANDS_PER_MM) + 1)]
    patient = spectrum(real.hu, _VOXEL_MM[1])
    phantoms = [spectrum(scan.hu, _VOXEL_MM[1]) for _, scan in scans]
    mean = float(np.median([deviation for deviation, _ in phantoms])), np.mean([power for _, power in phantoms], axis=0)
    for name, (deviation, power) in (("real", patient), ("phantoms", mean)):
        lines.append(f"| {name} | {deviation:.1f} | " + " | ".join(f"{p:.2f}" for p in power) + " |")
    return "\n".join(lines) + "\n"


def _distances(necks: list[Neck]) -> str:
    """Returns distances of neighbouring centroids, as masks give them, and of the middles of the bodies."""
    names = [*(level.name for level in CERVICAL), "T1"]
    bodies = np.linalg.norm(np.diff([[neck.centres_mm[n] for n in names] for neck in necks], axis=1), axis=2)
    masks = np.linalg.norm(np.diff([_centroids(neck) for neck in necks], axis=1), axis=2)
    lines = [f"Distance of neighbours, mm, {len(necks)} phantoms: mean (sd)", ""]
    lines += ["| | literature | centroids of masks | middles of bodies |", "|---|---|---|---|"]
    for k, (upper, lower) in enumerate(pairwise(names)):
        cells = " | ".join(f"{table[:, k].mean():.1f} ({table[:, k].std():.1f})" for table in (masks, bodies))
        lines.append(f"| {upper}-{lower} | {DISTANCES_MM[upper]} | {cells} |")
    return "\n".join(lines) + "\n"


def _centroids(neck: Neck) -> list[NDArray[np.float64]]:
    middle = np.mean([neck.centres_mm[level.name] for level in CERVICAL], axis=0)
    found = render(neck, Grid.upright(beside(middle, y=15.0), (120, 64, 64), (1.6, 1.6, 1.6))).labels
    return [found.grid.world(np.argwhere(found.labels == label).mean(axis=0)) for label in range(1, 9)]
