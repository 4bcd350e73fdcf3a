"""What ``cspine detect`` says when it is done: a table of C1..C7, the files, the failures, the exit code."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cspine.anatomy import CERVICAL
from cspine.batches.cases import Case, CaseStatus
from cspine.batches.journal import Journal
from cspine.cli import Exit
from cspine.reporting.words import percent
from cspine.results import DISCLAIMER

_WIDEST_NAME = 44
_CELL = 9
_LISTED = 10
"""So many cases have their files listed one by one."""

_NOT_JUDGED = {"not_in_view": "-", "uncertain": "?"}


def exit_code(cases: Sequence[Case]) -> Exit:
    """The exit code of a batch; a share may be empty."""
    if not cases:
        return Exit.DONE
    failed = [case for case in cases if case.status is CaseStatus.FAILED]
    if len(failed) == len(cases):
        return Exit.FAULT if any(case.fault for case in failed) else Exit.WRONG_INPUT
    if failed:
        return Exit.SOME_FAILED
    return Exit.ALL_REJECTED if all(case.status is CaseStatus.REJECTED for case in cases) else Exit.DONE


def print_summary(out: Path, journal: Journal) -> None:
    """The table and the files on stdout; failures, and what to know of the files, on stderr."""
    cases = journal.cases
    done = [case for case in cases if case.status in (CaseStatus.OK, CaseStatus.REJECTED)]
    for case in cases:
        if case.status is CaseStatus.FAILED:
            sys.stderr.write(f"cspine detect: {case.name}: {case.reason}\n")
    for note, count in Counter(note for case in done for note in case.notes).items():
        sys.stderr.write(f"cspine detect: {count} of {len(done)} studies: {note}\n")
    if not cases:
        sys.stderr.write("cspine detect: no study falls into this share\n")
    if not done:
        return
    width = min(max(len(case.name) for case in done), _WIDEST_NAME)
    titles = ("any", *(level.name for level in CERVICAL))
    lines = [f"{'study':<{width}}" + "".join(f"{title + ' ':>{_CELL}}" for title in titles).rstrip()]
    warnings: dict[str, None] = {}
    for case in done:
        result = json.loads((out / case.name / "result.json").read_text(encoding="utf-8"))
        warnings[result["disclaimer"]] = None
        lines.append(_row(case.name, width, result))
    lines += ["", "Probability of a fracture; * positive at the operating point, ~ partly in view, - not in view, ? uncertain."]
    lines += [*(warnings or {DISCLAIMER: None}), "", *_written(out, done, journal)]
    sys.stdout.write("\n".join(lines) + "\n")


def _row(name: str, width: int, result: dict[str, Any]) -> str:
    shown = name if len(name) <= width else name[: width - 3] + "..."
    if result["status"] == "rejected":
        return f"{shown:<{width}}  rejected: {result['reasons'][0]['text']}"
    cells = [_cell(result["patient_overall"], "assessed"), *(_cell(level, level["status"]) for level in result["levels"])]
    return (f"{shown:<{width}}" + "".join(f"{cell:>{_CELL}}" for cell in cells)).rstrip()


def _cell(judged: dict[str, Any], status: str) -> str:
    if judged["probability"] is None:
        return _NOT_JUDGED[status] + " "
    partly = "~" if status == "partly_in_view" else ""
    return f"{partly}{percent(judged['probability'])}{'*' if judged['positive'] else ' '}"


def _written(out: Path, done: Sequence[Case], journal: Journal) -> list[str]:
    lines = [f"Wrote {out / case.name / file}" for case in done[:_LISTED] for file in case.files]
    if len(done) > _LISTED:
        lines.append(f"  and so on: {len(done)} studies")
    failed, rejected = len(journal.cases) - len(done), sum(case.status is CaseStatus.REJECTED for case in done)
    journal_file, failures_file = (out / name for name in journal.files)
    lines.append(f"Wrote {journal_file}: {len(done)} done, {failed} failed")
    return [*lines, f"Wrote {failures_file}: {failed} failed, {rejected} rejected"] if failed or rejected else lines
