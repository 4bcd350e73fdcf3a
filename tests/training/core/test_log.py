import math
from dataclasses import dataclass
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from cspine.errors import OutputError
from cspine.training.core.log import Board


@dataclass(frozen=True)
class Epoch:
    epoch: int
    loss: float
    auroc: float = math.nan


def read(folder: Path) -> list[tuple[str, int, float]]:
    """Every curve's points, in the order in which they were written: records of a length, its check, data, their check."""
    found = []
    for path in sorted(folder.iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "little")
            event = Event.FromString(data[at + 12 : at + 12 + size])
            found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
            at += 16 + size
    return found


def test_every_number_of_an_epoch_becomes_a_point_of_its_curve(tmp_path: Path) -> None:
    with Board.in_folder(tmp_path / "board", 0) as board:
        board.add(Epoch(1, 0.5, 0.75))
        board.add(Epoch(2, 0.25))

    assert read(tmp_path / "board") == [("loss", 1, 0.5), ("auroc", 1, 0.75), ("loss", 2, 0.25)]


def test_a_run_that_goes_on_adds_to_its_curves(tmp_path: Path) -> None:
    for epoch in (1, 2):
        with Board.in_folder(tmp_path / "board", epoch - 1) as board:
            board.add(Epoch(epoch, 0.5))

    assert sorted(step for _, step, _ in read(tmp_path / "board")) == [1, 2]


def test_a_place_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "board").write_text("in the way")

    with pytest.raises(OutputError, match="The log of a run cannot be written"):
        Board.in_folder(tmp_path / "board", 0)
