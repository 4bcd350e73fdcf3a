"""Finding the weights of a refiner."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cspine.training.core.initial_weights import begin_with
from cspine.training.core.loop import Lesson, fit_epochs
from cspine.training.core.losses import KnownDiceCrossentropy
from cspine.training.localiser.batches import WindowBatches
from cspine.training.refiner.crops import draw_sample, fixed_crops
from cspine.training.refiner.scoring import judge_crops
from cspine.training.refiner.settings import RefinerRecipe
from cspine.training.slices.fitting import Reporter


@dataclass(frozen=True, slots=True)
class RefinerRecord:
    """One line of the log of a refiner.

    Attributes:
        epoch: Counted from 1.
        loss: Mean of the epoch, or of what was left of it after a resume.
        dice: As :class:`.CropScore`, on necks out of shape.
        poor: The same.
        off_mm: The same.
        seconds: Training and judging.
    """

    epoch: int
    loss: float
    dice: float
    poor: float
    off_mm: float
    seconds: float

    @property
    def score(self) -> float:
        """What the best epoch is chosen by."""
        return self.dice if np.isfinite(self.dice) else float("-inf")


def fit_refiner(recipe: RefinerRecipe, necks: Sequence[Path], held_out: Sequence[Path], home: Path, reporter: Reporter) -> None:
    """Trains the network, from its checkpoint on where there is one.

    Writes ``best.keras``, ``log.csv``, ``tensorboard`` and ``checkpoint.npz`` into ``home``.

    Args:
        recipe: What to train.
        necks: Files of the pool to learn from.
        held_out: Those that choose the epoch.
        home: Where it writes.
        reporter: Who wants to know.

    Raises:
        TrainingError: The checkpoint does not fit, or the loss is no number any more.
        OutputError: ``home`` cannot be written.
    """
    lesson = Lesson(
        build=lambda: begin_with(recipe.network.build(recipe.input, recipe.seed), recipe.start, "fine"),
        batches=partial(WindowBatches, partial(draw_sample, necks=necks, recipe=recipe), recipe),
        held_out=partial(fixed_crops, held_out, recipe),
        judge=lambda model, crops: asdict(judge_crops(model, crops, recipe.input)),
        loss=KnownDiceCrossentropy(),
        record=RefinerRecord,
    )
    fit_epochs(recipe, lesson, home, reporter)
