import math
from dataclasses import replace
from typing import Any

import pytest

from cspine.errors import GeometryError
from cspine.specs import RefinerSpec, SliceSpec, VertebraSpec, VolumeSpec

_REFUSED = "The input of a network needs|A mask may be blurred"

SPEC = VertebraSpec(spacing_mm=(1.0, 0.5, 0.5), depth=12, size=(32, 40), slices=4, neighbours=1, window_hu=(-200.0, 1800.0))


def test_a_study_of_vertebrae_has_a_channel_for_each_slice_around_and_one_for_the_mask() -> None:
    assert SPEC.channels == 4
    assert replace(SPEC, neighbours=2).channels == 6
    assert SPEC.shape == (7, 4, 32, 40, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"spacing_mm": (1.0, 0.0, 0.5)},
        {"spacing_mm": (1.0, -0.5, 0.5)},
        {"spacing_mm": (math.nan, 0.5, 0.5)},
        {"spacing_mm": (1.0, 0.5, math.inf)},
        {"spacing_mm": (1e-9, 0.5, 0.5)},
        {"depth": 0},
        {"depth": 10**9},
        {"size": (0, 32)},
        {"size": (-32, 32)},
        {"size": (10**18, 10**18)},
        {"size": (1024, 1024), "slices": 1000, "depth": 1010},
        {"slices": 0},
        {"neighbours": -1},
        {"neighbours": 10**12, "depth": 10**13},
        {"mask_blur_mm": -1.0},
        {"mask_blur_mm": math.nan},
        {"mask_blur_mm": 1e9},
        {"window_hu": (100.0, 100.0)},
        {"window_hu": (math.nan, 100.0)},
        {"window_hu": (-math.inf, 100.0)},
    ],
)
def test_a_specification_of_vertebrae_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(GeometryError, match=_REFUSED):
        replace(SPEC, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"spacing_mm": (math.nan, 1.0, 1.0)},
        {"spacing_mm": (0.01, 0.01, 0.01)},
        {"size": (0, 8, 8)},
        {"size": (10**6, 10**6, 10**6)},
        {"size": (1024, 1024, 1024)},
        {"window_hu": (math.nan, math.nan)},
    ],
)
def test_sizes_and_voxels_of_windows_that_no_machine_holds_are_refused(change: dict[str, Any]) -> None:
    window = VolumeSpec((2.5, 2.5, 2.5), (80, 64, 64), (-300.0, 1300.0))
    crop = RefinerSpec((1.25, 1.25, 1.25), (48, 64, 80), (-300.0, 1300.0))

    for spec in (window, crop):
        with pytest.raises(GeometryError, match=_REFUSED):
            replace(spec, **change)


@pytest.mark.parametrize("change", [{"spacing_mm": (math.nan, 1.0, 1.0)}, {"size": (10**9, 1)}, {"neighbours": -1}])
def test_slices_that_no_machine_holds_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(GeometryError, match=_REFUSED):
        replace(SliceSpec((1.0, 1.0, 1.0), (128, 128), 1, (-200.0, 1800.0)), **change)


@pytest.mark.parametrize("change", [{"depth": 5}, {"neighbours": 5}, {"size": (36, 32)}, {"size": (32, 20)}])
def test_all_slices_that_are_classified_are_cut_and_cells_fill_them(change: dict[str, Any]) -> None:
    with pytest.raises(
        GeometryError, match="cuts all slices and neighbours that it needs, with rows and columns in multiples of 8"
    ):
        replace(SPEC, **change)


@pytest.mark.parametrize(
    "change", [{"margin_mm": -1.0}, {"margin_mm": math.nan}, {"neighbour_weight": -0.1}, {"neighbour_weight": 1.1}]
)
def test_what_lies_around_a_vertebra_counts_no_less_than_nothing_and_no_more_than_all(change: dict[str, Any]) -> None:
    with pytest.raises(GeometryError, match=r"a margin of 0 to 50 mm and a neighbour weight in 0\.\.1"):
        replace(SPEC, **change)
