"""Smooth displacements."""

import numpy as np
import pytest
from scipy import ndimage

from cspine.training.localiser.augmentation import interpolated


@pytest.mark.parametrize("size", [(24, 32, 40), (7, 5, 9), (4, 5, 5)])
def test_is_what_scipy_says(size: tuple[int, int, int]) -> None:
    lattice = np.random.default_rng(0).normal(size=(4, 5, 5))
    expected = ndimage.zoom(lattice, np.array(size) / lattice.shape, order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(interpolated(lattice, size), expected, atol=1e-5)
