"""Measures how many studies a minute are predicted: in one batch, and by one call for each.

``python -m benchmarks.throughput --data DIR`` predicts the same studies both ways, in turns, and takes medians over the rounds. A
batch loads the model once and reads the next study while the network works; the last line says how much of the work of its
stages it did side by side.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Taken:
    """Holds what some calls took.

    Attributes:
        seconds: On the clock.
        processor_seconds: Of processors: others on the machine slow the clock only.
    """

    seconds: float
    processor_seconds: float


def evaluate(paths: Sequence[Path], out: Path, form: str) -> Taken:
    """Runs one call of ``cspine detect``."""
    before, begin = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "cspine", "detect", *map(str, paths), "-o", str(out), "--format", form]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return Taken(time.perf_counter() - begin, busy)


def one_by_one(paths: Sequence[Path], out: Path, form: str) -> Taken:
    """Runs a call for each study."""
    taken = [evaluate([path], out / path.name, form) for path in paths]
    return Taken(sum(one.seconds for one in taken), sum(one.processor_seconds for one in taken))


def stages_s(out: Path) -> float:
    """Returns seconds of all stages of all cases of a batch, one after the other."""
    results = (json.loads(path.read_text(encoding="utf-8")) for path in out.glob("*/result.json"))
    return sum(sum(result["timings_s"].values()) for result in results)


def main() -> None:
    """Prints one table."""
    options = _arguments()
    studies = sorted(path for path in (options.data / "train_images").iterdir() if path.is_dir())[: options.studies]
    batches, singles, stages = [], [], []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            batches.append(evaluate(studies, Path(folder, "batch"), options.format))
            stages.append(stages_s(Path(folder, "batch")))
            singles.append(one_by_one(studies, Path(folder, "single"), options.format))
    print(f"{len(studies)} studies, {options.format}, median of {options.rounds} rounds, {os.cpu_count()} processors")
    for name, rounds in (("one batch", batches), ("a call for each", singles)):
        seconds = statistics.median(taken.seconds for taken in rounds) / len(studies)
        busy = statistics.median(taken.processor_seconds for taken in rounds) / len(studies)
        print(f"{name:<18}{seconds:7.2f} s a study{60 / seconds:8.1f} studies a minute{busy:8.2f} s of processors a study")
    ratio = statistics.median(single.seconds / batch.seconds for single, batch in zip(singles, batches, strict=True))
    print(f"the batch is {ratio:.2f} times as fast; ", end="")
    share = statistics.median(stage / batch.seconds for stage, batch in zip(stages, batches, strict=True))
    print(f"its stages add up to {share:.2f} times what it took")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data set folder, as `cspine phantom` makes it")
    parser.add_argument("--studies", type=int, default=12, help="how many studies of it (default: 12)")
    parser.add_argument("--rounds", type=int, default=5, help="how often both ways (default: 5)")
    parser.add_argument("--format", default="json", help="formats of `cspine detect` (default: json)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
