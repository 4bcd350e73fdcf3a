"""The numbers that a setting may have, stated beside its type and checked when it is made."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from cspine.errors import UsageError


@dataclass(frozen=True, slots=True)
class Interval:
    """The finite numbers from one bound to another.

    Attributes:
        low: The least.
        high: The greatest.
        above_low: Whether ``low`` itself is left out.
        below_high: Whether ``high`` itself is left out.
    """

    low: float = 0.0
    high: float = math.inf
    above_low: bool = False
    below_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.above_low else value >= self.low
        below = value < self.high if self.below_high else value <= self.high
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        least = f"above {self.low:g}" if self.above_low else f"{self.low:g} or more"
        if math.isinf(self.high):
            return least
        return f"{least} and {f'below {self.high:g}' if self.below_high else f'{self.high:g} or less'}"


Share = Annotated[float, Interval(0.0, 1.0)]
ShareBelowOne = Annotated[float, Interval(0.0, 1.0, below_high=True)]
ShareAboveZero = Annotated[float, Interval(0.0, 1.0, above_low=True)]
NotNegative = Annotated[float, Interval()]
Positive = Annotated[float, Interval(above_low=True)]
Whole = Annotated[int, Interval()]
Count = Annotated[int, Interval(1)]


def check_intervals(settings: Any, group: str) -> None:
    """Checks each setting whose type states an interval; of a tuple, each of its numbers.

    Args:
        settings: A dataclass.
        group: What the user calls it, for the message.

    Raises:
        UsageError: A number is outside.
    """
    hints = get_type_hints(type(settings), include_extras=True)
    for item in fields(settings):
        value = getattr(settings, item.name)
        wrong = next((interval for number, interval in _bounded(hints[item.name], value) if number not in interval), None)
        if wrong is not None:
            each = "be numbers, each" if isinstance(value, tuple) else "be"
            raise UsageError(f"{group}.{item.name} must {each} {wrong}. Received: {value}")


def _bounded(kind: Any, value: Any) -> Iterator[tuple[float, Interval]]:
    """Yields every number of a value with the interval of its type, where it has one."""
    if get_origin(kind) is Annotated:
        yield from ((value, mark) for mark in get_args(kind)[1:] if isinstance(mark, Interval))
    elif get_origin(kind) is tuple:
        kinds = get_args(kind)
        repeated = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        for part, number in zip(repeated, value, strict=True):
            yield from _bounded(part, number)
