"""Watches what a study makes the networks and the sampling do, while it is predicted."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np

from cspine.geometry import Grid
from cspine.imaging import around, sample
from cspine.runtime.openvino import OpenVinoSession
from cspine.volume import LabelMap, Volume

_SAMPLERS = ("sliding_window", "region_proposal", "refining")


@dataclass(frozen=True, slots=True)
class Run:
    """Holds one run of a network.

    Attributes:
        outputs: Their names.
        shape: Of its input.
        seconds: What it took.
    """

    outputs: frozenset[str]
    shape: tuple[int, ...]
    seconds: float


@dataclass(slots=True)
class Watch:
    """Holds what was seen.

    Attributes:
        runs: Of networks.
        sampling_s: Seconds of sampling the scan while it was located.
        sampled_bytes: What that must read of the scan and write, once.
        cut_bytes: What the classifier's crops were cut of.
    """

    runs: list[Run] = field(default_factory=list)
    sampling_s: float = 0.0
    sampled_bytes: int = 0
    cut_bytes: int = 0

    def runs_of(self, outputs: Sequence[str]) -> list[Run]:
        """Returns those of the network that has these outputs."""
        return [run for run in self.runs if run.outputs >= set(outputs)]


@contextmanager
def watching() -> Iterator[Watch]:
    """Yields what is seen while it is open, in all of the process."""
    watch = Watch()
    with ExitStack() as patches:
        patches.enter_context(patch.object(OpenVinoSession, "run", _watched_run(watch)))
        for module in _SAMPLERS:
            patches.enter_context(patch(f"cspine.locating.{module}.sample", _watched_sample(watch)))
        patches.enter_context(patch("cspine.detection.vertebra_classifier.around", _watched_around(watch)))
        yield watch


def _watched_run(watch: Watch) -> Callable[..., Any]:
    run = OpenVinoSession.run

    def watched(session: OpenVinoSession, batch: Any) -> Any:
        begin = time.perf_counter()
        outputs = run(session, batch)
        watch.runs.append(Run(frozenset(outputs), tuple(batch.shape), time.perf_counter() - begin))
        return outputs

    return watched


def _watched_sample(watch: Watch) -> Callable[..., Any]:
    def watched(source: Volume | LabelMap, grid: Grid, *fill: float) -> Any:
        begin = time.perf_counter()
        found: Any = sample(source, grid, *fill)
        if isinstance(source, Volume):
            watch.sampling_s += time.perf_counter() - begin
            watch.sampled_bytes += found.hu.nbytes + _voxels_within(source.grid, grid) * source.hu.itemsize
        return found

    return watched


def _watched_around(watch: Watch) -> Callable[..., Volume]:
    def watched(source: Volume, grids: Sequence[Grid]) -> Volume:
        found = around(source, grids)
        watch.cut_bytes += found.hu.size * source.hu.itemsize
        return found

    return watched


def _voxels_within(source: Grid, grid: Grid) -> int:
    """Returns how many voxels of a source lie in the box that holds a grid."""
    index = source.index(grid.corners_mm())
    low, high = np.clip(index.min(axis=0), 0, source.shape), np.clip(index.max(axis=0), 0, source.shape)
    return int(np.prod(high - low))
