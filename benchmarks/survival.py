"""Runs damaged studies among good ones in a batch whose process is killed.

``python -m benchmarks.survival --data DIR`` makes a folder of many studies from those of a data set, one in twenty of them damaged,
and predicts it twice: once in peace, and once killed (SIGKILL) at random moments and resumed. It says whether all good studies were
evaluated, whether each damaged one is named with its reason, whether a kill left anything half written, whether both ways end in
the same files (times aside), and what memory did meanwhile.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.damage import Damage, make_batch
from benchmarks.memory import Memory, Watch

_TIMES = re.compile(r'"(created|seconds|read|check|locate|crop|classify|calibrate|write)": [^,\n]+')


@dataclass(frozen=True, slots=True)
class Verdict:
    """Holds what came out.

    Attributes:
        evaluated: Good studies that have a result.
        named: Damaged studies with the code that was given.
        killed_at: How many cases were whole at each kill.
        faults: What is not as it should be; empty if all is well.
        seconds: How long the run in peace took.
        memory: What it needed.
    """

    evaluated: int
    named: dict[str, str]
    killed_at: tuple[int, ...]
    faults: tuple[str, ...]
    seconds: float
    memory: Memory | None = field(default=None, repr=False)


def survive(studies: Path, damaged: dict[str, Damage], work: Path, arguments: Sequence[str], kills: Sequence[float]) -> Verdict:
    """Predicts a folder of studies in peace and under fire.

    Args:
        studies: The folder.
        damaged: Its damaged studies.
        work: Where results go.
        arguments: More arguments for ``cspine detect``.
        kills: When to kill, as shares of the cases that are left to do at that time.
    """
    begin = time.perf_counter()
    with _detect(studies, work / "peace", arguments) as process, Watch(process.pid) as watch:
        code = process.wait()
    seconds = time.perf_counter() - begin
    cases = {case["name"]: case for case in json.loads((work / "peace" / "run.json").read_text())["cases"]}
    faults = _half_written(work / "peace")
    if code != 3:
        faults.append(f"exit code 3 was due, {code} came")
    killed_at = []
    for share in kills:
        target = round(len(_cases(work / "fire")) * (1 - share) + len(_cases(work / "peace")) * share)
        with _detect(studies, work / "fire", [*arguments, "--resume"]) as process:
            while process.poll() is None and len(_cases(work / "fire")) < target:
                time.sleep(0.01)
            time.sleep(share * seconds / len(cases))  # somewhere within a case
            process.kill()
        killed_at.append(len(_cases(work / "fire")))
        faults += _half_written(work / "fire") if process.returncode < 0 else ["it had ended before it was killed"]
    with _detect(studies, work / "fire", [*arguments, "--resume"]) as process:
        process.wait()
    names = sorted(path.name for path in studies.iterdir())
    faults += _wrongly_refused(names, damaged, cases) + _different(work / "peace", work / "fire")
    good = [name for name in names if Path(name).stem not in damaged and cases[name]["status"] == "ok"]
    named = {name: str(cases.get(name, {}).get("code")) for name in damaged}
    return Verdict(len(good), named, tuple(killed_at), tuple(faults), seconds, watch.memory)


def _detect(studies: Path, out: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cspine", "detect", str(studies), "-o", str(out), *arguments]
    still = os.environ | {"SOURCE_DATE_EPOCH": "0"}  # pictures show when they were made
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=still)


def _cases(out: Path) -> list[Path]:
    """Returns the folders of cases; what has a temporary name is none."""
    return [path for path in out.glob("[!.]*") if path.is_dir()]


def _half_written(out: Path) -> list[str]:
    """Returns cases that are not complete."""
    faults = []
    for folder in _cases(out):
        try:
            record = json.loads((folder / "case.json").read_text())
            json.loads((folder / "result.json").read_text())
            missing = [name for name in record["files"] if not (folder / name).is_file()]
        except (OSError, ValueError) as error:
            missing = [str(error)]
        faults += [f"{folder.name} is not whole: {name}" for name in missing]
    return faults


def _wrongly_refused(names: Sequence[str], damaged: dict[str, Damage], cases: dict[str, Any]) -> list[str]:
    faults = []
    for name in (Path(name).stem for name in names):
        case = cases.get(name)
        if case is None:
            faults.append(f"{name} is not in the journal")
        elif name not in damaged and case["status"] != "ok":
            faults.append(f"{name} is good, and was not evaluated: {case['reason']}")
        elif name in damaged and (case["status"] == "ok" or case["code"] not in damaged[name].codes):
            faults.append(f"{name} is damaged ({damaged[name].name}), and {case['status']} with code {case['code']} came")
    return faults


def _different(peace: Path, fire: Path) -> list[str]:
    """Returns files of two folders that differ in more than times."""
    here, there = _contents(peace), _contents(fire)
    return [f"{name} differs" for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)]


def _contents(out: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for path in (path for path in out.rglob("*") if path.is_file()):
        data = path.read_bytes()
        found[path.relative_to(out).as_posix()] = _TIMES.sub("", data.decode()) if path.suffix == ".json" else data
    return found


def main() -> int:
    """Prints the verdict."""
    options = _arguments()
    chance = random.Random(options.seed)
    sources = sorted(path for path in (options.data / "train_images").iterdir() if path.is_dir())
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        damaged = make_batch(sources, work / "studies", options.studies, round(options.studies * options.damaged))
        kills = [chance.uniform(0.1, 0.9) for _ in range(options.kills)]
        verdict = survive(work / "studies", damaged, work, ["--format", options.format], kills)
    good = options.studies - len(damaged)
    print(f"{options.studies} studies made of {len(sources)}, {len(damaged)} of them damaged; {options.format}")
    print(f"in peace: {verdict.seconds:.0f} s, {verdict.evaluated} of {good} good ones evaluated")
    for name, damage in damaged.items():
        print(f"  {name}  {damage.name:<32}{verdict.named[name]}")
    print(f"killed when {' and '.join(map(str, verdict.killed_at))} were done, and resumed: ", end="")
    print("the same files" if not any("differs" in fault for fault in verdict.faults) else "other files")
    if verdict.memory is not None:
        print(verdict.memory)
    print("\n".join(verdict.faults) or "all is well")
    return int(bool(verdict.faults))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data set folder, as `cspine phantom` makes it")
    parser.add_argument("--studies", type=int, default=200, help="how many studies to evaluate (default: 200)")
    parser.add_argument("--damaged", type=float, default=0.05, help="share of them that is damaged (default: 0.05)")
    parser.add_argument("--kills", type=int, default=2, help="how often to kill (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="when to kill is drawn from it (default: 0)")
    parser.add_argument("--format", default="json,png", help="formats of `cspine detect` (default: json,png)")
    parser.add_argument("--work", type=Path, help="folder for everything, on the disk of the data set (default: a temporary one)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
