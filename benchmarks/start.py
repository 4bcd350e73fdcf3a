"""Measures how much longer a study takes from the prompt than in a process that has done one before.

``python -m benchmarks.start STUDY [--before SRC]`` runs ``cspine detect`` on one study in a process of its own, in turns with the
same steps in a warm process, and takes medians over the rounds. ``--before`` names the ``src`` folder of an earlier state, which
is run in the same turns, with the packages of this one. The largest difference of any number of its result is reported. Processor
seconds count, as others on the machine slow the clock only. As after an installation, Python's
bytecode is there: each way is run once before any that counts, which also compiles the networks and fills the caches of the system.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.agreement import of_batches
from cspine.detection import Detector
from cspine.modelpack import load_localiser, load_package
from cspine.reading import read_study
from cspine.reporting import chosen, write_result


@dataclass(frozen=True, slots=True)
class Spent:
    """Holds what one study took.

    Attributes:
        seconds: On the clock.
        processor_seconds: Of processors, those of other processes that it started too.
    """

    seconds: float
    processor_seconds: float


def from_the_prompt(study: Path, formats: str, source: Path, bytecode: Path, out: Path) -> Spent:
    """Runs one call of ``cspine detect`` of the code in a ``src`` folder, with Python's bytecode in a folder of its own."""
    packages = ("--model", str(load_package(None).folder), "--localiser", str(load_localiser(None).folder))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(source), "PYTHONPYCACHEPREFIX": str(bytecode)}
    command = [sys.executable, "-m", "cspine", "detect", str(study), "-o", str(out), "--format", formats, *packages]
    before, begin = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return Spent(time.perf_counter() - begin, busy)


def in_this_process(detector: Detector, study: Path, formats: str) -> Spent:
    """Runs the same steps in this process."""
    before, begin = os.times(), time.perf_counter()
    read = read_study(study)
    prediction = detector.predict(read)
    with tempfile.TemporaryDirectory() as out:
        write_result(prediction, read, Path(out), chosen(formats))
    after = os.times()
    return Spent(time.perf_counter() - begin, after.user + after.system - before.user - before.system)


def main() -> None:
    """Prints a line for each way."""
    options = _arguments()
    detector = Detector()
    sources = {"from the prompt": Path(__file__).parents[1] / "src"}
    if options.before:
        sources["before"] = options.before.absolute()
    found: dict[str, list[Spent]] = {"warm": [], **{name: [] for name in sources}}
    with tempfile.TemporaryDirectory() as place:
        for number in range(options.rounds + 1):
            found["warm"].append(in_this_process(detector, options.study, options.format))
            for name, source in sources.items():
                out = Path(place, f"{name} {number}")
                found[name].append(from_the_prompt(options.study, options.format, source, Path(place, "bytecode"), out))
        apart = of_batches(Path(place, "from the prompt 0"), Path(place, "before 0")) if options.before else None
    found = {name: rounds[1:] for name, rounds in found.items()}
    warm = found["warm"]
    for name, rounds in found.items():
        ratio = statistics.median(one.processor_seconds / own.processor_seconds for one, own in zip(rounds, warm, strict=True))
        clock = statistics.median(one.seconds / own.seconds for one, own in zip(rounds, warm, strict=True))
        busy = statistics.median(one.processor_seconds for one in rounds)
        more = statistics.median(one.processor_seconds - own.processor_seconds for one, own in zip(rounds, warm, strict=True))
        print(f"{name:<16}{busy:6.2f} processor seconds, {ratio:.2f} times a warm process", end="")
        print(f" and {more:.2f} s more; on the clock {clock:.2f} times")
    if apart is not None:
        print(f"results of before and now differ by {apart:.1e} at most")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder, zip or NIfTI file of one study")
    parser.add_argument("--before", type=Path, metavar="SRC", help="src folder of an earlier state of cspine")
    parser.add_argument("--rounds", type=int, default=7, help="how often each way (default: 7)")
    parser.add_argument("--format", default="json", help="formats of `cspine detect` (default: json)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
