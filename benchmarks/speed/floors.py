"""Says how long each stage takes at least on a machine."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.speed.counting import multiplications
from benchmarks.speed.machine import Machine
from benchmarks.speed.watching import Watch
from cspine.detection import Detector
from cspine.modelpack import Package, PackageManifest

STAGES = {"coarse": "first network", "fine": "second network", "vertebrae": "classify", "slices": "classify"}
"""In which stage a network runs, by its role."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The least that a stage takes.

    Attributes:
        seconds: The least.
        counts: What they are counted from.
    """

    seconds: float
    counts: str


def floors(detector: Detector, watch: Watch, machine: Machine, *, files_s: float, written_bytes: int) -> dict[str, Floor]:
    """Returns the floor of each stage that has one: checking, naming and calibrating do nothing big.

    Args:
        detector: What predicted the study.
        watch: What that made networks and sampling do.
        machine: Its rates.
        files_s: Seconds of reading the study's files, and nothing more.
        written_bytes: Size of the result's files.
    """
    found = {"read": Floor(files_s, "reading the files, nothing more")}
    for stage, floor in _of_networks(detector, watch, machine):
        found[stage] = floor
    found["sampling"] = _moved(watch.sampled_bytes, machine, "voxels of the scan and of the network's")
    if watch.cut_bytes:
        fed = 4 * sum(_size(run.shape) for run in watch.runs_of(detector.package.manifest.networks[0].outputs))
        found["crop"] = _moved(watch.cut_bytes + fed, machine, "voxels around the vertebrae and of their crops")
    found["write"] = _moved(written_bytes, machine, "what is written")
    return found


def _of_networks(detector: Detector, watch: Watch, machine: Machine) -> Iterator[tuple[str, Floor]]:
    packages: tuple[Package[PackageManifest], ...] = (detector.localiser.package, detector.package)
    for package in packages:
        for network in package.manifest.networks:
            runs = watch.runs_of(network.outputs)
            content, rate = package.network(network.role), machine.f32 if network.precision == "f32" else machine.bf16
            each = {shape: multiplications(content, shape) for shape in {run.shape for run in runs}}
            giga = sum(each[run.shape] for run in runs) / 1e9
            counts = f"{giga:.1f} thousand million multiplications in {len(runs)} runs, in {network.precision}"
            yield STAGES[network.role], Floor(2 * giga / rate, counts)


def _moved(size: int, machine: Machine, what: str) -> Floor:
    return Floor(size / machine.memory / 1e9, f"{size / 1e6:.0f} MB moved: {what}")


def _size(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total
