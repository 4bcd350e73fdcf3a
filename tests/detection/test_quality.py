"""Volumes that nobody read from a disk are checked like those that were."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.detection.quality import check_pixels, check_scan
from cspine.geometry import Grid, Vector
from cspine.modelpack import QualityLimits
from cspine.volume import Volume
from tests.reading.scans import neck


def _codes(hu: NDArray[np.floating]) -> list[str]:
    grid = Grid.upright((0.0, 0.0, 0.0), (40, 64, 64), (3.0, 2.0, 2.0))
    return [reason.code for reason in check_scan(Volume(hu.astype(np.float32), grid), QualityLimits())]


def test_a_neck_is_assessed() -> None:
    assert _codes(neck().astype(np.float32)) == []


@pytest.mark.parametrize("ceiling", [300, 400, 900, 1500])
def test_bone_that_is_cut_off_forbids_an_assessment(ceiling: int) -> None:
    assert _codes(np.minimum(neck(), ceiling).astype(np.float32)) == ["clipped"]


def test_the_reason_says_where_bone_is_cut_off() -> None:
    grid = Grid.upright((0.0, 0.0, 0.0), (40, 64, 64), (3.0, 2.0, 2.0))
    (reason,) = check_scan(Volume(np.minimum(neck(), 400).astype(np.float32), grid), QualityLimits())

    assert reason.text.startswith("Values from air to dense bone are needed. In this scan ")
    assert reason.text.endswith("% of bone is cut off at 400 HU.")


@pytest.mark.parametrize("share", [0.25, 0.35])
def test_a_third_of_what_is_denser_than_air_must_be_soft_tissue(share: float) -> None:
    rng = np.random.default_rng(0)
    hu = neck().astype(np.float32)
    body = hu > -450
    soft = rng.random(hu.shape) < share
    hu[body & soft] = rng.normal(20, 15, hu.shape)[body & soft]
    hu[body & ~soft] = rng.uniform(160, 1900, hu.shape)[body & ~soft]

    assert _codes(hu) == (["not_hounsfield"] if share < 0.3 else [])


@pytest.mark.parametrize(("peak", "codes"), [(-140, []), (130, []), (-300, ["not_hounsfield"]), (260, ["not_hounsfield"])])
def test_most_of_the_tissue_must_lie_where_fat_and_muscle_do(peak: int, codes: list[str]) -> None:
    hu = neck().astype(np.float32)
    body = (hu > -450) & (hu < 100)
    rng = np.random.default_rng(0)
    hu[body] = rng.uniform(-150, 150, np.count_nonzero(body))
    some = body & (rng.random(hu.shape) < 0.4)
    hu[some] = rng.normal(peak, 8, np.count_nonzero(some))

    assert _codes(hu) == codes


@pytest.mark.parametrize(
    ("spacing_mm", "codes"),
    [((5.0, 0.4, 0.4), []), ((3.0, 2.5, 2.5), []), ((3.0, 2.6, 2.6), ["too_coarse"]), ((2.6, 0.4, 2.6), ["too_coarse"])],
)
def test_no_fractures_are_looked_for_in_pixels_in_which_none_shows_however_they_are_stored(
    spacing_mm: Vector, codes: list[str]
) -> None:
    volume = Volume(neck().astype(np.float32), Grid.upright((0.0, 0.0, 0.0), (40, 64, 64), spacing_mm))

    assert [reason.code for reason in check_pixels(volume, QualityLimits())] == codes
