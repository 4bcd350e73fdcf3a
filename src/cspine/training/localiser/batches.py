"""Batches of windows, the same for the same seed, epoch and number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.training.localiser.augmentation import apply_chance, draw_chance
from cspine.training.localiser.known import targets_of
from cspine.training.localiser.pool import PoolImage, read_pool_image
from cspine.training.localiser.settings import ChanceSettings, LocaliserRecipe
from cspine.training.refiner.settings import RefinerRecipe

Windows = list[tuple[NDArray[np.float32], NDArray[np.uint8]]]
"""Windows ``(z, y, x)`` and their classes."""

Draw = Callable[[np.random.Generator], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Draws what a network takes, ``(z, y, x, c)``, and what its loss takes, ``(z, y, x)``."""

_FIXED = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """What windows are drawn from.

    Attributes:
        necks: Files of synthetic necks.
        patients: Studies with masks.
        share: Of windows, how many come from these, where there are any.
    """

    necks: Sequence[Path]
    patients: Sequence[PoolImage] = ()
    share: float = 0.0

    def draw(self, rng: np.random.Generator) -> PoolImage:
        """One of them."""
        if self.patients and rng.random() < self.share:
            return self.patients[int(rng.integers(len(self.patients)))]
        return read_pool_image(self.necks[int(rng.integers(len(self.necks)))])


class WindowBatches(keras.utils.PyDataset):
    """The batches of one epoch, from ``first`` on."""

    def __init__(self, draw: Draw, recipe: LocaliserRecipe | RefinerRecipe, epoch: int, first: int = 0) -> None:
        super().__init__(workers=recipe.fit.workers, use_multiprocessing=False, max_queue_size=8)
        self._draw, self._recipe, self._epoch, self._first = draw, recipe, epoch, first

    def __len__(self) -> int:
        return self._recipe.batches - self._first

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the network takes ``(n, z, y, x, c)`` and what the loss takes ``(n, z, y, x)``."""
        rng = np.random.default_rng([self._recipe.seed, self._epoch, self._first + index])
        drawn = [self._draw(rng) for _ in range(self._recipe.batch)]
        return np.stack([fed for fed, _ in drawn]), np.stack([targets for _, targets in drawn])


def draw_sample(
    rng: np.random.Generator, sources: Sources, recipe: LocaliserRecipe
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A window as the network takes it, ``(z, y, x, 1)``, and what the loss takes, ``(z, y, x)``."""
    window, classes = draw_window(rng, sources, recipe)
    return window[..., None], targets_of(classes)


def draw_window(
    rng: np.random.Generator, sources: Sources, recipe: LocaliserRecipe, settings: ChanceSettings | None = None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A window of one of the sources, ``(z, y, x)``, and its classes."""
    image = sources.draw(rng)
    chance = draw_chance(rng, settings or recipe.chance, recipe.input, image.hu.shape)
    return apply_chance(chance, image, recipe.input)


def fixed_windows(necks: Sequence[Path], recipe: LocaliserRecipe) -> Windows:
    """One window of each neck, always the same: what epochs are judged on."""
    return [
        draw_window(np.random.default_rng([recipe.pool.seed, _FIXED, number]), Sources([path]), recipe)
        for number, path in enumerate(necks)
    ]
