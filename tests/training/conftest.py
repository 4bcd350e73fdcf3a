from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def untraced() -> Iterator[None]:
    """Has networks of a module learn step by step."""
    from tests.training.untraced import step_by_step

    with step_by_step():
        yield
