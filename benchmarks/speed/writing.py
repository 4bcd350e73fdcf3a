"""Measures what writing a result takes, format by format, beside an earlier state of cspine in the same turns.

Each state is a process of its own that holds the same prediction and writes on request. Processor seconds count, as others
on the machine slow the clock only. What formats share is made for each anew where one is written alone, and once for ``all``.
"""

import pickle
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.speed.turns import Round, in_turns, when_told
from cspine.evidence import Prediction
from cspine.reporting import write_result
from cspine.study import Study

FORMATS = ("json", "html", "sr", "seg", "sc", "fhir")
"""What a node writes."""


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
    """Returns some rounds of each ``src`` folder, in turns: processor seconds by format, of ``all``, and that on the ``clock``."""
    with TemporaryDirectory() as scratch:
        kept = Path(scratch) / "prediction"
        kept.write_bytes(pickle.dumps((prediction, study)))
        return in_turns("benchmarks.speed.writing", [str(kept), *formats], sources, count)


def _written(prediction: Prediction, study: Study, formats: Sequence[str]) -> Round:
    with TemporaryDirectory() as out:
        begin = time.perf_counter()
        taken = {"all": _processor_s(prediction, study, Path(out), formats), "clock": time.perf_counter() - begin}
        return taken | {name: _processor_s(prediction, study, Path(out), [name]) for name in formats}


def _processor_s(prediction: Prediction, study: Study, out: Path, formats: Sequence[str]) -> float:
    begin = time.process_time()
    write_result(prediction, study, out, formats)
    return time.process_time() - begin


if __name__ == "__main__":
    _prediction, _study = pickle.loads(Path(sys.argv[1]).read_bytes())
    when_told(lambda: _written(_prediction, _study, sys.argv[2:]))
