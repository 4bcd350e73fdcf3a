"""Keeps libraries from printing what they find odd: it may name a patient, and our own messages say what matters."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(library: str) -> Iterator[None]:
    """Within it, the logger of a library says nothing and nothing warns."""

    def nothing(_record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger(library)
    logger.addFilter(nothing)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeFilter(nothing)
