"""Spreads pieces of work that need little or nothing of one another over the Ray cluster that was joined.

A piece is a call of a function that the workers import too: paths and settings travel, never volumes. All machines see the data
under the same names, and have the same cspine.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

import cspine
from cspine.errors import InputError, UsageError
from cspine.jobs.joining import Needs, room

_TRIES = 2
"""A piece whose worker died is tried once more: perhaps the machine went, not the piece."""

_AT_ONCE: Mapping[int, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Labour:
    """Describes pieces of work.

    Attributes:
        name: What messages call a piece.
        function: Does one; a function of a module, called with the arguments of the piece.
        needs: What a worker asks its machine for.
        most: Workers at a time; as many as find room if ``None``.
        calls: Pieces that a process does before another takes its place; any number if 0.
    """

    name: str
    function: Callable[..., Any]
    needs: Needs
    most: int | None = None
    calls: int = 0


def spread(
    labour: Labour,
    pieces: Sequence[tuple[Any, ...]],
    warn: Callable[[str], None] = lambda _: None,
    after: Mapping[int, int] = _AT_ONCE,
) -> Iterator[tuple[int, Any]]:
    """Yields the place of each piece and what its call returned, as workers have done them, in any order.

    Args:
        labour: What is done.
        pieces: The arguments of each call.
        warn: Receives a warning for each worker that died.
        after: The piece that another waits for, by the place of the one that waits: one that stands before it.

    Raises:
        UsageError: No worker finds room, two died over one piece, or a machine has another cspine.
        InputError: As a call raises it.
    """
    if any(first >= number for number, first in after.items()):
        raise ValueError(f"A piece waits for one that stands before it. Received: {dict(after)}")
    if not pieces:
        return
    call = ray.remote(max_retries=0, max_calls=labour.calls, **labour.needs.options)(_call)
    count = min(room(labour.needs), len(pieces), labour.most or len(pieces))
    left = deque((number, 1) for number in range(len(pieces)))
    busy: dict[Any, tuple[int, int]] = {}
    done: set[int] = set()
    while left or busy:
        while len(busy) < count and (piece := _taken(left, after, done)) is not None:
            busy[call.remote(cspine.__version__, labour.function, pieces[piece[0]])] = piece
        (answer, *_), _ = ray.wait(list(busy), num_returns=1)
        number, tries = busy.pop(answer)
        try:
            result = ray.get(answer)
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, InputError) else error) from None
        except RayError as error:  # the worker, or its machine, is gone
            name = f"{labour.name} {number + 1} of {len(pieces)}"
            if tries == _TRIES:
                raise UsageError(
                    f"{_TRIES} workers of the cluster died over {name}, perhaps for want of memory. Read their logs, or give fewer "
                    "--workers; what was finished is kept."
                ) from error
            warn(f"a worker died over {name}; it is tried again")
            left.append((number, tries + 1))
        else:
            done.add(number)
            yield number, result


def _taken(left: deque[tuple[int, int]], after: Mapping[int, int], done: Collection[int]) -> tuple[int, int] | None:
    """Takes out the first piece that waits for none, with its tries; ``None`` where all do."""
    for place, (number, tries) in enumerate(left):
        if number not in after or after[number] in done:
            del left[place]
            return number, tries
    return None


def _call(wanted: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Runs on a worker."""
    if cspine.__version__ != wanted:
        where = ray.util.get_node_ip_address()
        raise UsageError(
            f"All machines of the cluster need cspine {wanted}. Received: {cspine.__version__} on {where}. Install the same there."
        )
    return function(*arguments)
