"""Moving and changing a slice in training: one function samples how, another does it, to the slice and all that is marked on it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.specs import SliceSpec
from cspine.training.slices.settings import SliceAugmentation


@dataclass(frozen=True, slots=True)
class Change:
    """Holds what is done to one slice.

    Attributes:
        angle_rad: Rotation.
        scale: Factor of size.
        shift_px: Along rows and columns, in pixels.
        mirrored: Left and right exchanged.
        gain: Factor of contrast around the middle of the window.
        offset: Added brightness, in units of the window.
        noise: Standard deviation of added noise, in units of the window.
        noise_seed: Of that noise.
    """

    angle_rad: float = 0.0
    scale: float = 1.0
    shift_px: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False
    gain: float = 1.0
    offset: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0

    @property
    def warps(self) -> bool:
        """Says whether pixels come to lie between pixels."""
        return self.angle_rad != 0 or self.scale != 1


def sample_change(rng: np.random.Generator, settings: SliceAugmentation, spec: SliceSpec) -> Change:
    """Samples what is done to one slice."""
    low, high = spec.window_hu
    either = rng.uniform(-1, 1, 6)
    shift_px = settings.shift_mm * either[2:4] / np.asarray(spec.spacing_mm[1:])
    warped = rng.random() < settings.warp_share
    shift_px = shift_px if warped else np.rint(shift_px)
    return Change(
        angle_rad=float(np.radians(settings.turn_deg) * either[0]) if warped else 0.0,
        scale=float(1 + settings.scale * either[1]) if warped else 1.0,
        shift_px=(float(shift_px[0]), float(shift_px[1])),
        mirrored=bool(rng.random() < settings.flip_share),
        gain=float(1 + settings.gain * either[4]),
        offset=float(settings.offset_hu / (high - low) * either[5]),
        noise=float(settings.noise_hu / (high - low) * rng.random()),
        noise_seed=int(rng.integers(2**31)),
    )


def apply_change(
    image: NDArray[np.float32],
    marks: NDArray[np.uint8],
    change: Change,
    crop: tuple[int, int] | None = None,
    centre: tuple[int, int] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Returns a slice and its marks after a change; the slice is interpolated linearly, marks take the nearest pixel.

    Args:
        image: In 0..1, ``(rows, columns, channels)``; beyond its border the border goes on.
        marks: ``(rows, columns)``; beyond the border nothing is marked.
        change: What is done.
        crop: Rows and columns of the part that is wanted, around what is marked; the whole slice if ``None``.
        centre: Row and column that the part lies around instead.
    """
    shape = marks.shape if crop is None else crop
    matrix, offset = _source(_centre(marks, crop) if centre is None else np.array(centre) - 0.5, shape, change)
    order: Literal[0, 1] = 1 if change.warps else 0
    layers = [
        ndimage.affine_transform(image[..., channel], matrix, offset, shape, order=order, mode="nearest")
        for channel in range(image.shape[-1])
    ]
    if marks.any():
        marks = ndimage.affine_transform(marks, matrix, offset, shape, order=0, mode="grid-constant")
    else:
        marks = np.zeros(shape, dtype=np.uint8)
    image = (np.stack(layers, axis=-1) - np.float32(0.5)) * np.float32(change.gain) + np.float32(0.5 + change.offset)
    if change.noise > 0:
        noise = np.random.default_rng(change.noise_seed).standard_normal(image.shape, dtype=np.float32)
        image += np.float32(change.noise) * noise
    return np.clip(image, 0, 1, dtype=np.float32), marks


def _centre(marks: NDArray[np.uint8], crop: tuple[int, int] | None) -> NDArray[np.float64]:
    """Returns the point that stays in the middle: of the slice, or of what is marked, between pixels where the size is even."""
    rows, columns = np.nonzero(marks) if crop is not None else ((), ())
    if not len(rows):
        return (np.asarray(marks.shape) - 1) / 2
    return np.rint([np.mean(rows), np.mean(columns)]) - 0.5


def _source(centre: NDArray[np.float64], shape: tuple[int, ...], change: Change) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns matrix and offset that say from which row and column a pixel is taken."""
    middle = (np.asarray(shape) - 1) / 2
    cosine, sine = np.cos(change.angle_rad), np.sin(change.angle_rad)
    matrix = np.array([[cosine, -sine], [sine, cosine]]) / change.scale
    if change.mirrored:
        matrix[1] *= -1
    return matrix, centre - matrix @ (middle + np.asarray(change.shift_px))
