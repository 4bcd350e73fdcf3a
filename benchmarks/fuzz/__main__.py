"""Damages valid files of every kind that cspine reads, by seed, and counts what comes of it.

``python -m benchmarks.fuzz --inputs 10000 --seed 1 --out fuzz.jsonl`` reads each input in a process of its own kind, which may die,
hang or ask for memory without harm. What comes of an input is a line of the file; a call with the same file goes on where the last
one was stopped. At the end stands a table by kind. Ends with 1 if anything but a reading, a refusal in one line or a documented
redoing came.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.fuzz.guard import GOOD, Order, Outcome, outcomes
from benchmarks.fuzz.subjects import SUBJECTS


def main() -> int:
    """Runs what is left to run, and prints the table."""
    options = _arguments()
    kinds = options.kinds.split(",") if options.kinds else list(SUBJECTS)
    wanted = plan(options.inputs, options.seed, kinds)
    done = _done(options.out)
    left = [order for order in wanted if order not in done]
    found = [done[order] for order in wanted if order in done]
    begin = time.monotonic()
    with options.out.open("a", encoding="utf-8") if options.out else sys.stderr as file:
        if options.out and options.out.stat().st_size and not options.out.read_bytes().endswith(b"\n"):
            file.write("\n")  # the line that was cut off when the last call was stopped
        for outcome in outcomes(left, options.within):
            found.append(outcome)
            if options.out or outcome.what not in GOOD:
                file.write(json.dumps(asdict(outcome)) + "\n")
                file.flush()
            if options.minutes and time.monotonic() - begin > 60 * options.minutes:
                break
    print(table(found))
    return int(any(outcome.what not in GOOD for outcome in found))


def plan(inputs: int, seed: int, kinds: Sequence[str]) -> list[Order]:
    """Returns so many inputs, by the shares of their kinds, in an order that touches all kinds early."""
    total = sum(SUBJECTS[kind].share for kind in kinds)
    counts = {kind: max(1, round(inputs * SUBJECTS[kind].share / total)) for kind in kinds}
    orders = [Order(seed, kind, number) for kind, count in counts.items() for number in range(count)]
    return sorted(
        orders, key=lambda order: ((order.number + 0.5) / counts[order.kind] // 0.05, kinds.index(order.kind), order.number)
    )


def table(found: Sequence[Outcome]) -> str:
    """Returns a line for each kind, and every place where something broke."""
    by_kind = defaultdict[str, list[Outcome]](list)
    for outcome in found:
        by_kind[outcome.kind].append(outcome)
    bad = sorted({outcome.what for outcome in found} - set(GOOD))
    columns = [*GOOD, *bad]
    lines = ["| kind | inputs | " + " | ".join(columns) + " | slowest | most memory |", "|---|" + "---:|" * (len(columns) + 3)]
    for kind in [*by_kind, "all"]:
        some = list(found) if kind == "all" else by_kind[kind]
        counts = Counter(outcome.what for outcome in some)
        slowest, most = max((o.seconds for o in some), default=0), max((o.peak_mib for o in some), default=0)
        cells = [kind, str(len(some)), *(str(counts[name]) for name in columns), f"{slowest:.1f} s", f"{most} MiB"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, *_places(found)])


def _places(found: Sequence[Outcome]) -> Iterator[str]:
    broken = Counter((outcome.kind, outcome.what, outcome.outcome) for outcome in found if outcome.what not in GOOD)
    first = {(o.kind, o.what, o.outcome): o.number for o in reversed(found)}
    for key, count in broken.most_common():
        kind, what, printed = key
        yield f"{count} x {kind}: {what}: {printed} (first: number {first[key]})"


def _done(path: Path | None) -> dict[Order, Outcome]:
    """Returns what an earlier call found; a line that was cut off is done again."""
    if path is None or not path.is_file():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            outcome = Outcome(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[Order(outcome.seed, outcome.kind, outcome.number)] = outcome
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000, help="damaged inputs, of all kinds together (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of all chance (default: 0)")
    parser.add_argument("--kinds", default="", metavar="A,B", help=f"only these of: {', '.join(SUBJECTS)}")
    parser.add_argument("--within", type=float, default=20.0, help="seconds after which a reader hangs (default: 20)")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so many minutes; 0 for never")
    parser.add_argument("--out", type=Path, default=None, metavar="FILE", help="a line for each input; an earlier call goes on")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
