"""Point spread and noise, measured in the scan itself."""

import numpy as np
import pytest

from cspine.errors import StudyError
from cspine.geometry import Grid
from cspine.phantoms.graft.image_quality import measure_quality
from cspine.volume import Volume
from tests.phantoms.graft.stand_in import SCANNER, source, stand_in


def test_the_point_spread_of_a_known_scanner_is_found() -> None:
    z, y, x = source().quality.blur_mm
    in_plane = 1 / (np.sqrt(2) * np.pi * SCANNER.cutoff_per_mm)

    assert y == pytest.approx(in_plane, rel=0.25)
    assert x == pytest.approx(in_plane, rel=0.25)
    assert z == pytest.approx(SCANNER.thickness_mm / 2.355, rel=0.3)


def test_a_softer_scan_is_told_from_a_sharper_one() -> None:
    from scipy import ndimage

    volume, _ = stand_in()
    soft = Volume(ndimage.gaussian_filter(volume.hu, (0, 1.2, 1.2)), volume.grid)

    _, rows, columns = measure_quality(soft, np.random.default_rng(0)).blur_mm
    assert rows > 1.5 * source().quality.blur_mm[1]
    assert columns > 1.5 * source().quality.blur_mm[2]


def test_sampled_noise_has_the_spread_and_the_correlation_of_the_scan() -> None:
    noise = source().quality.noise
    sampled = noise.sample((24, 64, 64), np.random.default_rng(1))

    assert noise.std_hu == pytest.approx(SCANNER.noise_hu, rel=0.25)
    assert sampled.std() == pytest.approx(1, rel=0.1)
    for axis, correlation in enumerate(noise.correlation()):
        ahead = np.moveaxis(sampled, axis, 0)
        assert np.corrcoef(ahead[:-1].ravel(), ahead[1:].ravel())[0, 1] == pytest.approx(correlation[1], abs=0.08)


def test_a_scan_without_bone_or_soft_tissue_is_refused() -> None:
    grid = Grid.upright((0, 0, 0), (30, 40, 40), (1, 1, 1))
    rng = np.random.default_rng(0)
    with pytest.raises(StudyError, match="needs edges of bone to measure its blur"):
        measure_quality(Volume(rng.normal(40, 10, grid.shape).astype(np.float32), grid), rng)

    bony = np.full(grid.shape, -1000, np.float32)
    bony[8:22, 10:30, 10:30] = 50
    bony[10:20, 12:28, 12:28] = 900
    with pytest.raises(StudyError, match="needs even soft tissue to measure its noise"):
        measure_quality(Volume(bony, grid), rng)


def test_noise_is_measured_in_thick_slices_where_soft_tissue_is_even_over_few_of_them() -> None:
    grid = Grid.upright((0, 0, 0), (36, 64, 64), (2.5, 0.7, 0.7))
    rng = np.random.default_rng(0)
    hu = np.where(np.arange(36)[:, None, None] // 6 % 2, -90.0, 50.0) * np.ones(grid.shape)  # muscle and fat, 15 mm each
    hu[:, 24:40, 24:40] = 900
    noisy = hu + rng.normal(0, 12, grid.shape)

    quality = measure_quality(Volume(noisy.astype(np.float32), grid), rng)

    assert quality.noise.std_hu == pytest.approx(12, rel=0.1)
