from pathlib import Path

import pytest

from tests.datasets.by_hand import write_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Returns a sound data set of three studies; see :func:`write_folder`."""
    return write_folder(tmp_path)
