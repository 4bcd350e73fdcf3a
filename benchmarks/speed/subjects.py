"""Makes the scans that speed is measured on: one neck in other numbers of slices, in a wider field, in a longer body."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.study import Study
from cspine.volume import Volume

SLICES, SIDE = 320, 512
_PHANTOM = ["--studies", "1", "--seed", "11", "--size", "full"]
_REPEATED = 0.3


def full_sized(data: Path) -> Path:
    """Returns a phantom with the number of slices that is wanted, or nearly; it is made where nothing is."""
    if not (data / "train_images").is_dir():
        subprocess.run([sys.executable, "-m", "cspine", "phantom", str(data), *_PHANTOM], check=True)
    folders = [path for path in sorted((data / "train_images").iterdir()) if path.is_dir()]
    return min(folders, key=lambda folder: abs(len(list(folder.glob("*.dcm"))) - SLICES))


def with_slices(study: Study, count: int, field_mm: float | None = None) -> Study:
    """Returns the same neck in more or fewer slices over the same height; in a wider field air is around it."""
    grid = study.volume.grid.canonical()
    z, y, x = (grid.extent_mm[0], *((field_mm or side) for side in grid.extent_mm[1:]))
    wanted = Grid.upright(grid.centre_mm, (count, SIDE, SIDE), (z / count, y / SIDE, x / SIDE))
    return _study(f"{count} slices", Volume(np.rint(sample(study.volume, wanted).hu).astype(np.int16), wanted))


def prolonged(study: Study, length_mm: float) -> Study:
    """Returns a scan whose lowest part goes on below it, mirrored again and again, until it is so long.

    Args:
        study: Upright, slices from feet to head.
        length_mm: How long.
    """
    volume, step = study.volume, study.volume.grid.spacing_mm[0]
    count, more = len(volume.hu), max(round(length_mm / step) - len(volume.hu), 0)
    lowest = np.arange(max(round(_REPEATED * count), 2))
    chosen = np.concatenate([np.pad(lowest, (more, 0), mode="reflect")[:more], np.arange(count)])
    grid = volume.grid.part((-more, 0, 0), (len(chosen), *volume.grid.shape[1:]))
    return _study(f"{length_mm:.0f} mm long", Volume(volume.hu[chosen], grid))


def _study(name: str, volume: Volume) -> Study:
    return Study(name=name, volume=volume, study_uid=None, series_uid=None, orientation="axial")
