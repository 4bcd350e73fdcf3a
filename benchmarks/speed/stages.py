"""Predicts a study some times, and takes medians stage by stage."""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.floors import STAGES
from benchmarks.speed.watching import Watch, watching
from cspine.detection import Detector
from cspine.evidence import Prediction
from cspine.reading import read_study
from cspine.reporting import chosen, write_result
from cspine.study import Study

ORDER = ("read", "check", "sampling", "first network", "second network", "rest of locate", "crop", "classify", "calibrate", "write")
LOCATE = ("sampling", "first network", "second network", "rest of locate")


@dataclass(frozen=True, slots=True)
class Stages:
    """Holds medians over some rounds.

    Attributes:
        seconds: By stage.
        processor_seconds: Of all stages.
    """

    seconds: dict[str, float]
    processor_seconds: float

    @property
    def total(self) -> float:
        """Returns the seconds of all stages."""
        return sum(self.seconds.values())

    @property
    def locate(self) -> float:
        """Returns the seconds of locating."""
        return sum(self.seconds.get(name, 0.0) for name in LOCATE)

    @property
    def networks(self) -> float:
        """Returns the seconds of all networks."""
        return sum(self.seconds.get(name, 0.0) for name in set(STAGES.values()))

    def __str__(self) -> str:
        shown = [(name, self.seconds[name]) for name in ORDER if name in self.seconds]
        return "  ".join(f"{name} {s:.2f}" for name, s in [*shown, ("sum", self.total), ("processors", self.processor_seconds)])


def in_memory(detector: Detector, study: Study, rounds: int) -> tuple[Stages, Watch]:
    """Returns what a study takes that was read, after one round that does not count; and what it made networks do."""
    return _median(lambda: _predicted(detector, study)[:2], rounds)


def from_folder(detector: Detector, folder: Path, formats: str, rounds: int) -> tuple[Stages, Watch, int]:
    """Returns the same from files to files, and the size of what is written."""
    sizes: list[int] = []

    def once() -> tuple[dict[str, float], Watch]:
        begin = time.perf_counter()
        study = read_study(folder)
        read = time.perf_counter() - begin
        seconds, watch, prediction = _predicted(detector, study)
        with tempfile.TemporaryDirectory() as out:
            begin = time.perf_counter()
            written = write_result(prediction, study, Path(out), chosen(formats))
            write = time.perf_counter() - begin
            sizes.append(sum((Path(out) / name).stat().st_size for name in written.files))
        return {"read": read, **seconds, "write": write}, watch

    stages, watch = _median(once, rounds)
    return stages, watch, sizes[-1]


def plain_s(folder: Path, rounds: int) -> float:
    """Returns the median seconds of reading every byte of every file, and nothing more."""
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        for path in paths:
            path.read_bytes()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def _predicted(detector: Detector, study: Study) -> tuple[dict[str, float], Watch, Prediction]:
    with watching() as watch:
        prediction = detector.predict(study)
    seconds = dict(prediction.result.timings_s)
    locate = seconds.pop("locate", 0.0)
    for network in detector.localiser.package.manifest.networks:
        seconds[STAGES[network.role]] = sum(run.seconds for run in watch.runs_of(network.outputs))
    seconds["sampling"] = watch.sampling_s
    seconds["rest of locate"] = locate - sum(seconds.get(name, 0.0) for name in LOCATE)
    return seconds, watch, prediction


def _median(once: Callable[[], tuple[dict[str, float], Watch]], rounds: int) -> tuple[Stages, Watch]:
    found: list[dict[str, float]] = []
    busy: list[float] = []
    for _ in range(rounds + 1):
        begin = time.process_time()
        seconds, watch = once()
        busy.append(time.process_time() - begin)
        found.append(seconds)
    return Stages(medians(found[1:]), statistics.median(busy[1:])), watch


def medians(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """Returns the median of each name."""
    return {name: statistics.median(one[name] for one in found) for name in found[0]}
