"""Learning what a fracture looks like from patches, before whole studies or slices: half of them on a fracture, some hard.

A study has a hundred slices, of which few show a fracture, and that in few of their cells. From patches on known fractures and on
bone that is known to be intact a network learns many times faster. Hard negatives (Sung and Poggio, 1998) are patches of intact
bone that looked most fractured to the network at the end of the epoch before.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.errors import TrainingError
from cspine.evaluation.metrics import auroc
from cspine.storage.array_files import read_arrays
from cspine.storage.files import replacing_file
from cspine.training.core.loop import TrainingTask, Validation
from cspine.training.core.losses import KnownBinaryCrossentropy
from cspine.training.core.part_settings import PatchSettings

Patch = tuple[NDArray[np.float32], NDArray[np.float32]]
"""A part of a slice ``(rows, columns, channels)`` with its cells ``(rows / 8, columns / 8)``, below 0 where not known."""

_AT_ONCE = 50
_HARDEST = 10
"""One in so many of the patches that are mined is a hard negative."""

_VALIDATING, _MINING = 2, 3
"""Set apart the random numbers of validation and of mining from those of batches."""


class PatchSource(Protocol):
    """Knows where patches may be cut in studies, and how one is cut.

    Attributes:
        fractured: Centres on known fractures, one a row.
        intact: Centres on bone that is known to be intact, one a row.
    """

    @property
    def fractured(self) -> NDArray[np.int32]: ...  # noqa: D102

    @property
    def intact(self) -> NDArray[np.int32]: ...  # noqa: D102

    def cut(self, rng: np.random.Generator, centre: NDArray[np.int32]) -> Patch:
        """Returns the patch around a centre, augmented."""
        ...


def sample_patch(
    rng: np.random.Generator, source: PatchSource, settings: PatchSettings, hard: NDArray[np.int32] | None = None
) -> Patch:
    """Returns a patch, augmented.

    Args:
        rng: Random generator.
        source: Where patches may be cut.
        settings: How often which kind is.
        hard: Centres of hard negatives, if there are some.
    """
    pool = source.fractured if len(source.fractured) and rng.random() < settings.fractured_share else source.intact
    if hard is not None and len(hard) and pool is source.intact and rng.random() < settings.hard_share:
        pool = hard
    return source.cut(rng, pool[int(rng.integers(len(pool)))])


@dataclass(frozen=True, slots=True)
class PatchOrder:
    """Holds what patches are sampled by.

    Attributes:
        seed: Of the recipe.
        fold: Number of the fold.
        workers: Threads that prepare batches.
    """

    seed: int
    fold: int
    workers: int = 1


class PatchBatches(keras.utils.PyDataset):
    """The batches of one epoch, from ``first`` on."""

    def __init__(
        self,
        source: PatchSource,
        settings: PatchSettings,
        order: PatchOrder,
        epoch: int,
        first: int = 0,
        hard: NDArray[np.int32] | None = None,
    ) -> None:
        super().__init__(workers=order.workers, use_multiprocessing=False, max_queue_size=8)
        self._source, self._settings, self._order = source, settings, order
        self._epoch, self._first, self._hard = epoch, first, hard

    def __len__(self) -> int:
        return self._settings.batches - self._first

    def __getitem__(self, index: int) -> Patch:
        """Returns patches ``(n, rows, columns, channels)`` and if their cells are fractured, ``(n, rows / 8, columns / 8, 1)``."""
        rng = np.random.default_rng([self._order.seed, self._order.fold, self._epoch, self._first + index, 1])
        sampled = [sample_patch(rng, self._source, self._settings, self._hard) for _ in range(self._settings.batch)]
        return np.stack([fed for fed, _ in sampled]), np.stack([cells for _, cells in sampled])[..., None]


def fixed_patches(source: PatchSource, settings: PatchSettings, seed: int) -> list[Patch]:
    """Returns patches of studies, always the same: what the network is validated on; none where there is no intact bone."""
    if not len(source.intact):
        return []
    return [
        sample_patch(np.random.default_rng([seed, number, _VALIDATING]), source, settings) for number in range(settings.held_out)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class PatchTask:
    """Says what cells learn from patches.

    Attributes:
        build: Makes the network that classifies cells, with its initial weights.
        source: Where patches of the training set may be cut.
        held_out: Gives the same of held-out patients.
        settings: How.
        order: What patches are sampled by.
        home: Where hard negatives are kept.
    """

    build: Callable[[], keras.Model]
    source: PatchSource
    held_out: Callable[[], PatchSource]
    settings: PatchSettings
    order: PatchOrder
    home: Path

    def as_training_task(self) -> TrainingTask[list[Patch]]:
        """Returns it as the loop trains it."""
        mining = _HardNegatives(self)
        return TrainingTask(
            build=self.build,
            batches=mining.batches if self.settings.mined else partial(PatchBatches, self.source, self.settings, self.order),
            losses=KnownBinaryCrossentropy(),
            held_out=lambda: fixed_patches(self.held_out(), self.settings, self.order.seed),
            validate=mining.validate if self.settings.mined else validate_patches,
        )


class _HardNegatives:
    """Finds the hard negatives of the next epoch when one ends, and keeps them on disk: a run that was killed has the same."""

    def __init__(self, task: PatchTask) -> None:
        self._task, self._epoch = task, 0

    def batches(self, epoch: int, first: int) -> PatchBatches:
        """Returns the batches of an epoch, counted from 0."""
        self._epoch, task = epoch, self._task
        hard = None
        if epoch:
            path = self._file(epoch)
            try:
                hard = read_arrays(path, ["hard"])["hard"].astype(np.int32)
            except (OSError, ValueError) as error:
                raise TrainingError(
                    f"Training goes on with the hard negatives in {path}, which cannot be read. Train again."
                ) from error
        return PatchBatches(task.source, task.settings, task.order, epoch, first, hard)

    def validate(self, model: keras.Model, patches: list[Patch]) -> Validation:
        """Validates as without hard negatives."""
        task, number = self._task, self._epoch + 1
        rng = np.random.default_rng([task.order.seed, task.order.fold, number, _MINING])
        with replacing_file(self._file(number)) as made:
            np.savez(made, allow_pickle=False, hard=hardest(model, task.source, task.settings, rng))
        return validate_patches(model, patches)

    def _file(self, epoch: int) -> Path:
        return self._task.home / f"hard-{epoch}.npz"


def hardest(model: keras.Model, source: PatchSource, settings: PatchSettings, rng: np.random.Generator) -> NDArray[np.int32]:
    """Returns the centres of intact bone that look most fractured to a network, a tenth of those that are tried."""
    tried = source.intact[rng.integers(len(source.intact), size=settings.mined)]
    suspicion = _suspicion(model, [source.cut(rng, centre) for centre in tried])
    intact = np.where(suspicion.fractured, -math.inf, suspicion.highest)  # a fracture may be beside the bone that is intact
    return np.asarray(tried[np.argsort(-intact, kind="stable")[: max(1, len(tried) // _HARDEST)]])


@dataclass(frozen=True, slots=True, eq=False)
class _Suspicion:
    """Holds what a network predicts for the cells of patches, and their truth, ``(n, rows / 8, columns / 8)`` each."""

    cells: NDArray[np.float64]
    truth: NDArray[np.float32]

    @property
    def highest(self) -> NDArray[np.float64]:
        return np.asarray(self.cells.max(axis=(1, 2)))

    @property
    def fractured(self) -> NDArray[np.bool_]:
        return np.asarray((self.truth > 0).any(axis=(1, 2)))


def _suspicion(model: keras.Model, patches: list[Patch]) -> _Suspicion:
    parts = (np.stack([fed for fed, _ in patches[i : i + _AT_ONCE]]) for i in range(0, len(patches), _AT_ONCE))
    predicted = np.concatenate([np.asarray(model.predict_on_batch(part))[..., 0] for part in parts]).astype(np.float64)
    return _Suspicion(predicted, np.stack([cells for _, cells in patches]))


def validate_patches(model: keras.Model, patches: list[Patch]) -> Validation:
    """Returns the AUROC of the known cells of patches, and of the patches by their most suspicious cell."""
    if not patches:
        return Validation({"auroc_cells": math.nan, "auroc_patches": math.nan}, math.nan)
    found = _suspicion(model, patches)
    known = found.truth >= 0
    metrics = {
        "auroc_cells": auroc(found.truth[known] > 0, found.cells[known]),
        "auroc_patches": auroc(found.fractured, found.highest),
    }
    return Validation(metrics, metrics["auroc_patches"])
