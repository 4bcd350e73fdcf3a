"""Much that waits is waited for at once."""

import threading
import time

import pytest

from cspine.concurrency.waiting import in_order


class _Counted:
    """Work that counts how much of it is done at the same time."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s, self._lock = wait_s, threading.Lock()
        self.now = self.most = self.done = 0

    def __call__(self, part: int) -> int:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self._wait_s)
        with self._lock:
            self.now -= 1
            self.done += 1
        if part < 0:
            raise ValueError(part)
        return part * part


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("wait_s", [0.0, 0.005])
@pytest.mark.parametrize("count", [0, 3, 5, 6, 200])
def test_everything_is_found_in_order(threads: int, wait_s: float, count: int) -> None:
    assert list(in_order(_Counted(wait_s), range(count), threads)) == [part * part for part in range(count)]


def test_what_waits_long_is_waited_for_at_once() -> None:
    work = _Counted(0.005)

    found = list(in_order(work, range(100)))

    assert len(found) == 100
    assert work.most > 4


@pytest.mark.parametrize("wait_s", [0.0, 0.005])
def test_the_first_error_ends_it_and_what_was_not_begun_is_left(wait_s: float) -> None:
    work = _Counted(wait_s)

    with pytest.raises(ValueError, match="-7"):
        list(in_order(work, [*range(20), -7, *range(2000)], 2))

    assert work.done < 500


def test_nothing_is_done_far_ahead_of_what_is_asked_for() -> None:
    work = _Counted(0.005)
    found = in_order(work, range(2000))

    for _ in range(50):
        next(found)
    found.close()  # type: ignore[attr-defined]

    assert work.done < 200
