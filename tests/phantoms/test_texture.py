import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.phantoms.model.texture import value_noise


def lattice(step_mm: float = 1.3) -> NDArray[np.float32]:
    """Returns points ``(3, z, y, x)`` of an upright lattice that does not start at 0."""
    z, y, x = (
        np.float32(start) + np.float32(step_mm) * np.arange(n, dtype=np.float32) for start, n in ((-300, 40), (7, 30), (-81, 50))
    )
    return np.stack(np.broadcast_arrays(x[None, None, :], y[None, :, None], z[:, None, None])).astype(np.float32)


@pytest.mark.parametrize("scale_mm", [1.1, 5.0, 45.0])
def test_noise_on_a_lattice_is_the_noise_of_its_points(scale_mm: float) -> None:
    points = lattice()

    one_by_one = value_noise(points.reshape(3, -1), scale_mm, seed=7).reshape(points.shape[1:])

    np.testing.assert_allclose(value_noise(points, scale_mm, seed=7), one_by_one, atol=1e-5)


def test_noise_is_the_same_in_a_part_as_in_the_whole() -> None:
    points = lattice()
    part = (slice(5, 9), slice(0, 12), slice(20, 21))

    np.testing.assert_array_equal(value_noise(points[(slice(None), *part)], 4.0, seed=3), value_noise(points, 4.0, seed=3)[part])


def test_noise_has_a_standard_deviation_of_about_one_and_follows_its_seed() -> None:
    points = lattice(step_mm=7.3)
    first, again, other = (value_noise(points, 5.0, seed) for seed in (1, 1, 2))

    assert 0.8 < first.std() < 1.2
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05


def test_tilted_points_are_no_lattice() -> None:
    points = lattice()
    points[2] += np.float32(0.1) * points[0]

    expected = value_noise(points.reshape(3, -1), 5.0, seed=4).reshape(points.shape[1:])

    np.testing.assert_array_equal(value_noise(points, 5.0, seed=4), expected)
