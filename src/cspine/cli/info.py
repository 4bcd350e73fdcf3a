"""Says what is in a folder, a zip or a file, which series would be used, and why not the others.

Reads headers, and some images of the series that would be used. Shows no name, date or description of a patient. Of a data set in
the RSNA 2022 layout it says what is labelled, how often each level is fractured, and what is broken; --check also reads every
image and verifies masks and boxes.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from cspine.cli import Exit
from cspine.cli.progress import progress
from cspine.datasets import check_case, check_once, read_dataset, verified
from cspine.datasets.cache import Cache
from cspine.datasets.summary import as_json, as_table, is_dataset, summarise
from cspine.errors import UsageError
from cspine.jobs.reader import TO_READ, Reader
from cspine.reading import SeriesSummary, find_series

_COLUMNS = ("#", "use", "orientation", "voxels", "spacing mm", "extent mm", "images", "kernel", "stored as")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of ``cspine info``."""
    parser.add_argument("path", type=Path, metavar="PATH", help="a folder, a zip or a NIfTI file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="of a data set: read every image, verify masks and boxes")
    cached = "with --check: keeps what was found, so that `cspine train --cache DIR` checks no study again"
    parser.add_argument("--cache", type=Path, metavar="DIR", help=cached)


def run(args: argparse.Namespace) -> int:
    """Prints what is there.

    Returns:
        The exit code.

    Raises:
        UsageError: --cache without --check.
        StudyError: Nothing there is a scan.
    """
    if args.cache is not None and not args.check:
        raise UsageError("--cache keeps what --check finds. Give both, or neither.")
    if is_dataset(args.path):
        _print_dataset(args)
        return Exit.DONE
    with Reader() as reader:
        found = reader.inspect(find_series, args.path, TO_READ)
    print(json.dumps(_as_json(args.path, found), indent=2) if args.json else "\n".join(_as_table(found)))  # noqa: T201
    return Exit.DONE


def _print_dataset(args: argparse.Namespace) -> None:
    data = read_dataset(args.path, skip_broken=True)
    if args.check:
        check = check_case if args.cache is None else partial(check_once, cache=Cache(args.cache))
        data = verified(data, skip_broken=True, checks=lambda cases: progress(map(check, cases), len(data.cases), "studies"))
    summary = summarise(data)
    print(json.dumps(as_json(summary), indent=2) if args.json else "\n".join(as_table(summary)))  # noqa: T201


def _as_json(path: Path, found: Sequence[SeriesSummary]) -> dict[str, Any]:
    return {"path": str(path), "series": [{**asdict(summary), "place": str(summary.place)} for summary in found]}


def _as_table(found: Sequence[SeriesSummary]) -> Iterator[str]:
    for place, group in groupby(found, key=lambda summary: summary.place):
        summaries = list(group)
        yield f"{place}: {len(summaries)} series"
        yield ""
        rows = [_COLUMNS, *(_row(number, summary) for number, summary in enumerate(summaries, 1))]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        for row in rows:
            yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield ""
        for number, summary in enumerate(summaries, 1):
            yield f"  {number:<{widths[0]}}  {summary.name or 'no series UID'}: {summary.reason}"
            for problem in summary.problems:
                if problem.text != summary.reason:
                    yield f"  {'':<{widths[0]}}  {problem.code}: {problem.text}"
        yield ""


def _row(number: int, summary: SeriesSummary) -> tuple[str, ...]:
    return (
        str(number),
        "yes" if summary.chosen else "no",
        summary.orientation or "?",
        _times(summary.shape, "d"),
        _times(summary.spacing_mm, ".2f"),
        _times(summary.extent_mm, ".0f"),
        str(summary.images),
        summary.kernel or "?",
        summary.storage,
    )


def _times(values: Sequence[float] | None, form: str) -> str:
    return "?" if values is None else " x ".join(f"{value:{form}}" for value in values)
