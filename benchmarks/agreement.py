"""Tells how far the results of two states of cspine lie apart."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NOT_COMPARED = frozenset({"timings_s", "created", "text"})
"""Times, and sentences for people, which may be put better; each has a code beside it, which is compared."""


def largest_difference(one: Path, other: Path) -> float:
    """Returns the largest difference of any number of two ``result.json``, infinity where words or codes differ.

    What only one of them says counts as a difference, too.
    """
    first, second = (dict(_leaves(json.loads(path.read_text(encoding="utf-8")))) for path in (one, other))
    if first.keys() != second.keys():
        return math.inf
    return max((_apart(first[place], second[place]) for place in first), default=0.0)


def of_batches(one: Path, other: Path) -> float:
    """Returns the largest difference of the results of two folders of a batch; infinity where one lacks a study."""
    names = [{path.parent.name for path in folder.glob("*/result.json")} for folder in (one, other)]
    if not names[0] or names[0] != names[1]:
        return math.inf
    return max(largest_difference(one / name / "result.json", other / name / "result.json") for name in names[0])


def of_probabilities(one: Path, other: Path) -> float:
    """Returns the largest difference of any probability of two folders of a batch; infinity where one lacks a study."""
    first, second = ({path.parent.name: _probabilities(path) for path in folder.glob("*/result.json")} for folder in (one, other))
    if not first or first.keys() != second.keys():
        return math.inf
    pairs = (
        (first[name].get(place), second[name].get(place)) for name in first for place in first[name].keys() | second[name].keys()
    )
    return max((_apart(*pair) for pair in pairs), default=0.0)


def _probabilities(path: Path) -> dict[str, Any]:
    leaves = _leaves(json.loads(path.read_text(encoding="utf-8")))
    return {place: value for place, value in leaves if place.endswith("/probability")}


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yields what a JSON text holds that is no list and no object, each with its place."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in _NOT_COMPARED:
                yield from _leaves(part, f"{place}/{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _leaves(part, f"{place}/{number}")
    else:
        yield place, value


def _apart(one: Any, other: Any) -> float:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))
    return abs(one - other) if numbers else 0.0 if one == other else math.inf
