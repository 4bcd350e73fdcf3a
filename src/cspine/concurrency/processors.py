"""Counts the processors that this process may use: fewer than the machine has where it is bound or has a quota."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def processors() -> int:
    """Returns how many processors this process may use, at least one.

    The affinity of the process (``taskset``, ``sched_setaffinity``) and the quota of its control groups, version 1 or 2
    (``docker run --cpus``, a Kubernetes limit), both count.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(_CGROUPS, _OWN_CGROUP)
    return bound if quota is None else max(1, min(bound, int(quota)))


def limited_processors() -> int | None:
    """Returns :func:`processors` where they are fewer than the machine has, and ``None`` where all may be used."""
    count = processors()
    return count if count < (os.cpu_count() or 1) else None


@cache
def _quota(root: Path, own: Path) -> float | None:
    """Returns how many processors control groups allow, the least of this one and all around it; ``None`` for no limit."""
    found = [quota for folder in _folders(root, own) if (quota := _quota_of(folder)) is not None]
    return min(found, default=None)


def _folders(root: Path, own: Path) -> Iterator[Path]:
    """Yields where the groups of this process may state a quota: each group, and those around it up to the root."""
    yield from (root, root / "cpu", root / "cpu,cpuacct")
    for line in _text(own).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for end in range(1, len(parts) + 1):
            yield root.joinpath(controllers, *parts[:end])


def _quota_of(folder: Path) -> float | None:
    """Returns the quota that one group states: ``cpu.max`` of version 2, or two files of version 1."""
    words = _text(folder / "cpu.max").split()
    if len(words) != 2:
        words = [_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    quota, period = (int(word) if word.isdecimal() else 0 for word in words)
    return quota / period if quota > 0 and period > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
