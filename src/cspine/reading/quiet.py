"""Keeps libraries from printing what they find odd: it may name a patient, and our own messages say what matters."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from cspine.concurrency.sharing import SharedContext


@contextmanager
def quiet(library: str) -> Iterator[None]:
    """Silences the logger of a library, and all warnings, within the context."""
    with _silence(library).entered():
        yield


@cache
def _silence(library: str) -> SharedContext:
    """Returns one context for all threads: filters are of the whole process, and two that overlap would leave them changed."""
    return SharedContext(lambda: _silent(library))


@contextmanager
def _silent(library: str) -> Iterator[None]:
    logger = logging.getLogger(library)
    logger.addFilter(_nothing)
    try:
        with _NO_WARNINGS.entered():
            yield
    finally:
        logger.removeFilter(_nothing)


@contextmanager
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


_NO_WARNINGS = SharedContext(_no_warnings)


def _nothing(_record: logging.LogRecord) -> bool:
    return False
