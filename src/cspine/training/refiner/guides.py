"""Varies coarse labels at random: parameters are sampled first, then applied to the labels of a crop."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import BACKGROUND, Level
from cspine.specs import RefinerSpec
from cspine.training.localiser.augmentation import interpolated
from cspine.training.refiner.settings import GuideSettings

_LATTICE = (4, 5, 5)
_SOFT, _GRAIN = 0.7, 2.0
"""Standard deviations in coarse voxels: how steep a border is, and how far noise on it reaches."""

_MOST_SWAPS = 3
_LEAST_SHARE = 0.05
_DIRECTIONS = np.array([(0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0)], dtype=float)
"""Where a part lies in its vertebra, ``(z, y, x)``: arch, front, top (the dens), bottom."""

_ODDS = (0.5, 0.15, 0.2, 0.15)


@dataclass(frozen=True, slots=True, eq=False)
class Swap:
    """A part of a vertebra with another name.

    Attributes:
        giver: Whose it is, counted from the vertebra that is segmented: -1 above it, 0 itself, 1 below.
        taker: Whose name it gets, counted alike; ``None`` where it gets none.
        direction: The part lies there, ``(z, y, x)``.
        share: How much of the vertebra it is.
    """

    giver: int
    taker: int | None
    direction: NDArray[np.float64]
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class GuideChange:
    """Holds what is done to coarse labels.

    Attributes:
        shift_mm: By which they all are off, ``(z, y, x)``.
        elastic_mm: Displacement on a coarse lattice, ``(3, z, y, x)``.
        border_noise: Amplitude of a smooth field that moves borders.
        size_noise: By which vertebrae are preferred to what is none.
        swaps: Parts with other names.
        seed: Of the field.
    """

    shift_mm: NDArray[np.float64]
    elastic_mm: NDArray[np.float64] = field(repr=False)
    border_noise: float
    size_noise: float
    swaps: tuple[Swap, ...]
    seed: int


def sample_guide(rng: np.random.Generator, settings: GuideSettings) -> GuideChange:
    """Samples how far the coarse labels of a crop are off."""
    direction = rng.normal(size=3)
    swaps: list[Swap] = []
    while len(swaps) < _MOST_SWAPS and rng.random() < settings.swap_share:
        swaps.append(_sample_swap(rng, settings))
    return GuideChange(
        shift_mm=direction / np.linalg.norm(direction) * rng.uniform(0, settings.shift_mm),
        elastic_mm=rng.normal(0, settings.elastic_mm, (3, *_LATTICE)),
        border_noise=float(abs(rng.normal(0, settings.border_noise))),
        size_noise=float(rng.normal(0, settings.size_noise)),
        swaps=tuple(swaps),
        seed=int(rng.integers(1 << 31)),
    )


def _sample_swap(rng: np.random.Generator, settings: GuideSettings) -> Swap:
    direction = _DIRECTIONS[rng.choice(len(_DIRECTIONS), p=_ODDS)] + rng.normal(0, 0.25, 3)
    share = float(rng.uniform(_LEAST_SHARE, settings.swap_largest))
    neighbour = int(rng.choice((-1, 1)))
    if rng.random() < settings.drop_share:
        return Swap(0, None, direction, share)
    giver, taker = (0, neighbour) if rng.random() < 0.5 else (neighbour, 0)
    return Swap(giver, taker, direction, share)


def apply_guide(change: GuideChange, classes: NDArray[np.uint8], level: int, spec: RefinerSpec) -> NDArray[np.uint8]:
    """Returns coarse labels of a crop as a first network might give them.

    Args:
        change: What is done.
        classes: Of the crop: C1..C7, other vertebra, other bone, ``(z, y, x)``.
        level: Which vertebra is segmented.
        spec: The crop.

    Returns:
        C1..C7, and T1 for any other vertebra, on the :func:`cspine.imaging.crops.guide_grid` of the crop.
    """
    labels = _with_border_noise(change, _moved(change, classes, spec))
    for swap in change.swaps:
        _swap(swap, labels, level)
    return labels


def _moved(change: GuideChange, classes: NDArray[np.uint8], spec: RefinerSpec) -> NDArray[np.uint8]:
    """Returns labels on coarse voxels, shifted and deformed."""
    size = tuple(side // spec.guide_step for side in spec.size)
    index = np.indices(size).astype(np.float32) * spec.guide_step + (spec.guide_step - 1) / 2
    for axis, spacing in enumerate(spec.spacing_mm):
        index[axis] += (interpolated(change.elastic_mm[axis], size) + np.float32(change.shift_mm[axis])) / spacing
    labels = ndimage.map_coordinates(classes, index, np.uint8, order=0, mode="nearest")
    return np.where(labels > Level.T1, BACKGROUND, labels).astype(np.uint8)


def _with_border_noise(change: GuideChange, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns labels with borders that waver, in places as far as holes and bridges."""
    rng = np.random.default_rng(change.seed)
    best, winner = np.full(labels.shape, -np.inf, np.float32), np.zeros(labels.shape, np.uint8)
    for label in np.unique(labels):
        score = ndimage.gaussian_filter((labels == label).astype(np.float32), _SOFT, mode="nearest")
        rough = ndimage.gaussian_filter(rng.standard_normal(labels.shape, dtype=np.float32), _GRAIN, mode="nearest")
        score += np.float32(change.border_noise) * rough / rough.std() + np.float32(change.size_noise if label else 0.0)
        score[ndimage.gaussian_filter((labels == label).astype(np.float32), 1.0, mode="nearest") < 0.02] = -np.inf
        wins = score > best
        best[wins], winner[wins] = score[wins], label
    return winner


def _swap(swap: Swap, labels: NDArray[np.uint8], level: int) -> None:
    """Gives a part of a vertebra another name. In place."""
    giver, taker = level + swap.giver, BACKGROUND if swap.taker is None else level + swap.taker
    index = np.argwhere(labels == giver)
    if giver > BACKGROUND and len(index):
        along = index @ swap.direction
        part = index[along > np.quantile(along, 1 - swap.share)]
        labels[tuple(part.T)] = min(taker, Level.T1)
