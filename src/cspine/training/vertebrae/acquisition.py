"""Crops as another acquisition of the same neck shows them: its kernel, the grain of its noise, streaks of metal.

Parameters are sampled first, then applied, as in :mod:`cspine.training.vertebrae.augmentation`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.geometry import Vector
from cspine.imaging.vertebrae import STEPS
from cspine.training.vertebrae.settings import CropAugmentation

_DETAIL_MM = (0.4, 1.0)
"""A sharp kernel enhances what is finer than a blur of so many millimetres, standard deviation."""

_IN_FRONT_MM, _ASIDE_MM, _ABOVE_MM = (30.0, 70.0), 30.0, 12.0
"""Where metal lies: so far in front of the middle of a crop, at most so far beside it, and above or below it."""

_FLAT_MM = (2.0, 8.0)
_FADE_MM = 30.0
_WAVES = (5, 25)
_COUNT = 5


@dataclass(frozen=True, slots=True)
class CropKernel:
    """A reconstruction kernel, against that of the scan.

    Attributes:
        blur_mm: Standard deviation of the blur within slices.
        boost: How much of the detail is added: 0 is none, 2 a very sharp bone kernel.
        detail_mm: Standard deviation of the blur that parts detail from the rest.
    """

    blur_mm: float = 0.0
    boost: float = 0.0
    detail_mm: float = 0.8


def sample_kernel(rng: np.random.Generator, settings: CropAugmentation) -> CropKernel | None:
    """Samples a kernel, softer as often as sharper; ``None`` where that of the scan stays."""
    if not settings.kernel_share or rng.random() >= settings.kernel_share:
        return None
    how_much, detail = rng.random(), float(rng.uniform(*_DETAIL_MM))
    if rng.random() < 0.5:
        return CropKernel(blur_mm=float(how_much * settings.softest_mm))
    return CropKernel(boost=float(how_much * settings.sharpness_gain), detail_mm=detail)


def reconstructed(grey: NDArray[np.uint8], kernel: CropKernel, spacing_mm: Vector) -> NDArray[np.uint8]:
    """Returns a picture ``(slices, rows, columns)`` as a kernel shows it."""
    wide = kernel.detail_mm if kernel.boost else kernel.blur_mm
    if not wide:
        return grey
    given = grey.astype(np.float32)
    smooth = ndimage.gaussian_filter(given, (0.0, wide / spacing_mm[1], wide / spacing_mm[2]), mode="nearest", truncate=3.0)
    found = given + np.float32(kernel.boost) * (given - smooth) if kernel.boost else smooth
    return np.asarray(np.clip(found + np.float32(0.5), 0, STEPS), dtype=np.float32).astype(np.uint8)


def sample_grain(rng: np.random.Generator, settings: CropAugmentation) -> Vector:
    """Samples how far noise is correlated along slices, rows and columns: standard deviations, millimetres."""
    if not settings.grain_mm:
        return (0.0, 0.0, 0.0)
    across, within = (float(settings.grain_mm * rng.random()) for _ in range(2))
    return (across, within, within)


def sample_noise(rng: np.random.Generator, shape: tuple[int, ...], grain_mm: Vector, spacing_mm: Vector) -> NDArray[np.float32]:
    """Samples correlated noise with a standard deviation of 1; axes in any order, the same for all three arguments."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    sigma = [grain / side for grain, side in zip(grain_mm, spacing_mm, strict=True)]
    if max(sigma) > 0:
        noise = ndimage.gaussian_filter(noise, sigma, mode="wrap", truncate=3.0)
        noise *= np.float32(1 / max(float(noise.std()), 1e-6))
    return np.asarray(noise, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class CropStreaks:
    """Streaks of metal in front of the spine.

    Attributes:
        level: Number of the crop that is nearest to the metal, counted from 0; its neighbours have streaks too.
        strength: Amplitude in the middle of the crop, in units of the window.
        source_mm: Where the metal lies, from the middle of the crop along slices, rows and columns.
        flat_mm: Over which height they fade.
        counts: Waves around the metal, one number for each.
        phases: Theirs.
    """

    level: int
    strength: float
    source_mm: Vector
    flat_mm: float
    counts: NDArray[np.intp]
    phases: NDArray[np.float64]


def sample_streaks(rng: np.random.Generator, settings: CropAugmentation, window_hu: tuple[float, float]) -> CropStreaks | None:
    """Samples streaks; ``None`` where there is no metal."""
    if not settings.streak_share or rng.random() >= settings.streak_share:
        return None
    low, high = window_hu
    source = (rng.uniform(-_ABOVE_MM, _ABOVE_MM), -rng.uniform(*_IN_FRONT_MM), rng.uniform(-_ASIDE_MM, _ASIDE_MM))
    return CropStreaks(
        level=int(rng.integers(7)),
        strength=float(settings.streak_hu * rng.uniform(0.3, 1) / (high - low)),
        source_mm=(float(source[0]), float(source[1]), float(source[2])),
        flat_mm=float(rng.uniform(*_FLAT_MM)),
        counts=rng.integers(*_WAVES, _COUNT),
        phases=rng.uniform(0, 2 * np.pi, _COUNT),
    )


def streaks_in(streaks: CropStreaks, shape: tuple[int, ...], spacing_mm: Vector) -> NDArray[np.float32]:
    """Returns what streaks add to a picture ``(slices, rows, columns)``, in units of the window."""
    z, y, x = (
        (np.arange(count) - (count - 1) / 2) * side - source
        for count, side, source in zip(shape, spacing_mm, streaks.source_mm, strict=True)
    )
    angle, away = np.arctan2(y[:, None], x[None, :]), np.hypot(y[:, None], x[None, :])
    waves: Any = sum(np.cos(count * angle + phase) for count, phase in zip(streaks.counts, streaks.phases, strict=True))
    faded = (_FADE_MM - streaks.source_mm[1]) / (_FADE_MM + away)  # 1 in the middle of the crop
    height = np.exp(-((z / streaks.flat_mm) ** 2))[:, None, None]
    return np.asarray(streaks.strength * np.sqrt(2 / _COUNT) * height * (faded * waves), dtype=np.float32)
