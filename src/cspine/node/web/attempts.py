"""Slows down guessing of passwords: after some wrong ones, a name or an address has to wait."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_FREE, _LONGEST_S, _MOST = 5, 300.0, 10_000


@dataclass(slots=True)
class LoginAttempts:
    """Counts wrong passwords by name and by address; threads may share it.

    Attributes:
        clock: Says what time it is; monotonic.
    """

    clock: Callable[[], float] = time.monotonic
    _wrong: dict[str, tuple[int, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pause_s(self, *keys: str) -> float:
        """Returns how long one has to wait before the next attempt; 0 where none is needed."""
        with self._lock:
            return max((self._pause_s(key) for key in keys), default=0.0)

    def wrong(self, *keys: str) -> None:
        """Notes a wrong password."""
        with self._lock:
            if len(self._wrong) > _MOST:
                self._wrong.clear()
            for key in keys:
                self._wrong[key] = (self._wrong.get(key, (0, 0.0))[0] + 1, self.clock())

    def right(self, *keys: str) -> None:
        """Forgets wrong passwords after a right one."""
        with self._lock:
            for key in keys:
                self._wrong.pop(key, None)

    def _pause_s(self, key: str) -> float:
        count, last = self._wrong.get(key, (0, 0.0))
        if count < _FREE:
            return 0.0
        return float(max(0.0, last + min(2.0 ** (count - _FREE), _LONGEST_S) - self.clock()))
