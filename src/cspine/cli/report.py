"""Prints what ``cspine detect`` has done: a table of C1..C7, the files, the failures, the exit code."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cspine.anatomy import CERVICAL
from cspine.cli import Exit
from cspine.jobs.job import Job, JobStatus
from cspine.jobs.journal import Journal
from cspine.reporting.words import percent, reasons_and_warnings
from cspine.results import DISCLAIMER, StudyResult, StudyStatus

_WIDEST_NAME = 44
_CELL = 9
_LISTED = 10
"""So many jobs have their files listed one by one."""

_NOT_ASSESSED = {"not_in_view": "-", "uncertain": "?"}


def exit_code(jobs: Sequence[Job]) -> Exit:
    """Returns the exit code of a batch; a share may be empty."""
    if not jobs:
        return Exit.DONE
    failed = [job for job in jobs if job.status is JobStatus.FAILED]
    if len(failed) == len(jobs):
        return Exit.FAULT if any(job.fault for job in failed) else Exit.WRONG_INPUT
    if failed:
        return Exit.SOME_FAILED
    return Exit.ALL_REJECTED if all(job.status is JobStatus.REJECTED for job in jobs) else Exit.DONE


def print_summary(out: Path, journal: Journal, kept: int = 0) -> None:
    """Prints the table and the files to stdout; failures, and what to know of the files, to stderr."""
    jobs = journal.jobs
    done = [job for job in jobs if job.status in (JobStatus.OK, JobStatus.REJECTED)]
    for job in jobs:
        if job.status is JobStatus.FAILED:
            sys.stderr.write(f"cspine detect: {job.name}: {job.reason}\n")
    for note, count in Counter(note for job in done for note in job.notes).items():
        sys.stderr.write(f"cspine detect: {count} of {len(done)} studies: {note}\n")
    if not jobs:
        sys.stderr.write("cspine detect: no study falls into this share\n")
    if not done:
        return
    width = min(max(len(job.name) for job in done), _WIDEST_NAME)
    titles = ("any", *(level.name for level in CERVICAL))
    lines = [f"{'study':<{width}}" + "".join(f"{title + ' ':>{_CELL}}" for title in titles).rstrip()]
    results: dict[str, StudyResult] = {}
    for job in done:
        try:
            results[job.name] = StudyResult.from_json((out / job.name / "result.json").read_bytes())
        except (OSError, ValueError) as error:
            sys.stderr.write(f"cspine detect: {job.name}: its result.json cannot be read any more: {error}\n")
            continue
    facts = {name: result.to_dict() for name, result in results.items()}
    lines += [_row(name, width, fact) for name, fact in facts.items()]
    lines += ["", "Probability of a fracture; * positive at the operating point, ~ partly in view, - not in view, ? uncertain."]
    disclaimers = dict.fromkeys(fact["disclaimer"] for fact in facts.values()) or {DISCLAIMER: None}
    lines += [*_reason_lines(results), *disclaimers, "", *_written(out, done, journal, kept)]
    sys.stdout.write("\n".join(lines) + "\n")


def _reason_lines(results: Mapping[str, StudyResult]) -> list[str]:
    """Returns a line for each reason of the studies that were not rejected; of many studies, a line for each code."""
    reasons = [
        (name, reason)
        for name, result in results.items()
        if result.status is StudyStatus.OK
        for reason in reasons_and_warnings(result)
    ]
    if len(results) <= _LISTED:
        return [f"{name}: {reason.text}" for name, reason in reasons]
    by_code: dict[str, dict[str, str]] = {}
    for name, reason in reasons:
        by_code.setdefault(reason.code, {}).setdefault(name, reason.text)
    firsts = ((code, len(texts), *next(iter(texts.items()))) for code, texts in by_code.items())
    return [f"{count} of {len(results)} studies, {code}; {name}: {text}" for code, count, name, text in firsts]


def _row(name: str, width: int, result: dict[str, Any]) -> str:
    shown = name if len(name) <= width else name[: width - 3] + "..."
    if result["status"] == "rejected":
        return f"{shown:<{width}}  rejected: {result['reasons'][0]['text']}"
    cells = [_cell(result["patient_overall"], "assessed"), *(_cell(level, level["status"]) for level in result["levels"])]
    return (f"{shown:<{width}}" + "".join(f"{cell:>{_CELL}}" for cell in cells)).rstrip()


def _cell(entry: dict[str, Any], status: str) -> str:
    if entry["probability"] is None:
        return _NOT_ASSESSED[status] + " "
    partly = "~" if status == "partly_in_view" else ""
    return f"{partly}{percent(entry['probability'])}{'*' if entry['positive'] else ' '}"


def _written(out: Path, done: Sequence[Job], journal: Journal, kept: int) -> list[str]:
    lines = [f"Wrote {out / job.name / file}" for job in done[:_LISTED] for file in job.files]
    if len(done) > _LISTED:
        lines.append(f"  and so on: {len(done)} studies")
    failed, rejected = len(journal.jobs) - len(done), sum(job.status is JobStatus.REJECTED for job in done)
    journal_file, failures_file = (out / name for name in journal.files)
    before = f", {kept} kept from before" if kept else ""
    lines.append(f"Wrote {journal_file}: {len(done) - kept} done{before}, {failed} failed")
    return [*lines, f"Wrote {failures_file}: {failed} failed, {rejected} rejected"] if failed or rejected else lines
