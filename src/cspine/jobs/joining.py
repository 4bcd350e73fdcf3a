"""Joins a Ray cluster, and says how many workers find room on it. Nothing is sent to the makers of Ray."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

from cspine.errors import UsageError


@dataclass(frozen=True, slots=True)
class Cluster:
    """Says which cluster to use, and how much of it.

    Attributes:
        address: As Ray writes it, ``auto`` for the one that runs here; ``None`` for that of ``RAY_ADDRESS``, or a new one.
        workers: How many; as many as fit if ``None``.
    """

    address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers needs a positive number. Received: {self.workers}")


@dataclass(frozen=True, slots=True)
class Needs:
    """Says what a worker asks its machine for.

    Attributes:
        memory_bytes: Memory.
        processors: Processors.
        gpus: GPUs.
    """

    memory_bytes: int
    processors: int = 1
    gpus: int = 0

    def __str__(self) -> str:
        processors = "One processor" if self.processors == 1 else f"{self.processors} processors"
        return ", ".join([processors, *([f"{self.gpus} GPU"] * bool(self.gpus))]) + f" and {self.memory_bytes >> 30} GiB of memory"

    @property
    def options(self) -> dict[str, int]:
        """Returns the same as Ray takes it."""
        return {"num_cpus": self.processors, "num_gpus": self.gpus, "memory": self.memory_bytes}


@contextmanager
def joined(cluster: Cluster) -> Iterator[None]:
    """Joins a cluster for as long as the block lasts; what runs there for us then ends.

    Raises:
        UsageError: There is no such cluster.
    """
    address = cluster.address or os.environ.get("RAY_ADDRESS", "local")  # left to itself, Ray may look for one that is long gone
    try:
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"A Ray cluster is needed; {address} cannot be joined: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()


def gpus() -> int:
    """Returns how many GPUs the cluster that was joined has."""
    return int(sum(node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"]))


def room(needs: Needs) -> int:
    """Returns how many workers find room on the cluster that was joined.

    Raises:
        UsageError: None does.
    """
    offers = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    count = 0
    for offer in offers:
        fits = [offer.get("CPU", 0) // needs.processors, offer.get("memory", 0) // needs.memory_bytes]
        count += int(min([*fits, offer.get("GPU", 0) // needs.gpus] if needs.gpus else fits))
    if count < 1:
        found = ", ".join(f"{offer.get('CPU', 0):g} and {offer.get('memory', 0) / 2**30:.1f} GiB" for offer in offers)
        raise UsageError(f"{needs} are needed on a machine of the cluster. Received: {found}. Add machines, or free some.")
    return count
