"""Arrays that another process is handed."""

import os
import sys

import numpy as np
import pytest

from cspine.concurrency.handover import handing_over, not_needed, room, taken

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has memory that a descriptor stands for")


def test_both_sides_see_one_memory() -> None:
    with handing_over(1 << 20) as arrays:
        made = room((2, 3, 4))
        handle = arrays.handle_of(made.data.cast("B"))
        assert handle is not None
        got = taken(os.dup(handle), made.nbytes).view(np.float32).reshape(made.shape)

    made[1, 2, 3] = 7.5  # after all descriptors are closed

    assert got[1, 2, 3] == 7.5
    assert got.flags.writeable


def test_what_was_made_elsewhere_or_is_a_part_has_no_handle() -> None:
    with handing_over(1 << 20) as arrays:
        made = room((2, 3))

        assert arrays.handle_of(np.zeros((2, 3), np.float32).data.cast("B")) is None
        assert arrays.handle_of(made[:1].data.cast("B")) is None
        assert arrays.handle_of(memoryview(b"")) is None


def test_more_than_may_be_taken_is_a_want_of_memory() -> None:
    with handing_over(1000):
        room((200,))
        with pytest.raises(MemoryError):
            room((51,))


def test_half_the_bytes_are_as_many_whole_numbers() -> None:
    with handing_over(1000):
        assert room((500,), np.int16).dtype == np.int16
        with pytest.raises(MemoryError):
            room((1,), np.int16)


def test_an_array_that_is_not_needed_makes_room_for_another_and_has_no_handle() -> None:
    with handing_over(1000) as arrays:
        first = room((200,), np.int16)
        first[:] = 3
        not_needed(first)
        room((250,))

        assert arrays.handle_of(first.data.cast("B")) is None
        assert (first == 3).all()


def test_outside_an_array_is_the_process_s_own() -> None:
    with handing_over(1000) as arrays:
        pass

    assert room((5,)).shape == (5,)
    assert not arrays.handles
