"""Spreads pieces of work that need nothing of one another over the Ray cluster that was joined.

A piece is a call of a function that the workers import too: paths and settings travel, never volumes. All machines see the data
under the same names, and have the same cspine.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

import cspine
from cspine.errors import InputError, UsageError
from cspine.jobs.joining import Needs, room

_TRIES = 2
"""A piece whose worker died is tried once more: perhaps the machine went, not the piece."""


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
    labour: Labour, pieces: Sequence[tuple[Any, ...]], warn: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[int, Any]]:
    """Yields the place of each piece and what its call returned, as workers have done them, in any order.

    Args:
        labour: What is done.
        pieces: The arguments of each call.
        warn: Is told of workers that died.

    Raises:
        UsageError: No worker finds room, two died over one piece, or a machine has another cspine.
        InputError: As a call raises it.
    """
    if not pieces:
        return
    call = ray.remote(max_retries=0, max_calls=labour.calls, **labour.needs.options)(_call)
    count = min(room(labour.needs), len(pieces), labour.most or len(pieces))
    left = deque((number, 1) for number in range(len(pieces)))
    busy: dict[Any, tuple[int, int]] = {}
    while left or busy:
        while left and len(busy) < count:
            number, tries = left.popleft()
            busy[call.remote(cspine.__version__, labour.function, pieces[number])] = (number, tries)
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
            yield number, result


def _call(wanted: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Runs on a worker."""
    if cspine.__version__ != wanted:
        where = ray.util.get_node_ip_address()
        raise UsageError(
            f"All machines of the cluster need cspine {wanted}. Received: {cspine.__version__} on {where}. Install the same there."
        )
    return function(*arguments)
