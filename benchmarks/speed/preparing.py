"""Measures what reading a scan and cutting its vertebrae take, beside an earlier state of cspine in the same turns.

Each state is a process of its own that does both on request, and says what came of it, so that results are compared too.
Processor seconds count, as others on the machine slow the clock only.
"""

import hashlib
import pickle
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.turns import Round, in_turns, when_told
from cspine.concurrency.threads import alone
from cspine.detection.clock import Clock
from cspine.detection.vertebra_classifier import VertebraClassifier
from cspine.locating import Located
from cspine.modelpack import VertebraManifest
from cspine.reading import read_study
from cspine.specs import FRACTURE_CELL, VertebraSpec

PARTS = ("read", "crop")


def compare(folder: Path, located: Located, manifest: VertebraManifest, before: Path, count: int) -> None:
    """Prints medians of both states, of the ratios in each turn, and whether their results are the same to the bit."""
    found = rounds(folder, located, manifest, {"before": before.absolute(), "now": Path(__file__).parents[2] / "src"}, count)
    for part in PARTS:
        earlier, now = ([one[part] for one in found[state]] for state in ("before", "now"))
        ratio = statistics.median(b / a for a, b in zip(earlier, now, strict=True))
        seconds = f"before {statistics.median(earlier):.2f}  now {statistics.median(now):.2f}"
        print(f"{part:<6}  {seconds}  ratio {ratio:.2f} processor seconds")
    same = len({one["digest"] for own in found.values() for one in own}) == 1
    print("the results are the same to the bit" if same else "the results differ")


def rounds(
    folder: Path, located: Located, manifest: VertebraManifest, sources: Mapping[str, Path], count: int
) -> dict[str, list[Round]]:
    """Returns some rounds of each ``src`` folder, in turns: processor seconds by part, and a digest of the arrays."""
    with TemporaryDirectory() as scratch:
        kept = Path(scratch) / "located"
        kept.write_bytes(pickle.dumps((folder, located, manifest)))
        return in_turns("benchmarks.speed.preparing", [str(kept)], sources, count)


class _Listener:
    """A network that keeps a digest of what it is fed, and sees no fracture."""

    def __init__(self, spec: VertebraSpec) -> None:
        self.digest = hashlib.sha256()
        _, self._slices, rows, columns, _ = spec.shape
        self._cells = rows // FRACTURE_CELL, columns // FRACTURE_CELL

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        self.digest.update(batch.tobytes())
        shapes = {
            "overall": (1,),
            "fracture": (7,),
            "attention": (7, self._slices),
            "fracture_map": (7, self._slices, *self._cells),
        }
        return {name: np.full((1, *shape), 0.5, np.float32) for name, shape in shapes.items()}


class _ProcessorClock(Clock):
    """Counts the processor seconds of each stage."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - begin


def _prepared(folder: Path, located: Located, classifier: VertebraClassifier, network: _Listener) -> Round:
    clock, network.digest = _ProcessorClock(), hashlib.sha256()
    with clock.stage("read"):
        volume = read_study(folder).volume
    network.digest.update(volume.hu.tobytes() + volume.grid.affine.tobytes())
    with alone():
        classifier(volume, located, clock)
    return {part: clock.seconds[part] for part in PARTS} | {"digest": network.digest.hexdigest()}


if __name__ == "__main__":
    _folder, _located, _manifest = pickle.loads(Path(sys.argv[1]).read_bytes())
    _network = _Listener(_manifest.spec)
    _classifier = VertebraClassifier(_manifest, _network)
    when_told(lambda: _prepared(_folder, _located, _classifier, _network))
