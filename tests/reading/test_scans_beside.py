"""Tests what the READMEs of real scans in ``../shared/data`` say of them: sizes, and where anatomy lies in LPS millimetres."""

import json
from pathlib import Path

import numpy as np
import pytest

from cspine.reading import read_study
from cspine.volume import Volume

MARKED = {
    "arms_beside_the_head": {
        "C1": (-15.5, -35.0, -154.6),
        "C2": (-15.5, -21.7, -172.1),
        "C3": (-15.5, -13.0, -192.1),
        "C4": (-15.5, -5.5, -207.6),
        "C5": (-15.5, 1.3, -222.1),
        "C6": (-15.5, 8.3, -237.1),
        "C7": (-15.5, 14.5, -252.1),
    },
    "visible_human_female_head": {
        "C1": (245.2, 229.5, 75.8),
        "C2": (245.2, 237.8, 50.8),
        "C3": (245.2, 239.5, 34.0),
        "C4": (245.2, 242.8, 19.0),
    },
}
"""Middles of bodies, and of the ring of C1, as marked by eye to within 4 mm."""

SIZES = {
    "real_necks/arms_beside_the_head": ((85, 512, 512), (4.25, 0.977, 0.977), []),
    "real_necks/visible_human_female_head": ((234, 512, 512), (1.0, 1.0, 1.0), ["coarse_values"]),
    "real_bone/pelvis_1mm": ((150, 338, 410), (1.0, 1.0, 1.0), []),
    "real_bone/chest_0.7mm": ((133, 171, 359), (2.5, 0.703, 0.703), []),
}


def around(volume: Volume, place_mm: tuple[float, ...], reach_mm: float) -> np.ndarray:
    """Returns the Hounsfield units of a square of one slice around a place."""
    k, j, i = np.rint(volume.grid.index(np.array(place_mm))).astype(int)
    reach = round(reach_mm / volume.grid.spacing_mm[1])
    return volume.hu[k, j - reach : j + reach + 1, i - reach : i + reach + 1]


@pytest.mark.parametrize("name", SIZES)
def test_real_necks_and_bones_are_read_as_described(shared_data: Path, name: str) -> None:
    shape, spacing_mm, codes = SIZES[name]

    study = read_study(shared_data / f"{name}.nii.gz")

    assert study.volume.hu.shape == shape
    assert study.volume.grid.spacing_mm == pytest.approx(spacing_mm, abs=1e-3)
    assert [warning.code for warning in study.warnings] == codes


@pytest.mark.parametrize("name", MARKED)
def test_levels_that_were_marked_lie_on_bone(shared_data: Path, name: str) -> None:
    volume = read_study(shared_data / "real_necks" / f"{name}.nii.gz").volume

    for level, place_mm in MARKED[name].items():
        assert around(volume, place_mm, 5.0).mean() > 200, level


@pytest.mark.parametrize("name", ["pt_1", "pt_22", "pt_131"])
def test_the_spinal_cord_of_a_planning_ct_is_soft_within_bone(shared_data: Path, name: str) -> None:
    told = json.loads((shared_data / "planning_ct" / "structures.json").read_text())
    volume = read_study(shared_data / "planning_ct" / f"{name}.nii.gz").volume
    line = [tuple(place) for place in told[name]["structures"]["SpinalCord"]["line_mm"]]

    assert len(told) == len(list((shared_data / "planning_ct").glob("*.nii.gz"))) == 191
    assert volume.grid.spacing_mm[::-1] == pytest.approx(told[name]["voxel_mm"], abs=0.01)
    assert -20 < np.median([around(volume, place, 0.0).item() for place in line]) < 120
    assert np.median([around(volume, place, 20.0).max() for place in line]) > 250
