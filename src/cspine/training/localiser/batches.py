"""Batches of windows, the same for the same seed, epoch and number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.locating.region_proposal import REGION_VOXEL
from cspine.training.core.marks import LabelledImage
from cspine.training.core.settings import FitSettings
from cspine.training.localiser.augmentation import apply_change, sample_change
from cspine.training.localiser.pool import Windows, read_pool_image, targets_of
from cspine.training.localiser.settings import LocaliserRecipe, VolumeAugmentation

SampleOne = Callable[[np.random.Generator], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Samples what a network takes, ``(z, y, x, c)``, and what its loss takes, ``(z, y, x)``."""

_FIXED = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Holds what windows are sampled from.

    Attributes:
        necks: Files of synthetic necks.
        patients: Studies with masks.
        share: Of windows, how many come from these, where there are any.
    """

    necks: Sequence[Path]
    patients: Sequence[LabelledImage] = ()
    share: float = 0.0

    def sample(self, rng: np.random.Generator) -> LabelledImage:
        """Returns one of them."""
        if self.patients and rng.random() < self.share:
            return self.patients[int(rng.integers(len(self.patients)))]
        return read_pool_image(self.necks[int(rng.integers(len(self.necks)))])


class WindowBatches(keras.utils.PyDataset):
    """The batches of one epoch, from ``first`` on."""

    def __init__(self, sample: SampleOne, settings: FitSettings, seed: int, epoch: int, first: int = 0) -> None:
        super().__init__(workers=settings.workers, use_multiprocessing=False, max_queue_size=8)
        self._sample, self._settings, self._seed, self._epoch, self._first = sample, settings, seed, epoch, first

    def __len__(self) -> int:
        return self._settings.batches - self._first

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns what the network takes ``(n, z, y, x, c)`` and what the loss takes ``(n, z, y, x)``."""
        rng = np.random.default_rng([self._seed, self._epoch, self._first + index])
        sampled = [self._sample(rng) for _ in range(self._settings.batch)]
        return np.stack([fed for fed, _ in sampled]), np.stack([targets for _, targets in sampled])


def sample_training_window(
    rng: np.random.Generator, sources: Sources, recipe: LocaliserRecipe
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns a window as the network takes it, ``(z, y, x, 1)``, and what the loss takes, ``(z, y, x)``."""
    window, classes = sample_window(rng, sources, recipe)
    return window[..., None], targets_of(classes)


def sample_window(
    rng: np.random.Generator, sources: Sources, recipe: LocaliserRecipe, settings: VolumeAugmentation | None = None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Returns a window of one of the sources, ``(z, y, x)``, and its classes."""
    image = sources.sample(rng)
    voxel = _sample_voxel(rng, image, recipe.region_share)
    change = sample_change(rng, settings or recipe.augmentation, recipe.input, image.hu.shape, voxel)
    return apply_change(change, image, recipe.input)


def _sample_voxel(rng: np.random.Generator, image: LabelledImage, region_share: float) -> float:
    """Samples the size of voxels against the network's own; a chest or loin keeps its own, or it would look like a neck."""
    larger = region_share > 0 and rng.random() < region_share and bool(np.isin(image.classes, CERVICAL).any())
    return REGION_VOXEL if larger else 1.0


def fixed_windows(necks: Sequence[Path], recipe: LocaliserRecipe) -> Windows:
    """Returns one window of each neck, always the same: what the network is validated on."""
    return [
        sample_window(np.random.default_rng([recipe.pool.seed, _FIXED, number]), Sources([path]), recipe)
        for number, path in enumerate(necks)
    ]
