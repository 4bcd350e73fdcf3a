"""Spreads the work of one run over a Ray cluster: filling its cache, training its folds, predicting studies."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from cspine.cli.remote import RunPlace, fill_cache, predict, train_fold
from cspine.datasets import Case
from cspine.errors import OutputError
from cspine.jobs.joining import Cluster, Needs, gpus, joined, room
from cspine.jobs.spreading import Labour, spread

if TYPE_CHECKING:
    from cspine.training.core.family import Classifying, Predictions, TrainingPlace
    from cspine.training.core.finding import Finder
    from cspine.training.core.log import Reporter
    from cspine.training.core.runs import Run

_TO_PREPARE, _TO_PREDICT = Needs(2 << 30), Needs(3 << 30)
_TO_TRAIN_BYTES = 4 << 30

_PIECES_A_WORKER = 2
"""Pieces for each worker, so that a slow machine gets fewer of them."""


@dataclass(frozen=True)
class SpreadRun:
    """A run on the cluster that was joined.

    Attributes:
        run: The run.
        place: Where its data lie, by whole paths.
        reporter: Receives the progress.
        workers: So many at a time; as many as find room if ``None``.
    """

    run: "Run"
    place: "TrainingPlace"
    reporter: "Reporter"
    workers: int | None = None

    def fill_cache(self, cases: Sequence[Case]) -> None:
        """Prepares studies, some of them on each worker, for all folds.

        Raises:
            InputError: As :func:`cspine.jobs.spreading.spread`.
        """
        parts = self._parts(cases, _TO_PREPARE)
        labour = Labour("part", fill_cache, _TO_PREPARE, self.workers)
        done = 0
        for number, _ in spread(labour, [(self._where, part) for part in parts], self.reporter.warn):
            done += len(parts[number])
            self.reporter.say(f"prepared {done} of {len(cases)} studies")

    def train(self, folds: Sequence[int], threads: int) -> None:
        """Trains folds, each on a worker; on one GPU each where the cluster has any.

        Args:
            folds: Which.
            threads: Processors that each asks for; one if 0.

        Raises:
            InputError: As :func:`cspine.jobs.spreading.spread`.
            OutputError: What a worker wrote is not in the folder of the run here.
        """
        needs = Needs(_TO_TRAIN_BYTES, processors=max(1, threads), gpus=min(1, gpus()))
        labour = Labour("fold", train_fold, needs, self.workers, calls=1)
        for number, lines in spread(labour, [(self._where, fold) for fold in folds], self.reporter.warn):
            for line in lines:
                self.reporter.warn(f"fold {folds[number]}  {line}")
        lost = sorted(set(folds) - set(self.run.trained_folds()))
        if lost:
            raise OutputError(f"A worker trained fold {lost[0]}, which is not in {self.run.folder} here. Give a RUN that all see.")

    def predict(self, finder: "Finder", network: Path, cases: Sequence[Case], localises: bool) -> list["Predictions"]:
        """Returns what a network predicts for studies, part after part.

        Raises:
            InputError: As :func:`cspine.jobs.spreading.spread`.
        """
        parts = self._parts(cases, _TO_PREDICT)
        labour = Labour("part", predict, _TO_PREDICT, self.workers)
        found: dict[int, Predictions] = {}
        pieces = [(self._where, finder.value, network.absolute(), part, localises) for part in parts]
        for number, predictions in spread(labour, pieces, self.reporter.warn):
            found[number] = predictions
            self.reporter.say(f"predicted part {len(found)} of {len(parts)}")
        return [found[number] for number in range(len(parts))]

    @property
    def _where(self) -> RunPlace:
        return RunPlace(self.run.folder.absolute(), self.place.cache, self.place.data, keras.backend.backend())

    def _parts(self, cases: Sequence[Case], needs: Needs) -> list[Sequence[Case]]:
        """Returns the studies in parts of about one size."""
        at_once = room(needs) if self.workers is None else min(self.workers, room(needs))
        size = max(1, -(-len(cases) // (_PIECES_A_WORKER * at_once)))
        return [cases[begin : begin + size] for begin in range(0, len(cases), size)]


@contextmanager
def on_cluster(cluster: Cluster, run: "Run", place: "TrainingPlace", reporter: "Reporter") -> Iterator[SpreadRun]:
    """Joins a cluster for a run.

    Raises:
        UsageError: There is no such cluster.
    """
    with joined(cluster):
        yield SpreadRun(run, place, reporter, cluster.workers)


def predicting_elsewhere(family: "Classifying[Any]", finder: "Finder", spread_run: SpreadRun) -> "Classifying[Any]":
    """Returns the family of a run with its predictions made by the workers of a cluster: the same numbers."""
    elsewhere: Any = _Elsewhere(family, finder, spread_run)
    classifying: Classifying[Any] = elsewhere
    return classifying


class _Elsewhere:
    """A family, but for its predictions."""

    def __init__(self, family: Any, finder: "Finder", spread_run: SpreadRun) -> None:
        self._family, self._finder, self._run = family, finder, spread_run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._family, name)

    def predict(
        self,
        network: Path,
        cases: Sequence[Case],
        cache: Path,
        reporter: "Reporter",
        *,
        localise: bool,
    ) -> "Predictions":
        """See :class:`cspine.training.core.family.Classifying`."""
        from cspine.evaluation import StudyScores
        from cspine.training.core.family import Predictions

        if not cases:
            here: Predictions = self._family.predict(network, cases, cache, reporter, localise=localise)
            return here
        parts = self._run.predict(self._finder, network, cases, localise)
        scores = StudyScores.joined([part.scores for part in parts])
        return Predictions(scores, tuple(one for part in parts for one in part.localisations))
