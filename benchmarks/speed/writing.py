"""Measures what writing a result takes, format by format, beside an earlier state of cspine in the same turns.

Each state is a process of its own that holds the same prediction and writes when it is told to. Processor seconds count, as others
on the machine slow the clock only. What formats share is made for each anew where one is written alone, and once for ``all``.
"""

import json
import os
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from cspine.evidence import Prediction
from cspine.reporting import write_result
from cspine.study import Study

FORMATS = ("json", "html", "sr", "seg", "sc", "fhir")
"""What a node writes."""

Round = dict[str, float]
"""Processor seconds by format, of ``all`` together, and of that on the ``clock``."""


def compare(prediction: Prediction, study: Study, before: Path | None, count: int) -> None:
    """Prints medians for each format, and of the ratios in each turn where an earlier state is given."""
    sources = {"before": before.absolute()} if before else {}
    found = rounds(prediction, study, sources | {"now": Path(__file__).parents[2] / "src"}, count)
    for name in found["now"][0]:
        taken = {state: [one[name] for one in own] for state, own in found.items()}
        line = "".join(f"  {state} {statistics.median(seconds):.2f}" for state, seconds in taken.items())
        if before:
            ratios = [now / earlier for earlier, now in zip(taken["before"], taken["now"], strict=True)]
            line += f"  ratio {statistics.median(ratios):.2f}"
        print(f"{name:<6}{line} {'s on the clock' if name == 'clock' else 'processor seconds'}", flush=True)


def rounds(
    prediction: Prediction, study: Study, sources: Mapping[str, Path], count: int, formats: Sequence[str] = FORMATS
) -> dict[str, list[Round]]:
    """Returns some rounds of each ``src`` folder, in turns, after one of each that does not count."""
    with TemporaryDirectory() as scratch:
        kept = Path(scratch) / "prediction"
        kept.write_bytes(pickle.dumps((prediction, study)))
        writers = {name: _started(source, kept, formats) for name, source in sources.items()}
        found: dict[str, list[Round]] = {name: [] for name in sources}
        for _ in range(count + 1):
            for name, writer in writers.items():
                found[name].append(_asked(writer))
        for writer in writers.values():
            writer.communicate()
    return {name: own[1:] for name, own in found.items()}


def _started(source: Path, kept: Path, formats: Sequence[str]) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(source), str(Path(__file__).parents[2])))}
    command = [sys.executable, "-m", "benchmarks.speed.writing", str(kept), *formats]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _asked(writer: "subprocess.Popen[str]") -> Round:
    if writer.stdin is None or writer.stdout is None:
        raise RuntimeError("A writer needs pipes.")
    writer.stdin.write("\n")
    writer.stdin.flush()
    answer: Round = json.loads(writer.stdout.readline())
    return answer


def _write_when_told(kept: Path, formats: Sequence[str]) -> None:
    prediction, study = pickle.loads(kept.read_bytes())
    with TemporaryDirectory() as out:
        for _ in sys.stdin:
            begin = time.perf_counter()
            taken = {"all": _processor_s(prediction, study, Path(out), formats), "clock": time.perf_counter() - begin}
            taken |= {name: _processor_s(prediction, study, Path(out), [name]) for name in formats}
            print(json.dumps(taken), flush=True)


def _processor_s(prediction: Prediction, study: Study, out: Path, formats: Sequence[str]) -> float:
    begin = time.process_time()
    write_result(prediction, study, out, formats)
    return time.process_time() - begin


if __name__ == "__main__":
    _write_when_told(Path(sys.argv[1]), sys.argv[2:])
