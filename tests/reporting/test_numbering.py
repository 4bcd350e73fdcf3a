"""The number by which people find a stored image."""

import pytest

from cspine.reporting.numbering import numbering_of
from cspine.study import Study
from tests.reporting.restored import archived, stored_otherwise


def _count(study: Study) -> int:
    return study.volume.grid.shape[0]


def test_images_are_numbered_by_their_instance_numbers_whatever_the_order(broken_neck: Study) -> None:
    numbers = [125 - index for index in range(_count(broken_neck))]

    found = numbering_of(archived(broken_neck, [*numbers]))

    assert found.numbers == tuple(numbers)
    assert found.meaning == "by Instance Number"


def test_frames_of_one_object_are_numbered_as_frames(broken_neck: Study) -> None:
    found = numbering_of(archived(broken_neck, [index + 5 for index in range(_count(broken_neck))], frames=True))

    assert found.numbers[0] == 5
    assert found.meaning == "by frame of the multi-frame object"


@pytest.mark.parametrize("wrong", [None, 2])
def test_numbers_that_lack_or_repeat_are_not_used(broken_neck: Study, wrong: int | None) -> None:
    found = numbering_of(archived(broken_neck, [wrong, *range(2, _count(broken_neck) + 1)]))

    assert found.numbers == tuple(range(1, _count(broken_neck) + 1))
    assert found.meaning == "from 1 at the feet"


@pytest.mark.parametrize(("order", "end"), [((0, 1, 2), "the feet"), ((1, 0, 2), "the front"), ((2, 0, 1), "the right")])
def test_without_numbers_it_is_said_where_counting_begins(broken_neck: Study, order: tuple[int, int, int], end: str) -> None:
    study = stored_otherwise(broken_neck, order)

    assert numbering_of(study).meaning == f"from 1 at {end}"
    assert numbering_of(study).numbers == tuple(range(1, _count(study) + 1))
    assert numbering_of(archived(study, [None] * _count(study))).meaning == f"from 1 at {end}"
