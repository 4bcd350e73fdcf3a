import math
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from cspine.errors import OutputError
from cspine.training.core.checkpoint import EpochRecord
from cspine.training.core.log import Curves, line_of, log_csv


def record(epoch: int, loss: float, auroc: float = math.nan) -> EpochRecord:
    return EpochRecord(epoch, loss, {"fracture": loss / 2}, {"auroc": auroc}, auroc, 0.125, 2.0)


def read(folder: Path) -> list[tuple[str, int, float]]:
    """Returns the points of every curve in the order of writing, from records of a length, its check, data, their check."""
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
    with Curves.in_folder(tmp_path / "board", 0) as curves:
        curves.add(record(1, 0.5, 0.75))
        curves.add(record(2, 0.25))

    first = [("loss", 1, 0.5), ("fracture_loss", 1, 0.25), ("auroc", 1, 0.75), ("learning_rate", 1, 0.125), ("seconds", 1, 2.0)]
    second = [("loss", 2, 0.25), ("fracture_loss", 2, 0.125), ("learning_rate", 2, 0.125), ("seconds", 2, 2.0)]
    assert read(tmp_path / "board") == first + second


def test_a_run_that_goes_on_adds_to_its_curves(tmp_path: Path) -> None:
    for epoch in (1, 2):
        with Curves.in_folder(tmp_path / "board", epoch - 1) as curves:
            curves.add(record(epoch, 0.5))

    assert [step for name, step, _ in read(tmp_path / "board") if name == "loss"] == [1, 2]


def test_a_place_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "board").write_text("in the way")

    with pytest.raises(OutputError, match="The log of a run cannot be written"):
        Curves.in_folder(tmp_path / "board", 0)


def test_the_log_has_every_number_of_every_epoch_and_a_line_says_how_many_there_are() -> None:
    assert log_csv([record(1, 0.5, 0.75), record(2, 0.25)]) == (
        "epoch,loss,fracture_loss,auroc,learning_rate,seconds\n1,0.5,0.25,0.75,0.125,2\n2,0.25,0.125,nan,0.125,2\n"
    )
    assert line_of(record(1, 0.5, 0.75), 3) == "epoch 1/3  loss 0.500  fracture 0.250  auroc 0.750  2 s"
