from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.phantoms.ct import scanner as scanner_module
from cspine.phantoms.ct.scanner import Scanner, sample_scanner, scan
from tests.phantoms.toy import ToyNeck

PLAIN = Scanner(cutoff_per_mm=0.6, boost=0.5, thickness_mm=2.0, noise_hu=20.0, starvation=0.5, scatter=0.0, hardening=0.0)
QUIET = replace(PLAIN, noise_hu=0.0)


def neck_grid(z_mm: float, slices: int = 6, pixel_mm: float = 0.8, size: int = 128) -> Grid:
    return Grid.upright((0, 0, z_mm), (slices, size, size), (2.0, pixel_mm, pixel_mm))


def hu_of(neck: ToyNeck, grid: Grid, scanner: Scanner, seed: int = 0) -> NDArray[np.float32]:
    return np.concatenate([part.hu for part in scan(neck, grid, scanner, np.random.default_rng(seed))])


def muscle(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns a square of soft tissue behind the vertebra."""
    return hu[:, 88:108, 48:80]


def test_noise_in_a_neck_is_as_strong_as_stated() -> None:
    noise = muscle(hu_of(ToyNeck(), neck_grid(-40, slices=40), PLAIN)) - 40

    assert noise.std() == pytest.approx(20 * np.exp(0.5 * (0.02 * 110 - 2.6) / 2), rel=0.25)
    assert abs(noise.mean()) < 1


def test_noise_has_the_spectrum_of_filtered_backprojection() -> None:
    noise = hu_of(ToyNeck(shoulders=False), neck_grid(-40, slices=20), PLAIN) - hu_of(
        ToyNeck(shoulders=False), neck_grid(-40, 20), QUIET
    )
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(128, 0.8), np.fft.fftfreq(128, 0.8), indexing="ij"))
    low, middle, high = (power[(frequency > a) & (frequency < b)].mean() for a, b in ((0, 0.03), (0.25, 0.4), (0.6, 0.62)))

    assert low < 0.15 * middle
    assert high < middle


def test_noise_hangs_together_from_slice_to_slice_where_slices_overlap() -> None:
    thick = replace(PLAIN, thickness_mm=6.0)
    noise = [muscle(hu_of(ToyNeck(), neck_grid(-40, slices=20), s)) - 40 for s in (PLAIN, thick)]
    together = [float(np.corrcoef(n[:-1].ravel(), n[1:].ravel())[0, 1]) for n in noise]

    assert abs(together[0]) < 0.1
    assert together[1] > 0.5


def test_shoulders_bring_noise_that_runs_sideways() -> None:
    above, below = (hu_of(ToyNeck(), neck_grid(z, slices=12), PLAIN) for z in (-40, -130))
    smooth_x = [np.abs(np.diff(muscle(hu), axis=2)).mean() for hu in (above, below)]
    smooth_y = [np.abs(np.diff(muscle(hu), axis=1)).mean() for hu in (above, below)]

    assert muscle(below).std() > 1.8 * muscle(above).std()
    assert smooth_y[0] / smooth_x[0] == pytest.approx(1, abs=0.3)
    assert smooth_y[1] / smooth_x[1] > 1.4


def test_scatter_darkens_what_lies_between_the_shoulders() -> None:
    scattering = replace(QUIET, scatter=1e-4)

    between, alone = (hu_of(ToyNeck(shoulders=s), neck_grid(-130), scattering)[:, 60:68, 90:110].mean() for s in (True, False))

    assert between < alone - 10
    assert alone == pytest.approx(40, abs=3)


def test_a_sharp_kernel_shows_a_gap_that_a_soft_one_hides() -> None:
    grid = Grid.upright((0, 0, -40), (4, 256, 256), (2.0, 0.3, 0.3))
    soft, sharp = (
        hu_of(ToyNeck(broken=(3,)), grid, replace(QUIET, cutoff_per_mm=c, boost=b)) for c, b in ((0.3, 0.0), (0.95, 1.6))
    )
    row, gap = 140, round(127.5 + 3 / 0.3)

    assert soft[2, row, gap] - sharp[2, row, gap] > 60
    assert sharp[2, row, gap] < 150


def test_thick_slices_mix_what_lies_above_one_another() -> None:
    grid = Grid.upright((0, 5, -24), (40, 16, 16), (0.5, 0.8, 0.8))
    thin, thick = (hu_of(ToyNeck(), grid, replace(QUIET, thickness_mm=t))[:, 8, 8] for t in (0.5, 3.0))

    assert np.abs(np.diff(thin)).max() > 2.5 * np.abs(np.diff(thick)).max()
    assert thick.max() == pytest.approx(440, abs=30)


def test_metal_casts_streaks_and_a_neck_without_metal_has_none() -> None:
    with_metal, without = (hu_of(ToyNeck(metal_z_mm=z), neck_grid(-40), QUIET) for z in (-40, None))
    difference = np.abs(with_metal - without)

    assert difference[3][without[3] > 0].mean() > 10
    assert difference[3, 100, 20:108].max() > 20
    assert hu_of(ToyNeck(metal_z_mm=-100), neck_grid(-40), QUIET) == pytest.approx(without, abs=1e-3)


def test_a_scan_is_the_same_however_many_slices_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = hu_of(ToyNeck(), neck_grid(-90, slices=7), PLAIN)
    monkeypatch.setattr(scanner_module, "_CHUNK_VOXELS", 3 * 128 * 128)

    np.testing.assert_array_equal(hu_of(ToyNeck(), neck_grid(-90, slices=7), PLAIN), whole)


def test_truth_comes_with_its_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = neck_grid(-90, slices=40)
    monkeypatch.setattr(scanner_module, "_CHUNK_VOXELS", 16 * 128 * 128)
    parts = list(scan(ToyNeck(broken=(5,)), grid, PLAIN, np.random.default_rng(0)))
    ideal = ToyNeck(broken=(5,))(grid)

    assert [part.first for part in parts] == [0, 16, 32]
    np.testing.assert_array_equal(np.concatenate([part.labels for part in parts]), ideal.labels.labels)
    np.testing.assert_array_equal(np.concatenate([part.fracture_mask for part in parts]), ideal.fracture_mask.labels)


def test_the_same_seed_makes_the_same_scan() -> None:
    first, again, other = (hu_of(ToyNeck(), neck_grid(-40), PLAIN, seed) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_scanners_differ_and_sharp_ones_are_noisy() -> None:
    sampled = [sample_scanner(np.random.default_rng(seed), 0.625) for seed in range(200)]
    boost, noise = np.array([(s.boost, s.noise_hu) for s in sampled]).T

    assert np.corrcoef(boost, np.log(noise))[0, 1] > 0.7
    assert 5 < noise.min() < 14
    assert 40 < noise.max() < 130
