"""Batches of windows, the same for the same seed, epoch and number."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.training.localiser.chance import apply_chance, draw_chance
from cspine.training.localiser.pool import read_pool_image
from cspine.training.localiser.recipe import ChanceSettings, LocaliserRecipe

_FIXED = 1 << 16


class WindowBatches(keras.utils.PyDataset):
    """The batches of one epoch, from ``first`` on."""

    def __init__(self, necks: Sequence[Path], recipe: LocaliserRecipe, epoch: int, first: int = 0) -> None:
        super().__init__(workers=recipe.fit.workers, use_multiprocessing=False, max_queue_size=8)
        self._necks, self._recipe, self._epoch, self._first = necks, recipe, epoch, first

    def __len__(self) -> int:
        return self._recipe.batches - self._first

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Windows ``(n, z, y, x, 1)`` and their classes ``(n, z, y, x)``."""
        recipe = self._recipe
        rng = np.random.default_rng([recipe.seed, self._epoch, self._first + index])
        drawn = [draw_window(rng, self._necks, recipe) for _ in range(recipe.batch)]
        return np.stack([image[..., None] for image, _ in drawn]), np.stack([classes for _, classes in drawn]).astype(np.float32)


def draw_window(
    rng: np.random.Generator, necks: Sequence[Path], recipe: LocaliserRecipe, settings: ChanceSettings | None = None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A window of one of the necks, ``(z, y, x)``, and its classes."""
    image = read_pool_image(necks[int(rng.integers(len(necks)))])
    chance = draw_chance(rng, settings or recipe.chance, recipe.input, image.hu.shape)
    return apply_chance(chance, image, recipe.input)


def fixed_windows(necks: Sequence[Path], recipe: LocaliserRecipe) -> list[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """One window of each neck, always the same: what epochs are judged on."""
    return [
        draw_window(np.random.default_rng([recipe.pool.seed, _FIXED, number]), [path], recipe) for number, path in enumerate(necks)
    ]
