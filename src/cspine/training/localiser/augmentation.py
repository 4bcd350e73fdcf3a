"""Augments windows at random: parameters are sampled first, then applied to image and classes alike."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cspine.imaging.windowing import windowed
from cspine.specs import OTHER_BONE_CLASS, VolumeSpec
from cspine.training.core.marks import LabelledImage
from cspine.training.localiser.settings import VolumeAugmentation

AIR_HU = -1000.0
_KNOTS_HU = np.array([-1000.0, -300.0, -120.0, -20.0, 60.0, 160.0, 350.0, 700.0, 1200.0, 2000.0, 4000.0])
_LATTICE = (4, 5, 5)
_LEAST_LEFT = 0.35
"""Share of a window along an axis that a cut leaves."""

_THINNEST_MM, _THICKEST_MM = 0.5, 5.0
_FINEST_COARSE_MM, _COARSEST_MM = 2.0, 5.0


@dataclass(frozen=True, slots=True, eq=False)
class VolumeChange:
    """Holds what is done to one window.

    Attributes:
        matrix: From voxels of the window, counted from its middle, to voxels of the neck, counted from its middle, ``(3, 3)``.
        shift: Added to these, voxels, ``(3,)``.
        elastic: Displacement on a coarse lattice, voxels, ``(3, z, y, x)``.
        tones_hu: What densities of :data:`_KNOTS_HU` become.
        keep: First and last part of each axis that the image holds, 0..1, ``(3, 2)``.
        outside_hu: What lies beyond.
        thickness_mm: Of the slices.
        thick_axis: Along which they are thick.
        pixel_mm: Of the slices; 0 where pixels are fine.
        blur: Standard deviation of the kernel, voxels.
        noise_hu: Standard deviation of the noise.
        grain: How far noise is correlated, voxels.
        streaks: Amplitude in HU, height, and middle of streaks in voxels; none where the amplitude is 0, ``(4,)``.
        empty: Whether there are only shapes.
        mirrored: Whether left and right change places.
        seed: Of noise and shapes.
    """

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]
    elastic: NDArray[np.float64] = field(repr=False)
    tones_hu: NDArray[np.float64]
    keep: NDArray[np.float64]
    outside_hu: float
    thickness_mm: float
    thick_axis: int
    pixel_mm: float
    blur: float
    noise_hu: float
    grain: float
    streaks: NDArray[np.float64]
    empty: bool
    mirrored: bool
    seed: int


def sample_change(
    rng: np.random.Generator, settings: VolumeAugmentation, spec: VolumeSpec, room: tuple[int, ...], voxel: float = 1.0
) -> VolumeChange:
    """Samples what is done to a window.

    Args:
        rng: The only source of randomness.
        settings: How much.
        spec: The window.
        room: Voxels of the neck, ``(z, y, x)``.
        voxel: Size of the voxels that are shown, against those of the neck.
    """
    spare = (np.array(room) - spec.size) / 2
    size = np.exp(rng.normal(0, settings.scale, 3) + rng.normal(0, settings.scale)) * voxel
    shear = np.eye(3) + np.triu(rng.normal(0, settings.shear, (3, 3)), 1)
    turn = Rotation.from_euler("xyz", rng.normal(0, settings.turn_deg, 3), degrees=True).as_matrix()
    return VolumeChange(
        matrix=turn @ shear @ np.diag(size),
        shift=rng.uniform(-spare, spare),
        elastic=rng.normal(0, settings.elastic_mm, (3, *_LATTICE)) / np.reshape(spec.spacing_mm, (3, 1, 1, 1)),
        tones_hu=_sample_tones(rng, settings),
        keep=_sample_truncation(rng, settings),
        outside_hu=float(rng.choice([-1000.0, -2000.0, 0.0], p=[0.7, 0.2, 0.1])),
        thickness_mm=float(rng.uniform(_THINNEST_MM, _THICKEST_MM)),
        thick_axis=int(rng.choice(3, p=[0.7, 0.15, 0.15])),
        pixel_mm=_sample_pixel(rng, settings),
        blur=float(abs(rng.normal(0, settings.blur_voxels))),
        noise_hu=float(settings.noise_hu * rng.random() ** 2),
        grain=float(rng.uniform(0.0, 0.8)),
        streaks=_sample_streaks(rng, settings, spec),
        empty=bool(rng.random() < settings.empty_share),
        mirrored=bool(rng.random() < 0.5),
        seed=int(rng.integers(1 << 31)),
    )


def apply_change(change: VolumeChange, image: LabelledImage, spec: VolumeSpec) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Returns a window of a neck as a scanner might show it: what the network is fed, ``(z, y, x)`` in 0..1, and its classes."""
    rng = np.random.default_rng(change.seed)
    hu, classes = _shapes(rng, spec) if change.empty else _window(change, image, spec)
    if change.mirrored:
        hu, classes = hu[..., ::-1].copy(), classes[..., ::-1].copy()
    hu = np.interp(hu, _KNOTS_HU, change.tones_hu).astype(np.float32)
    hu = _scanned(rng, change, hu, spec)
    outside = _outside(change.keep, spec.size)
    hu[outside], classes[outside] = change.outside_hu, 0
    return windowed(hu, spec.window_hu), classes


def _sample_tones(rng: np.random.Generator, settings: VolumeAugmentation) -> NDArray[np.float64]:
    """Samples densities near life: bone of another density, tissue a little off. Or anything at all, but air."""
    if rng.random() < settings.random_hu_share:
        return np.concatenate([[AIR_HU], rng.uniform(-400, 1400, len(_KNOTS_HU) - 1)])
    gain = float(np.exp(rng.normal(-0.15, 0.35)))
    soft = _KNOTS_HU + rng.normal(0, 15, len(_KNOTS_HU)) + rng.normal(0, 20)
    return np.where(_KNOTS_HU > 80, 80 + (soft - 80) * gain, soft)


def _sample_pixel(rng: np.random.Generator, settings: VolumeAugmentation) -> float:
    if not settings.coarse_share or rng.random() >= settings.coarse_share:
        return 0.0
    return float(rng.uniform(_FINEST_COARSE_MM, _COARSEST_MM))


def _sample_truncation(rng: np.random.Generator, settings: VolumeAugmentation) -> NDArray[np.float64]:
    keep = np.tile([0.0, 1.0], (3, 1))
    for axis, side in np.ndindex(3, 2):
        if rng.random() < settings.truncation_share:
            depth = rng.uniform(0, (1 - _LEAST_LEFT) * (0.8 if axis == 0 else 0.5))
            keep[axis, side] = depth if side == 0 else 1 - depth
    return keep


def _sample_streaks(rng: np.random.Generator, settings: VolumeAugmentation, spec: VolumeSpec) -> NDArray[np.float64]:
    if rng.random() >= settings.streak_share:
        return np.zeros(4)
    return np.array([rng.uniform(60, 400), *(rng.uniform(0.2, 0.8, 3) * spec.size)])


def _window(change: VolumeChange, image: LabelledImage, spec: VolumeSpec) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Returns a window, turned, sheared, deformed."""
    places = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in spec.size), indexing="ij")).astype(np.float32)
    index = np.tensordot(change.matrix.astype(np.float32), places, axes=1)
    index += (change.shift + (np.array(image.hu.shape) - 1) / 2).astype(np.float32).reshape(3, 1, 1, 1)
    for axis in range(3):
        index[axis] += interpolated(change.elastic[axis], spec.size)
    hu = ndimage.map_coordinates(image.hu, index, np.float32, order=1, mode="constant", cval=AIR_HU)
    classes = ndimage.map_coordinates(image.classes, index, np.uint8, order=0, mode="constant", cval=0)
    return hu, classes


def _shapes(rng: np.random.Generator, spec: VolumeSpec) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Returns blobs of any density; what is as dense as bone is other bone."""
    rough = ndimage.gaussian_filter(rng.standard_normal(spec.size, dtype=np.float32), rng.uniform(1.5, 6), mode="wrap")
    hu = np.asarray(rough / rough.std() * rng.uniform(100, 500) + rng.uniform(-600, 100), dtype=np.float32)
    hu[hu > 250] += rng.uniform(0, 600)
    return hu, np.where(hu > 250, OTHER_BONE_CLASS, 0).astype(np.uint8)


def _scanned(rng: np.random.Generator, change: VolumeChange, hu: NDArray[np.float32], spec: VolumeSpec) -> NDArray[np.float32]:
    """Returns an image with thick slices, blur, streaks, noise."""
    across = np.arange(3) != change.thick_axis
    size_mm = np.where(across, change.pixel_mm, change.thickness_mm)
    sigma = np.hypot(change.blur, size_mm / 2.355 / np.array(spec.spacing_mm))
    hu = np.asarray(ndimage.gaussian_filter(hu, sigma, mode="nearest", truncate=3.0), dtype=np.float32)
    if change.streaks[0]:
        hu += _streaks(rng, change.streaks, spec.size)
    noise = rng.standard_normal(spec.size, dtype=np.float32)
    if change.grain > 0.2:
        noise = ndimage.gaussian_filter(noise, change.grain, mode="wrap")
        noise /= noise.std()
    return np.asarray(hu + np.float32(change.noise_hu) * noise, dtype=np.float32)


def _streaks(rng: np.random.Generator, streaks: NDArray[np.float64], size: tuple[int, int, int]) -> NDArray[np.float32]:
    """Returns rays from one place in a few slices."""
    amplitude, z0, y0, x0 = streaks
    z, y, x = np.ogrid[: size[0], : size[1], : size[2]]
    angle = np.arctan2(y - y0, x - x0)
    waves = sum(np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in rng.integers(5, 25, 5))
    near = np.exp(-(((z - z0) / rng.uniform(2, 6)) ** 2)) / (1 + np.hypot(y - y0, x - x0) / 15)
    return np.asarray(amplitude * near * waves / 2, dtype=np.float32)


def _outside(keep: NDArray[np.float64], size: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Returns where the image has ended."""
    outside = np.zeros(size, np.bool_)
    for axis, (first, last) in enumerate(keep):
        place = (np.arange(size[axis]) + 0.5) / size[axis]
        beyond = (place < first) | (place > last)
        outside |= beyond.reshape([-1 if a == axis else 1 for a in range(3)])
    return outside


def interpolated(lattice: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Returns values of a lattice over a window, linear between them and constant beyond the outermost.

    Axis by axis, which takes a tenth of the time of :func:`scipy.ndimage.zoom`, whose values in ``grid_mode`` these are.

    Args:
        lattice: Three axes.
        size: Voxels of the window along each.
    """
    values = lattice.astype(np.float32)
    for axis, (knots, voxels) in enumerate(zip(lattice.shape, size, strict=True)):
        values = np.moveaxis(np.tensordot(_between(knots, voxels), values, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(values)


@cache
def _between(knots: int, voxels: int) -> NDArray[np.float32]:
    """Returns how much of each knot is in each voxel, ``(voxels, knots)``."""
    place = np.clip((np.arange(voxels) + 0.5) * knots / voxels - 0.5, 0, knots - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(knots))).astype(np.float32)
