"""Measures how many studies a minute are predicted: in one batch, by one call for each, and by earlier states of cspine.

``python -m benchmarks.throughput --data DIR`` predicts the same studies both ways, in turns, and takes medians over the rounds. A
batch loads the model once and reads the next study while the network works. ``--before SRC`` names the ``src`` folder of an earlier
state, which does the batch in the same turns, with the packages of this one; it may be given several times. ``--jobs N`` does the
batch with so many studies at a time too. The largest differences from the batch of any number of the results and of any probability
are reported, and the most memory of all processes of a batch, where what two of them share counts once.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.agreement import of_batches, of_probabilities
from benchmarks.footprint import watched
from cspine.modelpack import load_localiser, load_package

_OURS = Path(__file__).parents[1] / "src"
_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Taken:
    """Holds what some calls took.

    Attributes:
        seconds: On the clock.
        processor_seconds: Of processors: others on the machine slow the clock only.
        together_mib: Memory of all processes of a call at most.
    """

    seconds: float
    processor_seconds: float
    together_mib: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """Says how ``cspine detect`` is called.

    Attributes:
        source: The ``src`` folder of the code.
        words: Options of every call.
    """

    source: Path
    words: tuple[str, ...]

    def __call__(self, paths: Sequence[Path], out: Path) -> Taken:
        """Predicts studies into a folder."""
        before, begin = os.times(), time.perf_counter()
        command = [sys.executable, "-m", "cspine", "detect", *map(str, paths), "-o", str(out), *self.words]
        environment = os.environ | {"PYTHONPATH": str(self.source)}
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as call:
            peak = watched(call, _EVERY_S)
        after = os.times()
        busy = after.children_user + after.children_system - before.children_user - before.children_system
        return Taken(time.perf_counter() - begin, busy, peak.together_mib)

    def one_by_one(self, paths: Sequence[Path], out: Path) -> Taken:
        """Predicts them by a call for each."""
        taken = [self([path], out / path.name) for path in paths]
        return Taken(
            sum(one.seconds for one in taken),
            sum(one.processor_seconds for one in taken),
            max(one.together_mib for one in taken),
        )


def main() -> None:
    """Prints a line for each way."""
    options = _arguments()
    studies = sorted(path for path in (options.data / "train_images").iterdir() if path.is_dir())[: options.studies]
    packages = ("--model", str(load_package(None).folder), "--localiser", str(load_localiser(None).folder))
    words = ("--format", options.format, *packages)
    states = {"one batch": Call(_OURS, words)}
    if options.jobs > 1:
        states[f"{options.jobs} at a time"] = Call(_OURS, (*words, "--jobs", str(options.jobs)))
    states |= {f"before: {source.parent.name}": Call(source.absolute(), words) for source in options.before}
    found: dict[str, list[Taken]] = {name: [] for name in states}
    singles, apart = [], dict.fromkeys(list(states)[1:], (0.0, 0.0))
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, call in states.items():
                found[name].append(call(studies, Path(folder, name)))
                print(name, found[name][-1], file=sys.stderr, flush=True)
            for name in apart:
                ours, theirs = Path(folder, "one batch"), Path(folder, name)
                most, most_probable = apart[name]
                apart[name] = max(most, of_batches(ours, theirs)), max(most_probable, of_probabilities(ours, theirs))
            if not options.batches_only:
                singles.append(states["one batch"].one_by_one(studies, Path(folder, "single")))
    if singles:
        found["a call for each"] = singles
    print(f"{len(studies)} studies, {options.format}, median of {options.rounds} rounds, {os.cpu_count()} processors")
    for name, rounds in found.items():
        print(f"{name:<24}{_line(rounds, found['one batch'], len(studies))}", end="")
        print(", results within {:.1e}, probabilities within {:.4f}".format(*apart[name]) if name in apart else "")


def _line(rounds: Sequence[Taken], ours: Sequence[Taken], studies: int) -> str:
    seconds = statistics.median(taken.seconds for taken in rounds) / studies
    busy = statistics.median(taken.processor_seconds for taken in rounds) / studies
    ratio = statistics.median(taken.seconds / own.seconds for taken, own in zip(rounds, ours, strict=True))
    memory = max(taken.together_mib for taken in rounds)
    spread = f"{min(taken.seconds for taken in rounds) / studies:.2f} to {max(taken.seconds for taken in rounds) / studies:.2f}"
    return (
        f"{seconds:6.2f} s a study ({spread}){60 / seconds:7.1f} a minute{busy:7.2f} s of processors a study"
        f"{memory:7.0f} MiB, {ratio:.2f} times the batch"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data set folder, as `cspine phantom` makes it")
    parser.add_argument("--studies", type=int, default=12, help="how many studies of it (default: 12)")
    parser.add_argument("--rounds", type=int, default=5, help="how often both ways (default: 5)")
    parser.add_argument("--format", default="json", help="formats of `cspine detect` (default: json)")
    parser.add_argument(
        "--before", type=Path, action="append", default=[], metavar="SRC", help="src folder of an earlier state of cspine"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="a batch with so many studies at a time, too (default: none)"
    )
    parser.add_argument("--batches-only", action="store_true", help="no call for each study")
    return parser.parse_args()


if __name__ == "__main__":
    main()
