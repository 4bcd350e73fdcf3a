"""Computes what X-rays meet on their way through a slice, and what goes wrong where they meet too much.

Parallel rays, a few angles, coarse pixels: enough for the direction and size of noise between the shoulders, for dark bands and for
streaks. Projection and backprojection are one sparse matrix (pixel driven, linear).
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse

WATER_PER_MM = 0.02
"""Attenuation of water at 70 keV."""

METAL_HU = 2900.0
"""What is denser than enamel casts streaks."""

_METAL_PER_MM = 0.25
_BODY_AROUND_METAL = 3.5


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """Parallel projections of square-pixel slices.

    Attributes:
        matrix: ``(angles * detectors, rows * columns)``, millimetres.
        angles: Direction of the detector, from the axis of columns towards the axis of rows, rad.
        detectors: Number of rays per angle.
        pixel_mm: Pixel and detector spacing.
    """

    matrix: sparse.csr_array = field(repr=False)
    angles: NDArray[np.float64]
    detectors: int
    pixel_mm: float

    def project(self, attenuation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns line integrals ``(slices, angles, detectors)`` of ``(slices, rows, columns)`` per millimetre."""
        slices = len(attenuation)
        lines = self.matrix @ attenuation.reshape(slices, -1).T
        return np.ascontiguousarray(lines.T, dtype=np.float32).reshape(slices, len(self.angles), self.detectors)

    def reconstruct(self, lines: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
        """Returns the filtered backprojection: ``(slices, rows, columns)`` per millimetre of ``(slices, angles, detectors)``."""
        length = fft.next_fast_len(2 * self.detectors, real=True)
        ramp = fft.rfftfreq(length, self.pixel_mm).astype(np.float32)
        filtered = fft.irfft(fft.rfft(lines, length, axis=-1) * ramp, length, axis=-1)[..., : self.detectors]
        scale = np.float32(np.pi / len(self.angles) / self.pixel_mm)
        image = self.matrix.T @ filtered.reshape(len(lines), -1).T
        return np.ascontiguousarray(image.T * scale, dtype=np.float32).reshape(len(lines), *shape)


@lru_cache(maxsize=4)
def rays(shape: tuple[int, int], pixel_mm: float, count: int) -> Rays:
    """Returns rays through slices of ``(rows, columns)`` at ``count`` angles."""
    rows, columns = shape
    angles = np.arange(count) * np.pi / count
    detectors = int(np.ceil(np.hypot(rows, columns))) + 3
    y, x = np.meshgrid(np.arange(rows) - (rows - 1) / 2, np.arange(columns) - (columns - 1) / 2, indexing="ij")
    t = np.cos(angles)[:, None] * x.ravel() + np.sin(angles)[:, None] * y.ravel() + (detectors - 1) / 2
    left = np.floor(t).astype(np.int32)
    right_share = t - left
    line = left + (np.arange(count, dtype=np.int32) * detectors)[:, None]
    pixel = np.broadcast_to(np.arange(rows * columns, dtype=np.int32), t.shape)
    weights = np.concatenate([(1 - right_share).ravel(), right_share.ravel()]).astype(np.float32) * np.float32(pixel_mm)
    where = np.concatenate([line.ravel(), line.ravel() + 1]), np.concatenate([pixel.ravel(), pixel.ravel()])
    matrix = sparse.csr_array((weights, where), shape=(count * detectors, rows * columns))
    return Rays(matrix, angles, detectors, pixel_mm)


def attenuation(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the attenuation per millimetre."""
    return np.clip((hu + 1000) * np.float32(WATER_PER_MM / 1000), 0, None)


def scatter_and_hardening_hu(
    hu: NDArray[np.float32], beam: Rays, lines: NDArray[np.float32], scatter: float, hardening: float
) -> NDArray[np.float32]:
    """Returns the low-frequency error of a slice: dark bands between dense parts, as between the shoulders.

    Scattered photons reach the detector behind dense rays (error ``-log(1 + scatter e^p)``), and bone hardens the beam beyond the
    correction for water (error ``-hardening p_bone^2``); Hsieh, Computed Tomography, 2015, chapter 7.

    Args:
        hu: Coarse slices ``(slices, rows, columns)``.
        beam: Rays through them.
        lines: Their projections.
        scatter: Scattered photons per emitted one.
        hardening: Per squared line integral of bone.
    """
    bone = beam.project(attenuation(hu) * (hu > 200))
    error = -np.log1p(np.float32(scatter) * np.exp(np.minimum(lines, 12))) - np.float32(hardening) * bone * bone
    return beam.reconstruct(error, (hu.shape[1], hu.shape[2])) * np.float32(1000 / WATER_PER_MM)


def metal_streaks_hu(hu: NDArray[np.float32], pixel_mm: float, rng: np.random.Generator, angles: int = 120) -> NDArray[np.float32]:
    """Returns bright and dark streaks of slices with metal, ``(slices, rows, columns)``; the metal itself is left alone.

    Rays through metal are starved: the detector sees no less than a floor of scattered photons, and what it sees is noisy.
    """
    metal = hu > METAL_HU
    beam = rays((hu.shape[1], hu.shape[2]), pixel_mm, angles)
    path = beam.project(metal.astype(np.float32) * np.float32(_METAL_PER_MM))
    true = path + np.float32(_BODY_AROUND_METAL)
    floor = np.float32(np.exp(-_BODY_AROUND_METAL - 2.5))
    seen = np.exp(-true) + floor
    noise = rng.standard_normal(path.shape, dtype=np.float32) * np.float32(0.004) / np.sqrt(seen)
    error = np.where(path > 0.02, -np.log(seen) - true + noise, 0).astype(np.float32)
    streaks = beam.reconstruct(error, (hu.shape[1], hu.shape[2])) * np.float32(1000 / WATER_PER_MM)
    streaks[metal] = 0
    return streaks
