"""Settings lie within the intervals that their types state."""

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest

from cspine.errors import UsageError
from cspine.intervals import Count, Interval, NotNegative, Positive, Share, ShareAboveZero, ShareBelowOne, Whole, check_intervals


@dataclass(frozen=True)
class Settings:
    """Settings with every kind of interval."""

    share: Share = 0.5
    gain: ShareBelowOne = 0.5
    full: ShareAboveZero = 0.5
    rate: Positive = 1e-3
    shift: NotNegative = 0.0
    epochs: Whole = 0
    batch: Count = 1
    size: tuple[Count, Count] = (1, 1)
    widths: tuple[Count, ...] = (1, 2, 3)
    name: str = "any"
    free: float = -5.0

    def __post_init__(self) -> None:
        check_intervals(self, "group")


@pytest.mark.parametrize(
    "change",
    [
        {"share": 0.0},
        {"share": 1.0},
        {"gain": 0.0},
        {"gain": 0.999},
        {"full": 1.0},
        {"rate": 1e-9},
        {"rate": 1e9},
        {"widths": (1,)},
        {"free": math.nan},
    ],
)
def test_a_number_within_its_interval_is_taken(change: dict[str, Any]) -> None:
    replace(Settings(), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": -0.1}, r"group\.share must be 0 or more and 1 or less\. Received: -0\.1"),
        ({"share": 1.01}, r"group\.share must be 0 or more and 1 or less"),
        ({"gain": 1.0}, r"group\.gain must be 0 or more and below 1\. Received: 1\.0"),
        ({"full": 0.0}, r"group\.full must be above 0 and 1 or less\. Received: 0\.0"),
        ({"rate": 0.0}, r"group\.rate must be above 0\. Received: 0\.0"),
        ({"rate": math.inf}, r"group\.rate must be above 0\. Received: inf"),
        ({"shift": math.nan}, r"group\.shift must be 0 or more\. Received: nan"),
        ({"epochs": -1}, r"group\.epochs must be 0 or more\. Received: -1"),
        ({"batch": 0}, r"group\.batch must be 1 or more\. Received: 0"),
        ({"size": (1, 0)}, r"group\.size must be numbers, each 1 or more\. Received: \(1, 0\)"),
        ({"widths": (8, 16, 0)}, r"group\.widths must be numbers, each 1 or more"),
    ],
)
def test_a_number_outside_is_refused_by_the_name_of_its_setting(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(Settings(), **change)


def test_an_interval_says_what_it_holds() -> None:
    assert str(Interval(2.0)) == "2 or more"
    assert str(Interval(0.0, 3.0, above_low=True, below_high=True)) == "above 0 and below 3"
