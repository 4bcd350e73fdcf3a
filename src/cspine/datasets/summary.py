"""A data set at a glance: what is there, how much of it is fractured, what is wrong."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cspine.anatomy import CERVICAL
from cspine.datasets.case import Case, Problem
from cspine.datasets.dataset import Dataset

_MOST_SHOWN = 10
"""Problems of one kind that the table spells out; JSON has all."""


@dataclass(frozen=True, slots=True)
class BoxSummary:
    """Describes the boxes of the studies that have any.

    Attributes:
        slices: Fewest, median and most slices with a box in a study.
        runs: Mean number of unbroken runs of such slices in a study.
        size_px: Median width and height.
        slices_with_several: Slices with more than one box; the RSNA 2022 data have none.
    """

    slices: tuple[float, float, float]
    runs: float
    size_px: tuple[float, float]
    slices_with_several: int


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """Counts of a data set.

    Attributes:
        root: Its folder.
        studies: Labelled studies that can be used.
        test_studies: Studies without labels.
        phantoms: Labelled studies that come with a phantom's truth.
        positive: Studies with any fracture.
        fractured: Studies in which each of C1..C7 is fractured.
        levels_per_study: Studies with 0, 1, 2 ... fractured levels.
        boxes: Boxes of usable studies.
        boxed_studies: Studies with boxes.
        box_summary: How many slices of a study have boxes, and of which size; ``None`` without boxes.
        masked_studies: Studies with a mask.
        masked_positive: Of these, those with a fracture.
        excluded: Studies that are left out, and why.
        problems: What is wrong.
    """

    root: str
    studies: int
    test_studies: int
    phantoms: int
    positive: int
    fractured: dict[str, int]
    levels_per_study: tuple[int, ...]
    boxes: int
    boxed_studies: int
    box_summary: BoxSummary | None
    masked_studies: int
    masked_positive: int
    excluded: dict[str, str]
    problems: tuple[Problem, ...]


def is_dataset(folder: Path) -> bool:
    """Says whether a folder looks like a data set in the RSNA layout."""
    return any((folder / name).is_file() for name in ("train.csv", "test.csv"))


def summarise(data: Dataset) -> DatasetSummary:
    """Returns the counts of a data set."""
    patterns = [case.fractured for case in data.cases if case.fractured is not None]
    numbers = Counter(sum(pattern) for pattern in patterns)
    masked = [case for case in data.cases if case.mask is not None]
    return DatasetSummary(
        root=str(data.root),
        studies=len(data.cases),
        test_studies=len(data.test),
        phantoms=sum(case.truth is not None for case in data.cases),
        positive=sum(map(any, patterns)),
        fractured={level.name: sum(pattern[n] for pattern in patterns) for n, level in enumerate(CERVICAL)},
        levels_per_study=tuple(numbers[n] for n in range(max(numbers, default=0) + 1)),
        boxes=sum(len(case.boxes) for case in data.cases),
        boxed_studies=sum(bool(case.boxes) for case in data.cases),
        box_summary=_box_summary([case for case in data.cases if case.boxes]),
        masked_studies=len(masked),
        masked_positive=sum(bool(case.any_fractured) for case in masked),
        excluded=dict(data.excluded),
        problems=data.problems,
    )


def _box_summary(boxed: Sequence[Case]) -> BoxSummary | None:
    if not boxed:
        return None
    slices = [Counter(box.slice_number for box in case.boxes) for case in boxed]
    counts = [len(numbers) for numbers in slices]
    boxes = [box for case in boxed for box in case.boxes]
    return BoxSummary(
        slices=(min(counts), statistics.median(counts), max(counts)),
        runs=statistics.fmean(sum(number - 1 not in numbers for number in numbers) for numbers in slices),
        size_px=(statistics.median(box.width for box in boxes), statistics.median(box.height for box in boxes)),
        slices_with_several=sum(count > 1 for numbers in slices for count in numbers.values()),
    )


def as_json(summary: DatasetSummary) -> dict[str, Any]:
    """Returns the counts as JSON knows them."""
    return asdict(summary)


def as_table(summary: DatasetSummary) -> Iterator[str]:
    """Yields the counts, line by line, for people."""
    kind = " of phantoms" if summary.phantoms and summary.phantoms == summary.studies else ""
    yield f"{summary.root}: data set{kind} in the RSNA 2022 layout"
    yield ""
    rows = [
        ("labelled studies", summary.studies, ""),
        ("patient_overall", summary.positive, _share(summary.positive, summary.studies)),
        *((name, count, _share(count, summary.studies)) for name, count in summary.fractured.items()),
        ("with boxes", summary.boxed_studies, f"{summary.boxes} boxes"),
        ("with a mask", summary.masked_studies, f"{summary.masked_positive} positive"),
        ("test studies", summary.test_studies, ""),
    ]
    yield from (f"  {name:<18}{count:>6}  {note}".rstrip() for name, count, note in rows)
    counts = ", ".join(f"{n}: {count}" for n, count in enumerate(summary.levels_per_study))
    yield f"  fractured levels per study  {counts}"
    if summary.box_summary is not None:
        yield f"  boxes of a study            {_boxes(summary.box_summary)}"
    yield ""
    yield f"  left out: {len(summary.excluded)} studies"
    yield from (f"    {uid}: {why}" for uid, why in list(summary.excluded.items())[:_MOST_SHOWN])
    yield from _more(len(summary.excluded) - _MOST_SHOWN)
    yield f"  problems: {len(summary.problems)}"
    for code in dict.fromkeys(problem.code for problem in summary.problems):
        texts = [problem.text for problem in summary.problems if problem.code == code]
        yield f"    {code} ({len(texts)})"
        yield from (f"      {text}" for text in texts[:_MOST_SHOWN])
        yield from _more(len(texts) - _MOST_SHOWN)


def _boxes(boxes: BoxSummary) -> str:
    fewest, median, most = boxes.slices
    width, height = boxes.size_px
    several = f"; slices with several boxes: {boxes.slices_with_several}" if boxes.slices_with_several else ""
    return (
        f"on {fewest:g} to {most:g} slices (median {median:g}) in {boxes.runs:.1f} runs, {width:g} x {height:g} pixels (median)"
        f"{several}"
    )


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"      and {count} more; --json lists all"


def _share(count: int, studies: int) -> str:
    return f"{count / studies:6.1%}" if studies else ""
