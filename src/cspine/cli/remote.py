"""Holds what workers of a cluster do for a run: fill its cache, train a fold, predict studies.

Each call names folders that all machines see, and may run in a process that has done others before.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cspine.cli.keras_import import load_keras
from cspine.datasets import Case

if TYPE_CHECKING:
    from cspine.training.core.family import Predictions


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Says where a run and what belongs to it lie.

    Attributes:
        run: Its folder.
        cache: Where prepared studies are kept.
        data: The data set folder, or ``None`` where it makes its necks itself.
        backend: The framework that Keras runs on.
    """

    run: Path
    cache: Path
    data: Path | None
    backend: str


def fill_cache(place: RunPlace, cases: Sequence[Case]) -> None:
    """Prepares some studies for all folds of a run."""
    _load(place)
    from cspine.cli.families import family_of_run
    from cspine.training.core.family import FillsCache, TrainingPlace
    from cspine.training.core.log import Callback
    from cspine.training.core.runs import open_run

    family = family_of_run(open_run(place.run))
    if isinstance(family, FillsCache):
        family.fill_cache(cases, TrainingPlace(place.cache, place.data), Callback())


def train_fold(place: RunPlace, fold: int) -> list[str]:
    """Trains the network of one fold, from its checkpoint on where there is one.

    Returns:
        What was left out, and what became of the last epoch, in lines.
    """
    _load(place)
    from cspine.cli.families import family_of_run
    from cspine.training.core.checkpoint import EpochRecord
    from cspine.training.core.family import TrainingPlace, train
    from cspine.training.core.log import Callback, line_of
    from cspine.training.core.runs import open_run

    class Messages(Callback):
        def __init__(self) -> None:
            self.lines, self.last = list[str](), list[str]()

        def warn(self, text: str) -> None:
            self.lines.append(text)

        def epoch(self, record: EpochRecord, of: int, home: Path) -> None:  # noqa: ARG002
            self.last = [line_of(record, of)]

    run, messages = open_run(place.run), Messages()
    train(family_of_run(run), run, TrainingPlace(place.cache, place.data), [fold], messages)
    return [*messages.lines, *messages.last]


def predict(place: RunPlace, finder: str, network: Path, cases: Sequence[Case], localises: bool) -> "Predictions":
    """Returns what a network of a run predicts for some studies.

    Args:
        place: Where the run lies.
        finder: What finds the vertebrae, a :class:`cspine.training.core.finding.Finder`.
        network: The file of the network.
        cases: The studies.
        localises: Whether to return where it suspects fractures.
    """
    _load(place)
    from cspine.cli.families import classifying_family_of_run
    from cspine.training.core.backend import prepare_backend
    from cspine.training.core.finding import Finder
    from cspine.training.core.log import Callback
    from cspine.training.core.runs import open_run

    family = classifying_family_of_run(open_run(place.run), Finder(finder))
    prepare_backend(family.recipe.fit.threads)
    return family.predict(network, cases, place.cache, Callback(), localise=localises)


def _load(place: RunPlace) -> None:
    os.environ["KERAS_BACKEND"] = place.backend  # that of the command, which the machine's own environment need not have
    load_keras()
