"""Parts a scan around a vertebra into two layers: the bone, and the scene without it.

``scan = bone + (1 - matte) * scene`` holds to the last bit wherever nothing is edited. The matte is how much of a voxel is bone, by
the outline within it and by density at its border. Behind the bone the scene is filled as blood and torn tissue would fill it.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.geometry import Grid
from cspine.phantoms.graft.image_quality import ImageQuality
from cspine.phantoms.graft.outlining import RealBone
from cspine.phantoms.model.shapes import Field
from cspine.phantoms.model.texture import value_noise
from cspine.volume import LabelMap, Volume

_SOFT_HU = (-140.0, 170.0)
_DENSE_HU = 190.0
_NEAR_MM = 3.0
"""Over this length soft tissue is averaged to fill the place of bone."""

_BAND_MM = 2.2
"""So far beyond its outline bone may reach, and so far the density of an edge is sought."""

_LEAST_RISE_HU = 150.0
_LUMP_MM = 5.0


@dataclass(frozen=True, slots=True)
class Filling:
    """Describes what fills the place of bone that parted or went away: blood, and the tissue around that comes after.

    Attributes:
        hu: Density of the blood.
        share: How much of it there is; the rest is as dense as the soft tissue around.
        lumps_hu: Standard deviation of its lumps.
        seed: Which lumps.
    """

    hu: float
    share: float
    lumps_hu: float
    seed: int


def sample_filling(rng: np.random.Generator) -> Filling:
    """Samples a filling: from clear fluid to clotted blood, with more or less of the tissue around."""
    hu = float(np.clip(rng.normal(52, 15), 10, 95))
    return Filling(hu, float(rng.uniform(0.3, 1.0)), float(rng.uniform(3, 16)), int(rng.integers(1 << 20)))


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Holds a part of a scan, taken apart.

    Attributes:
        start: Index of its first voxel in the scan.
        grid: Where it lies.
        hu: The scan there, ``(z, y, x)``.
        bone: HU of the bone times its share.
        matte: Share of the bone, 0..1.
        scene: HU of everything else; its noise included.
        inside: Whether a voxel lies in the outline.
        away_mm: Signed distance to the outline, negative inside.
        points: Middles of voxels in the bone's frame, ``(3, z, y, x)``.
        noise: Noise as the scan has it, HU.
    """

    start: tuple[int, int, int]
    grid: Grid
    hu: Field = field(repr=False)
    bone: Field = field(repr=False)
    matte: Field = field(repr=False)
    scene: Field = field(repr=False)
    inside: NDArray[np.bool_] = field(repr=False)
    away_mm: Field = field(repr=False)
    points: Field = field(repr=False)
    noise: Field = field(repr=False)

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Returns where the part lies in the scan."""
        z, y, x = (slice(first, first + count) for first, count in zip(self.start, self.hu.shape, strict=True))
        return z, y, x


def part_layers(
    volume: Volume, mask: LabelMap, bone: RealBone, quality: ImageQuality, rng: np.random.Generator, margin_mm: float = 14.0
) -> Layers:
    """Parts the scan around a vertebra.

    Args:
        volume: The scan.
        mask: Its vertebrae and other bone, on its grid.
        bone: The vertebra.
        quality: How the scan shows things.
        rng: Samples filling and noise.
        margin_mm: How far around the outline.
    """
    spacing = volume.grid.spacing_mm
    found = ndimage.find_objects((mask.labels == bone.level).astype(np.uint8))[0]
    spare = [int(np.ceil(margin_mm / side)) for side in spacing]
    low = [max(side.start - more, 0) for side, more in zip(found, spare, strict=True)]
    high = [min(side.stop + more, n) for side, more, n in zip(found, spare, volume.grid.shape, strict=True)]
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    hu, labels = volume.hu[box].astype(np.float32), mask.labels[box]
    grid = volume.grid.part(low, hu.shape)
    inside = labels == bone.level
    away = _signed(inside, spacing)
    others = (labels > 0) & ~inside
    theirs = _distance(others, spacing)
    soft = _soft_tissue(hu, labels > 0, spacing)
    matte = _matte(hu, soft, away, theirs, spacing)
    index = np.moveaxis(np.indices(hu.shape), 0, -1).reshape(-1, 3)
    points = bone.own(grid.world(index)).reshape(3, *hu.shape)
    noise = _local_noise(hu, soft, labels > 0, quality, rng)
    scene = _scene(hu, soft, matte, noise, points, sample_filling(rng))
    layer = hu - (1 - matte) * scene
    return Layers((low[0], low[1], low[2]), grid, hu, layer, matte, scene, inside, away, points, noise)


def _signed(inside: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> Field:
    half = float(np.mean(spacing_mm)) / 2
    out = ndimage.distance_transform_edt(~inside, sampling=spacing_mm) - half
    within = half - ndimage.distance_transform_edt(inside, sampling=spacing_mm)
    return np.where(inside, within, out).astype(np.float32)


def _distance(there: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> Field:
    if not there.any():
        return np.full(there.shape, 99, np.float32)
    return np.asarray(ndimage.distance_transform_edt(~there, sampling=spacing_mm), dtype=np.float32)


def _soft_tissue(hu: Field, bony: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> Field:
    """Returns what the soft tissue around amounts to everywhere, in the place of bone too."""
    bone = ndimage.binary_dilation(bony | (hu > _DENSE_HU))
    weight = ((hu > _SOFT_HU[0]) & (hu < _SOFT_HU[1]) & ~bone).astype(np.float32)
    total, found = np.full(hu.shape, 1e-4, np.float32), np.full(hu.shape, 40e-4, np.float32)
    for reach in (_NEAR_MM, 3 * _NEAR_MM):
        sigma = [reach / side for side in spacing_mm]
        scale = 1.0 if reach == _NEAR_MM else 0.01
        total += scale * ndimage.gaussian_filter(weight, sigma)
        found += scale * ndimage.gaussian_filter(weight * hu, sigma)
    return np.asarray(found / total, dtype=np.float32)


def _matte(hu: Field, soft: Field, away: Field, theirs: Field, spacing_mm: tuple[float, ...]) -> Field:
    """Returns the share of bone: all within the outline, by density across its border, none where another bone is nearer."""
    reach = [max(1, round(_BAND_MM / side)) for side in spacing_mm]
    near = np.where(away < 1.0, hu, -1000).astype(np.float32)
    dense = np.maximum(ndimage.maximum_filter(near, [2 * r + 1 for r in reach]), soft + _LEAST_RISE_HU)
    by_density = np.clip((ndimage.gaussian_filter(hu, 0.3) - soft) / (dense - soft), 0, 1)
    voxel = float(np.mean(spacing_mm))
    own = np.clip((theirs - np.maximum(away, 0)) / voxel, 0, 1)  # of bone between two outlines each takes its half
    fade = np.clip((_BAND_MM - away) / voxel, 0, 1)
    outer = by_density * own * fade
    outer[outer < 0.03] = 0
    core = np.clip(-away / (0.5 * voxel), 0, 1)
    return np.asarray(np.maximum(core, outer), dtype=np.float32)


def _local_noise(hu: Field, soft: Field, bony: NDArray[np.bool_], quality: ImageQuality, rng: np.random.Generator) -> Field:
    """Samples noise that is as strong as that of the soft tissue around."""
    noise = quality.noise.sample(hu.shape, rng)
    even = (
        (np.abs(hu - soft) < 60)
        & (hu > _SOFT_HU[0])
        & (hu < _SOFT_HU[1])
        & ~ndimage.binary_dilation(bony | (hu > _DENSE_HU), iterations=2)
    )
    std = quality.noise.std_hu
    if np.count_nonzero(even) > 500:
        std *= float(np.clip(_roughness(hu, even) / max(_roughness(noise * std, even), 1e-3), 0.7, 1.5))
    return np.asarray(noise * np.float32(std), dtype=np.float32)


def _roughness(hu: Field, where: NDArray[np.bool_]) -> float:
    """Returns the median size of what is finer than three voxels."""
    return float(np.median(np.abs(hu - ndimage.uniform_filter(hu, 3))[where]))


def _scene(hu: Field, soft: Field, matte: Field, noise: Field, points: Field, filling: Filling) -> Field:
    """Returns everything but the bone: the scan around it, a filling in its place."""
    lumps = np.float32(filling.lumps_hu) * value_noise(points.reshape(3, -1), _LUMP_MM, filling.seed).reshape(hu.shape)
    blood = soft + np.float32(filling.share) * (np.float32(filling.hu) - soft)
    filled = soft + matte * (blood + lumps - soft)
    return np.asarray(np.where(matte > 0, filled + noise, hu), dtype=np.float32)
