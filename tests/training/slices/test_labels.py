from typing import Any

import numpy as np
import pytest

from cspine.training.core.marks import BOX_BIT, FRACTURE_BIT, UNKNOWN
from cspine.training.core.settings import AnnotationUse
from cspine.training.slices.labels import SliceTargets, slice_targets, visible_share
from cspine.training.slices.settings import LabelSettings

BROKEN_C2 = [level == 2 for level in range(1, 8)]
BROKEN_C2_AND_C3 = [level in (2, 3) for level in range(1, 8)]


def marks() -> np.ndarray:
    """Returns marks of C2 in slices 2..5, its area 1, 8, 8, 2 pixels; of C3 in slices 0..2; and of a box over C2 in slice 4."""
    stack = np.zeros((6, 4, 8), dtype=np.uint8)
    stack[0:3, 3, :] = 3
    stack[2, 0, 0] = 2
    stack[3:5, 0, :] = 2
    stack[5, 0, :2] = 2
    stack[4, 0:2, 0:3] |= BOX_BIT
    return stack


def targets(broken: list[bool], *, mask: bool = True, boxes: bool = True, use: AnnotationUse = AnnotationUse.LABEL) -> SliceTargets:
    given = marks()
    if not mask:
        given &= BOX_BIT
    return slice_targets(broken, given, has_mask=mask, has_boxes=boxes, settings=LabelSettings(boxes=use))


def test_a_level_is_as_visible_as_its_area_says() -> None:
    share = visible_share(marks() % BOX_BIT, full_from=0.5)

    np.testing.assert_allclose(share[:, 1], [0, 0, 0.25, 1, 1, 0.5])
    assert not share[:, [0, 3, 4, 5, 6]].any()


@pytest.mark.parametrize("case", [{"boxes": False}, {"use": AnnotationUse.IGNORE}])
def test_without_boxes_a_slice_is_as_broken_as_the_level_is_visible(case: dict[str, Any]) -> None:
    found = targets(BROKEN_C2, **case)

    np.testing.assert_allclose(found.fracture[:, 1], found.visible[:, 1])
    assert not found.fracture[:, [0, 2, 3, 4, 5, 6]].any()


def test_in_a_boxed_study_a_broken_level_counts_where_a_box_is_on_it_and_only_there() -> None:
    found = targets(BROKEN_C2_AND_C3)

    np.testing.assert_array_equal(found.fracture[:, 1], [0, 0, 0, 0, 1, 0])
    assert not found.fracture[:, 2].any()


def test_without_a_mask_visibility_is_unknown_and_intact_levels_are_intact() -> None:
    found = targets(BROKEN_C2, mask=False, boxes=False)

    assert (found.visible == UNKNOWN).all()
    assert (found.fracture[:, 1] == UNKNOWN).all()
    assert not found.fracture[:, [0, 2, 3, 4, 5, 6]].any()


def test_without_a_mask_boxes_tell_of_the_only_broken_level() -> None:
    np.testing.assert_array_equal(targets(BROKEN_C2, mask=False).fracture[:, 1], [0, 0, 0, 0, 1, 0])


def test_without_a_mask_a_box_does_not_say_which_of_two_broken_levels_it_is_on() -> None:
    found = targets(BROKEN_C2_AND_C3, mask=False).fracture

    np.testing.assert_array_equal(found[:, 1], [0, 0, 0, 0, UNKNOWN, 0])
    np.testing.assert_array_equal(found[:, 2], found[:, 1])


@pytest.mark.parametrize(("use", "slices"), [(AnnotationUse.LABEL, [0, 0, 0, 1, 0, 0]), (AnnotationUse.IGNORE, [0, 0, 0, 0, 1, 0])])
def test_in_a_phantom_a_slice_counts_where_the_fracture_is_and_not_where_the_box_is(use: AnnotationUse, slices: list[int]) -> None:
    given = marks()
    given[3, 0, :6] |= FRACTURE_BIT
    given[4, 0, :5] |= FRACTURE_BIT  # a trace
    given[1, 3, :] |= FRACTURE_BIT  # of C3, which the label calls whole

    found = slice_targets(
        BROKEN_C2, given, has_mask=True, has_boxes=True, settings=LabelSettings(fracture_masks=use), has_fracture_mask=True
    )

    np.testing.assert_array_equal(found.fracture[:, 1], slices)
    assert not found.fracture[:, 2].any()
