from dataclasses import replace
from typing import Any

import pytest

from cspine.errors import GeometryError
from cspine.specs import VertebraSpec

SPEC = VertebraSpec(spacing_mm=(1.0, 0.5, 0.5), depth=12, size=(32, 40), slices=4, neighbours=1, window_hu=(-200.0, 1800.0))


def test_a_study_of_vertebrae_has_a_channel_for_each_slice_around_and_one_for_the_mask() -> None:
    assert SPEC.channels == 4
    assert replace(SPEC, neighbours=2).channels == 6
    assert SPEC.shape == (7, 4, 32, 40, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"spacing_mm": (1.0, 0.0, 0.5)},
        {"depth": 0},
        {"size": (0, 32)},
        {"slices": 0},
        {"neighbours": -1},
        {"mask_blur_mm": -1.0},
        {"window_hu": (100.0, 100.0)},
    ],
)
def test_a_specification_of_vertebrae_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(GeometryError, match="A vertebra specification needs positive spacing and sizes and a rising window"):
        replace(SPEC, **change)


@pytest.mark.parametrize("change", [{"depth": 5}, {"neighbours": 5}, {"size": (36, 32)}, {"size": (32, 20)}])
def test_all_slices_that_are_judged_are_cut_and_cells_fill_them(change: dict[str, Any]) -> None:
    with pytest.raises(
        GeometryError, match="cuts all slices and neighbours that it judges, with rows and columns in multiples of 8"
    ):
        replace(SPEC, **change)


@pytest.mark.parametrize("change", [{"margin_mm": -1.0}, {"neighbour_weight": -0.1}, {"neighbour_weight": 1.1}])
def test_what_lies_around_a_vertebra_counts_no_less_than_nothing_and_no_more_than_all(change: dict[str, Any]) -> None:
    with pytest.raises(GeometryError, match=r"a margin of 0 or more and a neighbour weight in 0\.\.1"):
        replace(SPEC, **change)
