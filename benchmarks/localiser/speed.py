"""Measures how long a scan is located, beside a network of full resolution over all of it.

    python -m benchmarks.localiser.speed STUDY [--localiser PACKAGE] [--rounds N]

STUDY is a folder or a file of a scan, of about 320 slices of 512 x 512 for the figures of docs/benchmarks.md. First ours, stage by
stage, medians. Then, in the same run, the arrangement of nnU-Net (Isensee et al., 2021) as TotalSegmentator has it (Wasserthal et
al., 2023): voxels of 1.5 mm, patches of 128 x 128 x 128 each over half of the next, a U-Net of 32 to 320 filters, here with random
weights. It runs with our engine and in f32, without the mirrored copies that nnU-Net averages, so its time is the least that it
takes.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from cspine.concurrency.threads import alone
from cspine.imaging import sample
from cspine.imaging.windowing import windowed
from cspine.locating import locate, locate_levels
from cspine.locating.refining import refine
from cspine.locating.sliding_window import covering_grid, sliding_windows
from cspine.modelpack import load_localiser
from cspine.networks.volume_settings import UNet3DSettings
from cspine.reading import read_study
from cspine.runtime import Engine, Session, open_session
from cspine.specs import VolumeSpec
from cspine.training.core.conversion import write_ir
from cspine.volume import Volume

_FULL = VolumeSpec(spacing_mm=(1.5, 1.5, 1.5), size=(128, 128, 128), window_hu=(-300.0, 1300.0))
_FULL_WIDTHS = (32, 64, 128, 256, 320, 320)


@dataclass(slots=True)
class Timed:
    """A network whose runs are timed.

    Attributes:
        session: The network.
        seconds: What they took.
        runs: How many they were.
    """

    session: Session
    seconds: float = 0.0
    runs: int = field(default=0)

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """See :class:`cspine.runtime.Session`."""
        begin = time.perf_counter()
        outcome = self.session.run(batch)
        self.seconds += time.perf_counter() - begin
        self.runs += 1
        return outcome


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.localiser.speed", description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--localiser")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    volume = read_study(options.study).volume
    print(f"{volume.hu.shape} voxels of {[round(side, 2) for side in volume.grid.spacing_mm]} mm")
    before = _peak_mib()
    rounds = [stages_s(volume, options.localiser) for _ in range(options.rounds + 1)][1:]
    stages = {stage: statistics.median(one[stage] for one in rounds) for stage in rounds[0]}
    ours = statistics.median(sum(one.values()) for one in rounds)
    print("  ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items()) + f"  all {ours:.2f} s")
    print(f"memory beyond that of the scan: {_peak_mib() - before:.0f} MiB at most")
    count, sampling, network = full_resolution(volume)
    theirs = sampling + network
    print(f"full resolution: sampling {sampling:.2f}  network {network:.2f} ({count} patches)  all {theirs:.2f} s")
    print(f"ratio: {theirs / ours:.1f}")


def stages_s(volume: Volume, path_or_name: str | None) -> dict[str, float]:
    """Returns seconds by stage of locating a scan, with networks that are loaded, and warm from the second call on."""
    manifest = load_localiser(path_or_name).manifest
    if manifest.fine is None:
        raise SystemExit(f"A package with a second network is needed. {manifest.name} has none.")
    coarse, fine = (Timed(_loaded(path_or_name, role)) for role in ("coarse", "fine"))
    naming = _TimedCall(locate_levels)
    with patch("cspine.locating.coarse_to_fine.locate_levels", naming), alone():  # as a localiser does
        begin = time.perf_counter()
        located = locate(volume, manifest.coarse, coarse, manifest.hu_ceiling)
        found = time.perf_counter()
        refine(volume, located, manifest.fine, fine)
    return {
        "sampling": found - begin - coarse.seconds - naming.seconds,
        "first network": coarse.seconds,
        "naming": naming.seconds,
        "second network": fine.seconds,
        "crops and borders": time.perf_counter() - found - fine.seconds,
    }


@dataclass(slots=True)
class _TimedCall:
    """A function whose calls are timed."""

    function: Callable[..., Any]
    seconds: float = 0.0

    def __call__(self, *arguments: Any) -> Any:
        begin = time.perf_counter()
        found = self.function(*arguments)
        self.seconds += time.perf_counter() - begin
        return found


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@cache
def _loaded(path_or_name: str | None, role: str) -> Session:
    package = load_localiser(path_or_name)
    return open_session(package.network_path(role), Engine(precision=package.manifest.network(role).precision))


def full_resolution(volume: Volume, most: int | None = None) -> tuple[int, float, float]:
    """Returns the number of patches, and seconds of sampling and of the network, with random weights.

    Args:
        volume: The scan.
        most: How many patches to run, where not all; the seconds are then those of as many in proportion.
    """
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "full.xml"
        write_ir(UNet3DSettings(widths=_FULL_WIDTHS).build(_FULL, 0), path)
        network = open_session(path, Engine())
    network.run(np.zeros((1, *_FULL.size, 1), np.float32))
    session = Timed(network)
    begin = time.perf_counter()
    grid = covering_grid(volume.grid, _FULL)
    hu = sample(volume, grid).hu
    sampling = time.perf_counter() - begin
    windows = list(sliding_windows(grid.shape, _FULL.size))
    for window in windows[:most]:
        session.run(windowed(hu[window], _FULL.window_hu)[None, ..., None])
    return len(windows), sampling, session.seconds * len(windows) / session.runs


if __name__ == "__main__":
    main()
