"""Finding the weights of a localiser."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cspine.training.core.initial_weights import begin_with
from cspine.training.core.loop import Lesson, fit_epochs
from cspine.training.localiser.batches import Sources, WindowBatches, Windows, draw_sample
from cspine.training.localiser.losses import VoxelDiceCrossentropy
from cspine.training.localiser.scoring import judge_windows
from cspine.training.localiser.settings import LocaliserRecipe
from cspine.training.slices.fitting import Reporter


@dataclass(frozen=True, slots=True)
class LocaliserRecord:
    """One line of the log of a localiser.

    Attributes:
        epoch: Counted from 1.
        loss: Mean of the epoch, or of what was left of it after a resume.
        dice: As :class:`.WindowScore`, on necks out of shape, or on patients that are held out.
        right: The same.
        wrong: The same.
        invented: The same.
        seconds: Training and judging.
    """

    epoch: int
    loss: float
    dice: float
    right: float
    wrong: float
    invented: float
    seconds: float

    @property
    def score(self) -> float:
        """What the best epoch is chosen by."""
        score = self.dice + self.right - self.wrong
        return score if np.isfinite(score) else float("-inf")


def fit_localiser(
    recipe: LocaliserRecipe, sources: Sources, held_out: Callable[[], Windows], home: Path, reporter: Reporter
) -> None:
    """Trains the network, from its checkpoint on where there is one.

    Writes ``best.keras``, ``log.csv``, ``tensorboard`` and ``checkpoint.npz`` into ``home``.

    Args:
        recipe: What to train.
        sources: What windows are drawn from.
        held_out: Gives those that choose the epoch.
        home: Where it writes.
        reporter: Who wants to know.

    Raises:
        TrainingError: The checkpoint does not fit, or the loss is no number any more.
        OutputError: ``home`` cannot be written.
    """
    lesson = Lesson(
        build=lambda: begin_with(recipe.network.build(recipe.input, recipe.seed), recipe.start, "coarse"),
        batches=partial(WindowBatches, partial(draw_sample, sources=sources, recipe=recipe), recipe),
        held_out=held_out,
        judge=lambda model, windows: asdict(judge_windows(model, windows, recipe.input)),
        loss=VoxelDiceCrossentropy(),
        record=LocaliserRecord,
    )
    fit_epochs(recipe, lesson, home, reporter)
