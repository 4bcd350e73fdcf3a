"""The log of a run for TensorBoard, whatever framework trains."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from tensorboardX import SummaryWriter

from cspine.errors import OutputError

BOARD = "tensorboard"


class Record(Protocol):
    """One epoch, a dataclass of numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def epoch(self) -> int:
        """Counted from 1."""
        ...


@dataclass(frozen=True, slots=True)
class Board:
    """Curves of every number of the epochs, in a folder that ``tensorboard --logdir`` reads while training goes on."""

    writer: SummaryWriter

    @classmethod
    def in_folder(cls, folder: Path, done: int) -> Self:
        """A board that goes on after ``done`` epochs; what was written of later ones, before a run was killed, no longer counts.

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

    def add(self, record: Record) -> None:
        """Adds an epoch."""
        for name, value in asdict(record).items():
            if name != "epoch" and math.isfinite(value):
                self.writer.add_scalar(name, value, record.epoch)
        self.writer.flush()
