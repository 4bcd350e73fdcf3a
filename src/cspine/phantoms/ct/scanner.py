"""A CT scanner: what it makes of an ideal scene.

Blur of the slice thickness and of the reconstruction kernel, noise that is correlated as filtered backprojection correlates it and
grows where much tissue lies in the way, dark bands between the shoulders, streaks of metal. A scene is sampled a few
slices at a time, so that memory does not grow with the scan.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.phantoms.ct.rays import (
    METAL_HU,
    Rays,
    attenuation,
    metal_streaks_hu,
    rays,
    scatter_and_hardening_hu,
)
from cspine.phantoms.model.variation import ScanRanges
from cspine.volume import LabelMap, Volume


class Rendered(Protocol):
    """An ideal image and what it shows."""

    @property
    def volume(self) -> Volume:
        """Returns Hounsfield units without noise or blur."""
        ...

    @property
    def labels(self) -> LabelMap:
        """Returns which bone each voxel belongs to."""
        ...

    @property
    def fracture_mask(self) -> LabelMap:
        """Returns the level of each voxel at a fracture."""
        ...


Scene = Callable[[Grid], Rendered]

_CHUNK_VOXELS = 1 << 22
"""Voxels rendered at once."""

_WIDE_MM = 6.0
_WIDE_STEP_MM = 12.0
_WIDE_EXTENT_MM = (300.0, 520.0)
"""Rows and columns: room for shoulders, which lie outside the picture and in the way of the rays."""

_WIDE_ANGLES = 24
_STREAK_PIXEL_MM = 1.6
_NECK_LINE = 0.02 * 130
"""Line integral of 130 mm of water, a neck: where ``noise_hu`` holds."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """Describes how one study is acquired and reconstructed.

    Attributes:
        cutoff_per_mm: Where the kernel's Gaussian falls to 1/e, cycles per millimetre.
        boost: Edge enhancement of the kernel: 0 for a soft one, about 1.5 for a sharp bone kernel.
        thickness_mm: Full width at half maximum of the slice profile.
        noise_hu: Standard deviation of the noise in a neck of 130 mm.
        starvation: How much of the loss of photons is not made up for by tube current modulation, 0..1.
        scatter: Scattered photons per emitted one.
        hardening: Left-over hardening by bone, per squared line integral.
    """

    cutoff_per_mm: float
    boost: float
    thickness_mm: float
    noise_hu: float
    starvation: float
    scatter: float
    hardening: float


def varied_scanner(rng: np.random.Generator, scanner: Scanner, ranges: ScanRanges) -> Scanner:
    """Samples another kernel and other noise, where the ranges ask for them.

    ``rng`` itself is not used up.
    """
    if ranges.cutoff_per_mm is None:
        return scanner
    kernel, noise = rng.spawn(2)
    share = float(kernel.random())  # sharper kernels enhance edges more
    (low, high), (soft, sharp) = ranges.cutoff_per_mm, ranges.boost
    factor = float(np.exp(noise.uniform(*np.log(ranges.noise))))
    return replace(
        scanner, cutoff_per_mm=low + share * (high - low), boost=soft + share * (sharp - soft), noise_hu=scanner.noise_hu * factor
    )


def sample_scanner(rng: np.random.Generator, thickness_mm: float) -> Scanner:
    """Returns a scanner between soft and bone kernels; sharper means noisier."""
    sharpness = float(rng.random())
    noise = 13.0 * 4.5**sharpness * float(np.exp(rng.normal(0, 0.25))) * (0.625 / thickness_mm) ** 0.5
    return Scanner(
        cutoff_per_mm=0.45 + 0.5 * sharpness,
        boost=1.6 * sharpness,
        thickness_mm=thickness_mm,
        noise_hu=noise,
        starvation=float(rng.uniform(0.25, 0.6)),
        scatter=float(10 ** rng.uniform(-4.6, -3.9)),
        hardening=float(rng.uniform(0.0, 0.012)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class ScannedSlices:
    """Neighbouring slices of a scan.

    Attributes:
        first: Index of the first slice.
        hu: What the scanner shows, not yet rounded, ``(slices, rows, columns)``.
        labels: The bone of every voxel.
        fracture_mask: The level of every voxel at a fracture.
    """

    first: int
    hu: NDArray[np.float32]
    labels: NDArray[np.uint8]
    fracture_mask: NDArray[np.uint8]


def scan(scene: Scene, grid: Grid, scanner: Scanner, rng: np.random.Generator) -> Iterator[ScannedSlices]:
    """Yields the slices of ``grid``, chunk by chunk along its first axis.

    Args:
        scene: Gives the ideal image on any grid.
        grid: The voxels of the scan; rows and columns equally spaced.
        scanner: How it is acquired.
        rng: Samples the noise.
    """
    profile = _slice_profile(scanner.thickness_mm, grid.spacing_mm[0])
    halo = len(profile) // 2
    beam = _Beam.through(scene, grid, scanner)
    kernel = _Kernel(scanner, grid)
    noise = kernel.noise(beam, profile, rng)
    chunk = max(1, _CHUNK_VOXELS // (grid.shape[1] * grid.shape[2]))
    for first in range(0, grid.shape[0], chunk):
        count = min(chunk, grid.shape[0] - first)
        part = grid.part((first, 0, 0), (count, *grid.shape[1:]))
        wide = scene(grid.part((first - halo, 0, 0), (count + 2 * halo, *grid.shape[1:])))
        inner = slice(halo, halo + count)
        hu = _along_slices(wide.volume.hu, profile) + sample(beam.bands, part, 0.0).hu
        hu += _streaks(hu, grid.spacing_mm[1], rng)
        for k in range(count):
            hu[k] = kernel.blurred(hu[k]) + next(noise)
        yield ScannedSlices(first, hu, wide.labels.labels[inner], wide.fracture_mask.labels[inner])


def _slice_profile(thickness_mm: float, spacing_mm: float) -> NDArray[np.float32]:
    """Returns weights of neighbouring slices; a rendered slice is already as thick as its spacing."""
    width = max((thickness_mm / 2.355) ** 2 - (spacing_mm / 2.355) ** 2, 0.0) ** 0.5 / spacing_mm
    reach = int(np.ceil(2.5 * width))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(width, 1e-6)) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def _along_slices(hu: NDArray[np.float32], profile: NDArray[np.float32]) -> NDArray[np.float32]:
    count = len(hu) - len(profile) + 1
    out = np.zeros((count, *hu.shape[1:]), dtype=np.float32)
    for offset, weight in enumerate(profile):
        out += weight * hu[offset : offset + count]
    return out


def _streaks(hu: NDArray[np.float32], pixel_mm: float, rng: np.random.Generator) -> NDArray[np.float32] | float:
    """Returns the streaks of the slices that hold metal."""
    metal = np.flatnonzero((hu > METAL_HU).any(axis=(1, 2)))
    if not len(metal):
        return 0.0
    step = max(1, round(_STREAK_PIXEL_MM / pixel_mm))
    rows, columns = (-(-size // step) for size in hu.shape[1:])
    padded = np.pad(hu[metal], [(0, 0), (0, rows * step - hu.shape[1]), (0, columns * step - hu.shape[2])], mode="edge")
    coarse = padded.reshape(len(metal), rows, step, columns, step).max(axis=(2, 4))
    streaks = ndimage.zoom(metal_streaks_hu(coarse, pixel_mm * step, rng), (1, step, step), order=1, grid_mode=True, mode="nearest")
    out = np.zeros_like(hu)
    out[metal] = streaks[:, : hu.shape[1], : hu.shape[2]] * (hu[metal] < METAL_HU)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Beam:
    """Holds what the rays of every few millimetres of the scan meet.

    Attributes:
        bands: Error of scatter and hardening, HU.
        spread: How the noise grows by direction of the detector, ``(slices of bands, angles)``.
        rays: The rays.
    """

    bands: Volume
    spread: NDArray[np.float32]
    rays: Rays

    @classmethod
    def through(cls, scene: Scene, grid: Grid, scanner: Scanner) -> "_Beam":
        wide = _wide_grid(grid)
        shape = wide.shape
        planes = [scene(wide.part((k, 0, 0), (1, shape[1], shape[2]))) for k in range(shape[0])]
        hu = np.concatenate([plane.volume.hu for plane in planes])
        beam = rays((shape[1], shape[2]), _WIDE_MM, _WIDE_ANGLES)
        lines = beam.project(attenuation(np.minimum(hu, METAL_HU)))
        bands = scatter_and_hardening_hu(hu, beam, lines, scanner.scatter, scanner.hardening)
        half = round(min(grid.extent_mm[1:]) / 2 / _WIDE_MM)
        seen = lines[..., max(0, beam.detectors // 2 - half) : beam.detectors // 2 + half + 1]
        variance = np.exp(scanner.starvation * (seen - np.float32(_NECK_LINE))).mean(axis=-1)
        return cls(Volume(bands, wide), np.sqrt(variance), beam)

    def spread_at(self, world_mm: NDArray[np.float64]) -> NDArray[np.float32]:
        """Returns the growth of the noise by angle at a height."""
        k = float(np.clip(self.bands.grid.index(world_mm)[0], 0, len(self.spread) - 1.001))
        below = int(k)
        share = np.float32(k - below)
        return (1 - share) * self.spread[below] + share * self.spread[below + 1]


def _wide_grid(grid: Grid) -> Grid:
    """Returns planes across the scan, wide enough for shoulders."""
    height = grid.extent_mm[0]
    count = max(2, round(height / _WIDE_STEP_MM) + 1)
    rows, columns = (round(extent / _WIDE_MM) for extent in _WIDE_EXTENT_MM)
    affine = np.eye(4)
    affine[:3, :3] = grid.directions * np.array([height / (count - 1), _WIDE_MM, _WIDE_MM])
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.array([count, rows, columns]) - 1) / 2)
    return Grid((count, rows, columns), affine)


class _Kernel:
    """The reconstruction kernel in the frequencies of a slice."""

    def __init__(self, scanner: Scanner, grid: Grid) -> None:
        self._grid = grid
        self._shape = grid.shape[1], grid.shape[2]
        fy = fft.fftfreq(self._shape[0], grid.spacing_mm[1])[:, None]
        fx = fft.rfftfreq(self._shape[1], grid.spacing_mm[2])[None, :]
        frequency = np.hypot(fy, fx)
        relative = (frequency / scanner.cutoff_per_mm) ** 2
        transfer = np.exp(-relative) * (1 + scanner.boost * relative)
        self._transfer = transfer.astype(np.float32)
        # filtered backprojection: noise power is proportional to frequency times the squared transfer (Riederer et al. 1978)
        amplitude = np.sqrt(frequency) * transfer
        self._amplitude = (amplitude / np.sqrt(_mean_power(amplitude, self._shape[1])) * scanner.noise_hu).astype(np.float32)
        turn = np.mod(np.arctan2(np.broadcast_to(fy, frequency.shape), np.broadcast_to(fx, frequency.shape)), np.pi)
        place = turn / np.pi * _WIDE_ANGLES
        self._angle = np.floor(place).astype(np.intp) % _WIDE_ANGLES
        self._next = (self._angle + 1) % _WIDE_ANGLES
        self._share = (place - np.floor(place)).astype(np.float32)

    def blurred(self, hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns one slice, as sharp as the kernel makes it."""
        return np.asarray(fft.irfft2(fft.rfft2(hu) * self._transfer, self._shape), dtype=np.float32)

    def noise(self, beam: _Beam, profile: NDArray[np.float32], rng: np.random.Generator) -> Iterator[NDArray[np.float32]]:
        """Yields the noise of one slice after the other, correlated from slice to slice as the slice profile says."""
        weights = profile / np.sqrt(np.sum(profile**2))
        white = deque((self._white(rng) for _ in range(len(profile) - 1)), maxlen=len(profile))
        for k in range(self._grid.shape[0]):
            white.append(self._white(rng))
            mixed = sum(weight * one for weight, one in zip(weights, white, strict=True))
            spread = beam.spread_at(self._grid.world((k, (self._shape[0] - 1) / 2, (self._shape[1] - 1) / 2)))
            by_angle = spread[self._angle] * (1 - self._share) + spread[self._next] * self._share
            yield np.asarray(fft.irfft2(mixed * (self._amplitude * by_angle), self._shape), dtype=np.float32)

    def _white(self, rng: np.random.Generator) -> NDArray[np.complex64]:
        return np.asarray(fft.rfft2(rng.standard_normal(self._shape, dtype=np.float32)), dtype=np.complex64)


def _mean_power(amplitude: NDArray[np.float64], columns: int) -> float:
    """Returns the mean of the squared amplitude over all frequencies, of which a real transform stores half."""
    twice = np.full(amplitude.shape[1], 2.0)
    twice[0] = 1
    if columns % 2 == 0:
        twice[-1] = 1
    return float((amplitude**2 * twice).sum() / (amplitude.shape[0] * columns))
