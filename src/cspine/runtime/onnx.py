"""The second engine: ONNX Runtime, where the extra ``onnx`` is installed."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.concurrency.processors import limited_processors
from cspine.errors import PackageError
from cspine.network_content import NetworkContent
from cspine.runtime.session import Demand, Device, Engine

try:
    import onnxruntime as ort
except ImportError as error:
    raise PackageError("A network in ONNX needs ONNX Runtime. Install it: pip install 'cspine[onnx]'") from error

ort.disable_telemetry_events()

PROVIDERS = {
    Device.AUTO: ("CUDAExecutionProvider", "CPUExecutionProvider"),
    Device.CPU: ("CPUExecutionProvider",),
    Device.GPU: ("CUDAExecutionProvider",),
}


class OnnxSession:
    """An ONNX Runtime network.

    Attributes:
        precision: In which it calculates.
    """

    precision = "f32"

    def __init__(self, content: NetworkContent, engine: Engine) -> None:
        """Loads and optimises.

        Raises:
            PackageError: The network is damaged, or the device is not there.
        """
        there = [name for name in PROVIDERS[engine.device] if name in ort.get_available_providers()]
        if not there:
            raise PackageError(f"ONNX Runtime finds no device {engine.device} here. Choose --device cpu.")
        try:
            self._network = ort.InferenceSession(content.graph, _options(engine), providers=there)
        except Exception as error:  # its own exceptions share no base class but this one
            raise PackageError(f"ONNX Runtime cannot load {content.name}. Export the package again.") from error
        self._input = self._network.get_inputs()[0]
        self._names = [output.name for output in self._network.get_outputs()]

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """See :class:`cspine.runtime.Session`."""
        try:
            outputs = self._network.run(self._names, {self._input.name: np.ascontiguousarray(batch, dtype=np.float32)})
        except Exception as error:  # its own exceptions share no base class but this one
            raise PackageError(f"The network takes inputs of shape {self._input.shape}. Received: {batch.shape}.") from error
        return {name: np.asarray(output, dtype=np.float32) for name, output in zip(self._names, outputs, strict=True)}


def open_network(content: NetworkContent, engine: Engine, _kept: Path | None = None) -> OnnxSession:
    """Loads ONNX; ONNX Runtime compiles nothing that is worth keeping."""
    return OnnxSession(content, engine)


def calculates_on(engine: Engine) -> str:
    """Returns ONNX Runtime, its version, and what it may run on."""
    there = [name for name in PROVIDERS[engine.device] if name in ort.get_available_providers()]
    return f"ONNX Runtime {ort.__version__} on {', '.join(there)}"


def _options(engine: Engine) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    threads = engine.threads or limited_processors()
    if threads is not None:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    if engine.demand is Demand.THROUGHPUT:
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    return options
