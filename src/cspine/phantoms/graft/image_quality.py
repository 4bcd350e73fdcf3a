"""Measures how a scan shows things: its point spread at the edges of bone, its noise in even soft tissue."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from cspine.errors import StudyError
from cspine.geometry import Grid, Vector
from cspine.volume import Volume

_BONE_HU, _SOFT_HU = 350.0, (-60.0, 130.0)
_EDGE_HU = 250.0
"""An edge of bone rises by so much at least."""

_REACH_MM, _STEP = 5.0, 0.1
"""How far a profile goes on either side of an edge, and its step in voxels."""

_NEAR, _WHOLE = 1.6, 2.2
"""A step is taken to end so many voxels from its middle; so many standard deviations, where that is more."""

_ALONG = 0.94
"""Cosine between the slope of an edge and an axis of the grid above which it is measured along that axis."""

_MOST_EDGES, _FEWEST_EDGES = 4000, 40
_SHARP_SHARE = 0.35
"""Of the edges: bone that is thin or rough looks more blurred than the scanner makes it."""

_LEAST_BLUR, _MOST_BLUR = 0.3, 2.5
"""Standard deviation in voxels: less is below what samples hold, more is no edge of bone."""

_COMMON_HU, _EVERY = (-150, 350), 0.7
"""Of these values a scan of many voxels has that share at least, if it keeps whole HU."""

_PATCH, _PATCH_MM = (8, 16, 16), 13.0
"""Voxels of a patch, and how far it goes across the slices at most: beyond, soft tissue is seldom even."""

_FEWEST_SLICES = 3
_MOST_PATCHES, _FEWEST_PATCHES = 60, 4
_EVEN_HU = 45.0
"""What is smoothed varies by no more within a patch, beside what is left of noise."""

_QUIET_SHARE = 0.4
"""Of the patches: those that vary more hold vessels and fat besides noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Describes noise as it was measured.

    Attributes:
        std_hu: Its standard deviation in soft tissue.
        power: Its power by frequency, of patches of ``_PATCH`` voxels at most, with a mean of 1, ``(z, y, x)``.
    """

    std_hu: float
    power: NDArray[np.float64] = field(repr=False)

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
        """Samples noise of the same spectrum and a standard deviation of 1, ``shape``."""
        padded = [n + 8 for n in shape]  # the transform repeats itself: the ends must not meet
        frequencies = np.meshgrid(*[fft.fftfreq(n) for n in padded], indexing="ij")
        index = [f * n for f, n in zip(frequencies, self.power.shape, strict=True)]
        power = ndimage.map_coordinates(self.power, index, order=1, mode="grid-wrap")
        amplitude = np.sqrt(np.maximum(power, 0) / max(float(power.mean()), 1e-9))
        white = rng.standard_normal(padded, dtype=np.float32)
        coloured = fft.ifftn(fft.fftn(white) * amplitude).real
        return np.asarray(coloured[tuple(slice(4, 4 + n) for n in shape)], dtype=np.float32)

    def correlation(self) -> tuple[NDArray[np.float64], ...]:
        """Returns the correlation of voxels 0, 1, 2, ... apart along each axis."""
        lags = fft.ifftn(self.power).real / self.power.mean()
        return lags[: lags.shape[0] // 2, 0, 0], lags[0, : lags.shape[1] // 2, 0], lags[0, 0, : lags.shape[2] // 2]


@dataclass(frozen=True, slots=True, eq=False)
class ImageQuality:
    """Describes how a scan shows things.

    Attributes:
        blur_mm: Standard deviation of its point spread along each axis of its grid, ``(z, y, x)``.
        noise: Its noise.
    """

    blur_mm: Vector
    noise: Noise

    def point_spread(self, grid: Grid) -> NDArray[np.float64]:
        """Returns the point spread in the world: columns are standard deviations along the axes of the grid, mm, ``(3, 3)``."""
        return grid.directions * np.asarray(self.blur_mm)


def measure_quality(volume: Volume, rng: np.random.Generator) -> ImageQuality:
    """Returns how a scan shows things, as measured in the scan itself.

    Raises:
        StudyError: It shows too little bone or too little even soft tissue to measure either.
    """
    blur = tuple(_blur_mm(volume, axis, rng) for axis in range(3))
    known = [one for one in blur if one is not None]
    if not known:
        raise StudyError("A scan for grafts needs edges of bone to measure its blur. Too few were found: is it a CT of bone?")
    z, y, x = (min(known) if one is None else one for one in blur)
    if np.isclose(*volume.grid.spacing_mm[1:], rtol=0.01):  # of one plane, which a scanner blurs alike; edges may be rough
        y = x = min(y, x)
    return ImageQuality((z, y, x), _measure_noise(volume, rng))


def stored_values(hu: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Returns the values that a scan has, where it has not every whole HU, as one of 256 grey levels; ``None`` elsewhere.

    Args:
        hu: In whole HU, ``(z, y, x)``.
    """
    counts = np.zeros(1 << 16, np.int64)
    for plane in hu:
        counts += np.bincount((plane.ravel().astype(np.int16).astype(np.int32) + (1 << 15)), minlength=1 << 16)
    values = np.flatnonzero(counts) - (1 << 15)
    among = values[(values > _COMMON_HU[0]) & (values < _COMMON_HU[1])]
    if not len(among) or len(among) > _EVERY * (_COMMON_HU[1] - _COMMON_HU[0]):
        return None
    return values.astype(np.float32)


def _blur_mm(volume: Volume, axis: int, rng: np.random.Generator) -> float | None:
    """Returns the standard deviation of the point spread along an axis, from edges across it; ``None`` where there are few."""
    hu, spacing = volume.hu, volume.grid.spacing_mm[axis]
    reach = max(2, int(np.ceil(_REACH_MM / spacing)))
    places = _edges(volume, axis, reach, rng)
    if len(places) < _FEWEST_EDGES:
        return None
    offsets = np.arange(-reach, reach + _STEP / 2, _STEP)
    index = np.repeat(places[:, :, None], len(offsets), axis=2).astype(np.float64)
    index[:, axis] += offsets
    low = places.min(axis=0) - 4 * reach
    box = tuple(slice(max(int(a), 0), int(b)) for a, b in zip(low, places.max(axis=0) + 4 * reach, strict=True))
    near = index - np.array([side.start for side in box])[None, :, None]
    profiles = ndimage.map_coordinates(hu[box], np.moveaxis(near, 1, 0), np.float32, order=3, mode="nearest")
    widths = _edge_widths(profiles, round(_NEAR / _STEP))
    if len(widths) < _FEWEST_EDGES:
        return None
    widths = _edge_widths(profiles, round(max(_NEAR, _WHOLE * float(np.median(widths))) / _STEP))
    voxels = float(np.quantile(widths, _SHARP_SHARE))
    return float(np.clip(voxels, _LEAST_BLUR, _MOST_BLUR)) * spacing


def _edge_widths(profiles: NDArray[np.float32], near: int) -> NDArray[np.float64]:
    """Returns the standard deviation of each blurred step among profiles ``(n, steps)``, in voxels: its rise by its slope.

    Args:
        profiles: Across edges.
        near: So many steps on either side of where it is steepest belong to the step.
    """
    slopes = np.gradient(profiles, _STEP, axis=1)
    quarter = profiles.shape[1] // 4
    steepest = np.argmax(np.abs(slopes[:, quarter:-quarter]), axis=1) + quarter
    slope = np.abs(slopes[np.arange(len(profiles)), steepest])
    rise = np.array([np.ptp(line[max(s - near, 0) : s + near + 1]) for line, s in zip(profiles, steepest, strict=True)])
    widths = rise / np.maximum(slope * np.sqrt(2 * np.pi), 1e-6)
    return np.asarray(widths[rise > _EDGE_HU], dtype=np.float64)


def _edges(volume: Volume, axis: int, reach: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Returns voxels ``(n, 3)`` at edges of bone whose slope runs along an axis."""
    hu = volume.hu
    inner = tuple(slice(reach, max(n - reach, reach)) if a == axis else slice(1, max(n - 1, 1)) for a, n in enumerate(hu.shape))
    if hu[inner].size == 0:
        return np.empty((0, 3), np.intp)
    start = np.array([side.start for side in inner])
    step = (hu[_moved(inner, axis, 1)] - hu[_moved(inner, axis, -1)]) / 2
    candidates = np.argwhere(np.abs(step) > _EDGE_HU / 4) + start
    if not len(candidates):
        return candidates
    candidates = candidates[rng.permutation(len(candidates))[: 20 * _MOST_EDGES]]
    spacing = volume.grid.spacing_mm
    unit = np.eye(3, dtype=np.intp)
    slopes = np.stack(
        [(hu[tuple((candidates + u).T)] - hu[tuple((candidates - u).T)]) / (2 * s) for u, s in zip(unit, spacing, strict=True)]
    )
    length = np.linalg.norm(slopes, axis=0)
    ends = [hu[tuple((candidates + sign * 2 * unit[axis]).T)] for sign in (-1, 1)]
    of_bone = (np.maximum(*ends) > _BONE_HU) & (np.minimum(*ends) > _SOFT_HU[0]) & (np.minimum(*ends) < _BONE_HU)
    kept = candidates[(np.abs(slopes[axis]) > _ALONG * length) & of_bone]
    return kept[:_MOST_EDGES]


def _moved(box: tuple[slice, ...], axis: int, by: int) -> tuple[slice, ...]:
    return tuple(slice(s.start + by, s.stop + by) if a == axis else s for a, s in enumerate(box))


def _measure_noise(volume: Volume, rng: np.random.Generator) -> Noise:
    hu = volume.hu
    slices = max(min(_PATCH[0], round(_PATCH_MM / volume.grid.spacing_mm[0])), _FEWEST_SLICES)
    size = tuple(min(side, n) for side, n in zip((slices, *_PATCH[1:]), hu.shape, strict=True))
    window = _window(size)
    basis = _trend(size)
    deviations, powers = [], []
    for place in _even_patches(hu, size, rng):
        patch = hu[tuple(slice(a, a + n) for a, n in zip(place, size, strict=True))].ravel().astype(np.float64)
        rest = (patch - basis @ (basis.T @ patch)).reshape(size)
        deviations.append(float(rest.std()))
        powers.append(np.abs(fft.fftn(rest * window)) ** 2)
    if len(deviations) < _FEWEST_PATCHES:
        raise StudyError(
            "A scan for grafts needs even soft tissue to measure its noise. Too little was found: give more of the neck."
        )
    quiet = np.argsort(deviations)[: max(_FEWEST_PATCHES, round(_QUIET_SHARE * len(deviations)))]
    power = np.mean([powers[n] / powers[n].mean() for n in quiet], axis=0)
    power = ndimage.gaussian_filter(power, 0.6, mode="wrap")
    return Noise(float(np.median([deviations[n] for n in quiet])), power / power.mean())


def _even_patches(hu: NDArray[np.float32], size: tuple[int, ...], rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Returns the first voxels of patches of soft tissue, apart from one another; patches are tried at random."""
    found: list[NDArray[np.intp]] = []
    most = np.array(hu.shape) - size
    coarse = hu[::2, ::2, ::2]
    soft = np.argwhere((coarse > _SOFT_HU[0] + 60) & (coarse < _SOFT_HU[1])) * 2 - np.array(size) // 2
    soft = soft[np.all((soft >= 0) & (soft <= most), axis=1)]
    for place in soft[rng.permutation(len(soft))[:6000]]:
        patch = hu[tuple(slice(a, a + n) for a, n in zip(place, size, strict=True))]
        smooth = ndimage.uniform_filter(patch, 4)
        if np.ptp(smooth) < _EVEN_HU + float((patch - smooth).std()) and _SOFT_HU[0] < patch.mean() < _SOFT_HU[1]:
            if all(np.any(np.abs(place - other) >= np.array(size) // 2) for other in found):
                found.append(place)
            if len(found) == _MOST_PATCHES:
                break
    return found


def _window(size: tuple[int, ...]) -> NDArray[np.float64]:
    z, y, x = (np.hanning(n + 2)[1:-1] for n in size)
    return z[:, None, None] * y[:, None] * x


def _trend(size: tuple[int, ...]) -> NDArray[np.float64]:
    """Returns orthonormal columns of slopes and bends over a patch, ``(voxels, 10)``."""
    z, y, x = (axis.ravel() for axis in np.meshgrid(*[np.linspace(-1, 1, n) for n in size], indexing="ij"))
    columns = np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], axis=1)
    basis, _ = np.linalg.qr(columns)
    return np.asarray(basis)
