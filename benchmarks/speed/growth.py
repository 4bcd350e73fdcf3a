"""Measures how time grows with the slices of a scan, with its field, and with the number of studies of one call."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.stages import Stages, in_memory
from benchmarks.speed.subjects import SLICES, prolonged, with_slices
from benchmarks.throughput import Call
from cspine.detection import Detector
from cspine.reading import read_study
from cspine.study import Study

WIDE_MM = 205.0
LONG_MM = 1000.0


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one scan that was predicted, in memory.

    Attributes:
        name: What it is.
        slices: How many it has.
        stages: What they took.
    """

    name: str
    slices: int
    stages: Stages

    def times(self, neck: "Row") -> str:
        """Says how this compares with a neck."""
        clock, busy = self.stages.total / neck.stages.total, self.stages.processor_seconds / neck.stages.processor_seconds
        return f"{self.name}: {clock:.2f} times the neck, of processors {busy:.2f} times"


def with_more_slices(detector: Detector, study: Study, counts: Sequence[int], rounds: int) -> Iterator[Row]:
    """Yields the same neck in other numbers of slices."""
    for count in counts:
        yield _row(detector, with_slices(study, count), f"{count} slices", rounds)


def with_larger_fields(detector: Detector, study: Study, wide: Path | None, rounds: int) -> Iterator[Row]:
    """Yields the neck with air around it, with a body of a metre, and a scan of a wide field where there is one."""
    neck = with_slices(study, SLICES)
    yield _row(detector, with_slices(study, SLICES, WIDE_MM), f"{WIDE_MM:.0f} x {WIDE_MM:.0f} mm", rounds)
    yield _row(detector, prolonged(neck, LONG_MM), f"{LONG_MM:.0f} mm long", rounds)
    if wide is not None:
        scan = read_study(wide)
        sides = sorted(scan.volume.grid.extent_mm)[:0:-1]
        yield _row(detector, scan, " x ".join(f"{side:.0f}" for side in sides) + " mm", rounds)


def with_more_studies(folder: Path, counts: Sequence[int]) -> Iterator[tuple[int, float, float]]:
    """Yields numbers of studies, and seconds and processor seconds of one call for as many copies of a study."""
    call = Call(Path(__file__).parents[2] / "src", ("--format", "json"))
    for count in counts:
        with tempfile.TemporaryDirectory() as place:
            copies = [_copied(folder, Path(place, f"copy-{number}")) for number in range(count)]
            taken = call(copies, Path(place, "out"))
        yield count, taken.seconds, taken.processor_seconds


def _row(detector: Detector, study: Study, name: str, rounds: int) -> Row:
    stages, _ = in_memory(detector, study, rounds)
    return Row(name, study.volume.grid.canonical().shape[0], stages)


def _copied(folder: Path, copy: Path) -> Path:
    return Path(shutil.copytree(folder, copy))
