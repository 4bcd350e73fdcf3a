"""Noise of soft tissue in a real scan and in phantoms on the same voxels: standard deviation and radial spectrum.

python benchmarks/noise_spectrum.py ../shared/data/ct_fullhead/fullhead_HU.nii.gz
"""

import sys

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.geometry import Grid
from cspine.phantoms.ct.scanner import Scanner, scan
from cspine.phantoms.dataset.subjects import sample_subject
from cspine.reading import read_study

PATCH = 16
BANDS_PER_MM = np.arange(0.03, 0.5, 0.06)


def spectrum(slices: NDArray[np.float32], pixel_mm: float) -> tuple[float, NDArray[np.float64]]:
    """Returns the median standard deviation of patches of even soft tissue, and their relative power by frequency."""
    rng = np.random.default_rng(0)
    deviations, powers = [], []
    y, x = np.mgrid[:PATCH, :PATCH] / PATCH
    trend = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y]).reshape(6, -1).T
    window = np.outer(np.hanning(PATCH), np.hanning(PATCH))
    for hu in slices:
        even = np.abs(ndimage.gaussian_filter(hu, 2) - 50) < 40
        rows, columns = np.nonzero(ndimage.binary_erosion(even, np.ones((PATCH + 4, PATCH + 4), dtype=np.bool_)))
        for n in rng.permutation(len(rows))[:4]:
            patch = hu[rows[n] - PATCH // 2 :, columns[n] - PATCH // 2 :][:PATCH, :PATCH].ravel()
            rest = (patch - trend @ np.linalg.lstsq(trend, patch, rcond=None)[0]).reshape(PATCH, PATCH)
            deviations.append(rest.std())
            powers.append(np.abs(np.fft.fft2(rest * window)) ** 2)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(PATCH, pixel_mm)] * 2, indexing="ij"))
    power = np.mean(powers, axis=0)
    bands = np.array([power[(frequency >= f) & (frequency < f + 0.06)].mean() for f in BANDS_PER_MM])
    return float(np.median(deviations)), bands / bands.max()


def phantom(spacing_mm: tuple[float, float, float], sharpness: float) -> NDArray[np.float32]:
    """Returns forty slices of the middle of a neck."""
    subject = sample_subject(np.random.default_rng(3), (False,) * 7)
    grid = Grid.upright((*subject.centre_mm[:2], subject.top_mm - 40), (40, 200, 200), spacing_mm)
    noise_hu = 13 * 4.5**sharpness * (0.625 / spacing_mm[0]) ** 0.5
    scanner = Scanner(0.45 + 0.5 * sharpness, 1.6 * sharpness, spacing_mm[0], noise_hu, 0.4, 5e-5, 0.006)
    return np.concatenate([part.hu for part in scan(subject.scene, grid, scanner, np.random.default_rng(0))])


def main() -> None:
    """Prints one line for the scan and one for each phantom."""
    volume = read_study(sys.argv[1]).volume.in_float32()
    images = {"real": volume.hu} | {f"phantom, sharpness {s}": phantom(volume.grid.spacing_mm, s) for s in (0, 0.25, 0.5, 1)}
    print("cycles/mm".ljust(24), "      ", *(f"{f + 0.03:5.2f}" for f in BANDS_PER_MM))
    for name, hu in images.items():
        deviation, bands = spectrum(hu, volume.grid.spacing_mm[1])
        print(name.ljust(24), f"{deviation:5.1f} HU", *(f"{band:5.2f}" for band in bands))


if __name__ == "__main__":
    main()
