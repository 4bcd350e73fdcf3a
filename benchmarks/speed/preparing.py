"""Measures what reading a scan and cutting its vertebrae take, beside an earlier state of cspine in the same turns.

Each state is a process of its own that does both when it is told to, and says what came of it, so that results are compared too.
Processor seconds count, as others on the machine slow the clock only.
"""

import hashlib
import pickle
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.turns import Round, in_turns, when_told
from cspine.concurrency.threads import alone
from cspine.detection.vertebra_classifier import cut_vertebrae
from cspine.imaging.appearance import appearance_of
from cspine.locating import Located
from cspine.reading import read_study
from cspine.specs import VertebraSpec

PARTS = ("read", "crop")
_PASSES = 2


def compare(folder: Path, located: Located, spec: VertebraSpec, before: Path, count: int) -> None:
    """Prints medians of both states, of the ratios in each turn, and whether their results are the same to the bit."""
    found = rounds(folder, located, spec, {"before": before.absolute(), "now": Path(__file__).parents[2] / "src"}, count)
    for part in PARTS:
        earlier, now = ([one[part] for one in found[state]] for state in ("before", "now"))
        ratio = statistics.median(b / a for a, b in zip(earlier, now, strict=True))
        seconds = f"before {statistics.median(earlier):.2f}  now {statistics.median(now):.2f}"
        print(f"{part:<6}  {seconds}  ratio {ratio:.2f} processor seconds")
    same = len({one["digest"] for own in found.values() for one in own}) == 1
    print("the results are the same to the bit" if same else "the results differ")


def rounds(folder: Path, located: Located, spec: VertebraSpec, sources: Mapping[str, Path], count: int) -> dict[str, list[Round]]:
    """Returns some rounds of each ``src`` folder, in turns: processor seconds by part, and a digest of the arrays."""
    with TemporaryDirectory() as scratch:
        kept = Path(scratch) / "located"
        kept.write_bytes(pickle.dumps((folder, located, spec)))
        return in_turns("benchmarks.speed.preparing", [str(kept)], sources, count)


def _prepared(folder: Path, located: Located, spec: VertebraSpec, room: NDArray[np.float32]) -> Round:
    begin = time.process_time()
    volume = read_study(folder).volume
    read = time.process_time()
    with alone():
        cut_vertebrae(volume, located, spec, room)
        appearance_of(room[0], spec)
    cut = time.process_time()
    digest = hashlib.sha256(volume.hu.tobytes() + volume.grid.affine.tobytes() + room.tobytes()).hexdigest()
    return {"read": read - begin, "crop": cut - read, "digest": digest}


if __name__ == "__main__":
    _folder, _located, _spec = pickle.loads(Path(sys.argv[1]).read_bytes())
    _room = np.zeros((_PASSES, *_spec.shape), np.float32)
    when_told(lambda: _prepared(_folder, _located, _spec, _room))
