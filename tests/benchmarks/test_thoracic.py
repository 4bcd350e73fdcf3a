"""Thoracic vertebrae that are outlined without a network."""

import numpy as np
import pytest

from benchmarks.thoracic import vertebrae
from cspine.errors import StudyError
from cspine.geometry import Grid
from cspine.volume import Volume


def test_a_scan_without_a_spine_is_refused() -> None:
    empty = Volume(np.full((30, 60, 60), 40, np.float32), Grid.upright((0, 0, 0), (30, 60, 60), (2.5, 0.8, 0.8)))

    with pytest.raises(StudyError, match="A spinal canal is needed"):
        vertebrae(empty)
