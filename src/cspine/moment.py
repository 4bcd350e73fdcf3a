"""Gives the time that results say it is."""

import os
from datetime import UTC, datetime

from cspine.errors import UsageError

_VARIABLE = "SOURCE_DATE_EPOCH"
_LAST = 253_402_300_799
"""The last second of the year 9999."""


def now() -> datetime:
    """Returns the time, or that of ``SOURCE_DATE_EPOCH``, for the same bytes again.

    See https://reproducible-builds.org/specs/source-date-epoch.

    Raises:
        UsageError: The variable is set to something else than seconds.
    """
    given = os.environ.get(_VARIABLE, "")
    if not given:
        return datetime.now(UTC)
    if not (given.isascii() and given.isdecimal() and len(given) <= 12 and int(given) <= _LAST):
        raise UsageError(f"{_VARIABLE} needs whole seconds since 1970, as 1700000000. Received: {given}. Correct it or unset it.")
    return datetime.fromtimestamp(int(given), UTC)
