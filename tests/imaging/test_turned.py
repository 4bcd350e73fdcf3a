"""Arrays are sampled along other axes as scipy samples them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cspine.geometry import Shape
from cspine.imaging import turned

_SHAPE: Shape = (5, 30, 40)


def _turn(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns a turn about the middle of 40 x 50 x 60 voxels, to targets that partly lie outside."""
    rng = np.random.default_rng(seed)
    matrix = Rotation.from_rotvec(rng.normal(0, 0.3, 3)).as_matrix() * rng.uniform(0.8, 1.6, 3)
    return matrix, np.array((20, 25, 30)) - matrix @ ((np.array(_SHAPE) - 1) / 2)


def _expected(image: NDArray[np.float32], matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> NDArray[np.float32]:
    found = ndimage.affine_transform(image.astype(np.float64), matrix, offset, _SHAPE, order=1, mode="nearest")
    return np.asarray(found.astype(np.float32))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("voxels", [1, 100, 1 << 15])
def test_linear_interpolation_is_that_of_scipy(seed: int, voxels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turned, "_VOXELS", voxels)
    image = np.random.default_rng(seed).normal(0, 1000, (40, 50, 60)).astype(np.float32)
    matrix, offset = _turn(seed)

    found = turned.linear(image, matrix, offset, _SHAPE)

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, _expected(image, matrix, offset), rtol=1e-6)


def test_beyond_an_image_its_border_goes_on() -> None:
    image = np.arange(8, dtype=np.float32).reshape(2, 2, 2)

    found = turned.linear(image, np.eye(3), np.array([-1.0, 0, 0]), (4, 2, 2))

    assert np.array_equal(found[:2], [image[0], image[0]])
    np.testing.assert_allclose(found[2:], [image[1], image[1]], rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step", [0.4, 1.0])
def test_nearest_labels_are_those_of_scipy(seed: int, step: float) -> None:
    labels = np.random.default_rng(seed).integers(0, 9, (12, 14, 16)).astype(np.uint8)
    matrix, offset = _turn(seed)
    matrix, offset = np.round(matrix, 1) * step, np.round(offset / 3) - 2.5  # at borders between voxels too

    found = turned.nearest(labels, matrix, offset, _SHAPE, 7)

    assert np.array_equal(found, ndimage.affine_transform(labels, matrix, offset, _SHAPE, order=0, mode="grid-constant", cval=7))
    assert (found == 7).any()
