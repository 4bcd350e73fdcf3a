"""Reports the progress of training, and keeps its log: ``log.csv`` and curves for TensorBoard."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from tensorboardX import SummaryWriter

from cspine.errors import OutputError
from cspine.training.core.checkpoint import EpochRecord
from cspine.training.core.settings import FitSettings

TENSORBOARD = "tensorboard"


class Reporter(Protocol):
    """Receives the progress of training."""

    def say(self, text: str) -> None:
        """Reports what is being done."""
        ...

    def warn(self, text: str) -> None:
        """Warns of what is left out."""
        ...

    def batch(self, done: int, of: int, losses: dict[str, float]) -> None:
        """Reports that a batch of the current epoch is done."""
        ...

    def begins(self, home: Path, epoch: int, settings: FitSettings) -> None:
        """Reports that an epoch begins or continues.

        Args:
            home: The folder of the fold.
            epoch: Which one, counted from 1.
            settings: How many there are, and of what.
        """
        ...

    def epoch(self, record: EpochRecord, of: int, home: Path) -> None:
        """Reports the result of an epoch.

        Args:
            record: Its numbers.
            of: How many epochs there are.
            home: The folder of the fold.
        """
        ...


class Callback:
    """A :class:`Reporter` that ignores everything: the base of those that need some of it.

    What an entry point of ``cspine.callbacks`` names is called with the :class:`cspine.training.core.runs.Run`, and returns one.
    """

    def say(self, text: str) -> None:
        """See :class:`Reporter`."""

    def warn(self, text: str) -> None:
        """See :class:`Reporter`."""

    def batch(self, done: int, of: int, losses: dict[str, float]) -> None:
        """See :class:`Reporter`."""

    def begins(self, home: Path, epoch: int, settings: FitSettings) -> None:
        """See :class:`Reporter`."""

    def epoch(self, record: EpochRecord, of: int, home: Path) -> None:
        """See :class:`Reporter`."""

    def close(self) -> None:
        """Ends what it began; called once, also when training fails or is interrupted."""


@dataclass(frozen=True, slots=True)
class Reporters:
    """Calls several reporters as one.

    Attributes:
        each: The reporters, called in this order.
    """

    each: tuple[Reporter, ...]

    def say(self, text: str) -> None:
        """See :class:`Reporter`."""
        for one in self.each:
            one.say(text)

    def warn(self, text: str) -> None:
        """See :class:`Reporter`."""
        for one in self.each:
            one.warn(text)

    def batch(self, done: int, of: int, losses: dict[str, float]) -> None:
        """See :class:`Reporter`."""
        for one in self.each:
            one.batch(done, of, losses)

    def begins(self, home: Path, epoch: int, settings: FitSettings) -> None:
        """See :class:`Reporter`."""
        for one in self.each:
            one.begins(home, epoch, settings)

    def epoch(self, record: EpochRecord, of: int, home: Path) -> None:
        """See :class:`Reporter`."""
        for one in self.each:
            one.epoch(record, of, home)


def fold_and_part(home: Path) -> tuple[str, str | None]:
    """Returns the names of the fold and of the part of training to which a folder belongs; ``None`` for the last part."""
    return (home.parent.name, home.name) if home.parent.name.startswith("fold-") else (home.name, None)


def line_of(record: EpochRecord, epochs: int) -> str:
    """Returns what became of an epoch, in one line."""
    numbers = {"loss": record.loss, **record.losses, **record.metrics}
    metrics = "  ".join(f"{name} {value:.3f}" for name, value in numbers.items())
    return f"epoch {record.epoch}/{epochs}  {metrics}  {record.seconds:.0f} s"


def log_csv(records: Sequence[EpochRecord]) -> str:
    """Returns the log as a table, an epoch a row."""
    rows = [record.numbers() for record in records]
    names = list(rows[0]) if rows else ["epoch", "loss"]
    return "\n".join([",".join(names), *(",".join(f"{row[name]:.6g}" for name in names) for row in rows)]) + "\n"


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves of every number of the epochs, in a folder that ``tensorboard --logdir`` reads while training goes on."""

    writer: SummaryWriter

    @classmethod
    def in_folder(cls, folder: Path, done: int) -> Self:
        """Returns curves that go on after ``done`` epochs; what a run that was killed wrote of later ones no longer counts.

        Raises:
            OutputError: The folder cannot be written.
        """
        try:
            return cls(SummaryWriter(str(folder), purge_step=done + 1 if done else None, filename_suffix=f".{done}"))
        except OSError as error:
            raise OutputError(f"The log of a run cannot be written to {folder}: {error.strerror}. Choose another run.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()

    def add(self, record: EpochRecord) -> None:
        """Adds an epoch."""
        for name, value in record.numbers().items():
            if name != "epoch" and math.isfinite(value):
                self.writer.add_scalar(name, value, record.epoch)
        self.writer.flush()
