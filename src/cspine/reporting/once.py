"""Makes once what several formats of a result need, and keeps it no longer than that result is written: it may hold a patient."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_made: ContextVar[dict[tuple[object, ...], tuple[tuple[Any, ...], Any]] | None] = ContextVar("made", default=None)


@contextmanager
def one_result() -> Iterator[None]:
    """Keeps what functions of :func:`once_per_result` make, until the context ends."""
    token = _made.set({})
    try:
        yield
    finally:
        _made.reset(token)


def once_per_result(function: Callable[P, R]) -> Callable[P, R]:
    """Returns a function that is called once for the same objects within :func:`one_result`; elsewhere each time."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        made = _made.get()
        if made is None or kwargs:
            return function(*args, **kwargs)
        key = (function, *map(id, args))
        if key not in made:
            made[key] = args, function(*args, **kwargs)  # the arguments too, as long as their numbers stand for them
        found: R = made[key][1]
        return found

    return called
