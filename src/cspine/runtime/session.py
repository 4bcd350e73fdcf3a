"""Defines what every engine promises."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Device(StrEnum):
    """Says where a network runs."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


class Demand(StrEnum):
    """Says what matters more: the next answer, or the number of answers per minute."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"


@dataclass(frozen=True, slots=True)
class Engine:
    """Describes how a network shall be run.

    Attributes:
        device: Where; ``auto`` leaves the choice to the engine.
        demand: What to be quick at.
        threads: Processor threads at most; if ``None``, the engine's own choice among the processors that this process may use.
        precision: ``f32``, ``bf16`` or ``f16``: how the engine may calculate. A device without the narrow type stays at ``f32``.
    """

    device: Device = Device.AUTO
    demand: Demand = Demand.LATENCY
    threads: int | None = None
    precision: str = "f32"


class Session(Protocol):
    """A network that is loaded and ready; several threads may run it at the same time."""

    def run(self, batch: "NDArray[np.float32]") -> "dict[str, NDArray[np.float32]]":
        """Returns the outputs by name, each with one entry per entry of ``batch``.

        Args:
            batch: Input of the network, ``(n, ...)``; ``n`` may change from call to call.

        Raises:
            PackageError: The network does not take this shape.
        """
        ...
