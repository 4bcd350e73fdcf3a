"""Finds the processes of a node (Linux)."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def below(pid: int) -> Iterator[tuple[int, str]]:
    """Yields the processes that a process has started, and those that they have, each with its role."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                words = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace").split("\0")
                role = words[words.index("--role") + 1] if "--role" in words else "reader"
                yield int(child), role
                yield from below(int(child))
