"""Measures what memory a process and its children need while they work."""

import statistics
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory over time, of a process and its children together.

    Attributes:
        mib: Samples, evenly spaced in time.
    """

    mib: tuple[float, ...] = field(repr=False)

    @property
    def growth(self) -> float:
        """Returns how much more it is in the last fifth of the time than in the second one, in MiB: the first is filling caches."""
        fifth = len(self.mib) // 5
        return statistics.median(self.mib[-fifth:]) - statistics.median(self.mib[fifth : 2 * fifth]) if fifth else 0.0

    def __str__(self) -> str:
        fifth = max(1, len(self.mib) // 5)
        fifths = [statistics.median(self.mib[begin : begin + fifth]) for begin in range(0, fifth * 5, fifth) if self.mib[begin:]]
        return (
            f"memory: {max(self.mib, default=0):.0f} MiB at most; by fifths of the time {', '.join(f'{m:.0f}' for m in fifths)} MiB"
        )


class Watch:
    """Samples the memory of a process until it is left (Linux)."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._samples: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def memory(self) -> Memory:
        """Returns the memory that was measured."""
        return Memory(tuple(self._samples))

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            kib = sum(_resident_kib(pid) for pid in family(self._pid))
            if kib:
                self._samples.append(kib / 1024)


def family(pid: int) -> list[int]:
    """Returns a process and its children (Linux)."""
    found = [pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if parent == pid:
            found.append(int(path.parent.name))
    return found


def _resident_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
