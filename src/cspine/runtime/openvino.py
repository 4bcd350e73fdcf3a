"""The default engine: OpenVINO.

Other modules that need OpenVINO take ``ov`` from here, where it was imported without its telemetry.
"""

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.concurrency.processors import limited_processors
from cspine.concurrency.sharing import Pool
from cspine.errors import PackageError
from cspine.network_content import NetworkContent
from cspine.runtime.compiled import keep_network, kept_network
from cspine.runtime.session import Demand, Device, Engine

# Importing OpenVINO would report the import to its makers; where this package cannot be found, OpenVINO reports nothing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is Python's sign for "not importable"

import openvino as ov  # noqa: E402

__all__ = ["OpenVinoSession", "open_network", "ov"]

_DEVICES = {Device.AUTO: "AUTO", Device.CPU: "CPU", Device.GPU: "GPU"}
_DEMANDS = {Demand.LATENCY: "LATENCY", Demand.THROUGHPUT: "THROUGHPUT"}


class OpenVinoSession:
    """A compiled OpenVINO network; see :class:`cspine.runtime.Session`.

    Each call has an infer request of its own, kept for the next one.
    """

    def __init__(self, content: NetworkContent, engine: Engine, kept: Path | None = None) -> None:
        """Loads and compiles, or takes what an earlier process has compiled.

        Args:
            content: The network.
            engine: How it shall be run.
            kept: Where the compiled network is kept; nowhere if ``None``.

        Raises:
            PackageError: The network is damaged, or the device is not there.
        """
        core = _core()
        try:
            self._network = _compiled(core, content, engine, kept)
        except (RuntimeError, UnicodeDecodeError) as error:  # the second where a message quotes a damaged graph
            remedy = "Export the package again, or choose --device cpu."
            raise PackageError(f"OpenVINO cannot load {content.name} on {engine.device}: {_last_line(error)} {remedy}") from error
        self._requests = Pool(self._network.create_infer_request)
        self._names = [sorted(output.get_names() or {f"output_{i}"}) for i, output in enumerate(self._network.outputs)]

    @property
    def precision(self) -> str:
        """Returns in which precision it calculates: a device without the one that was asked for takes single precision."""
        try:
            kind = self._network.get_property("INFERENCE_PRECISION_HINT")
        except RuntimeError:  # a device that does not say
            return "f32"
        return {ov.Type.bf16: "bf16", ov.Type.f16: "f16"}.get(kind, "f32")

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """See :class:`cspine.runtime.Session`."""
        with self._requests.lend() as request:
            try:
                outputs = request.infer([np.ascontiguousarray(batch, dtype=np.float32)], share_inputs=True, share_outputs=True)
            except RuntimeError as error:
                wanted = self._network.inputs[0].get_partial_shape()
                raise PackageError(f"The network takes inputs of shape {wanted}. Received: {batch.shape}.") from error
            # the request's own memory: copied before the next inference writes into it
            return {name: np.array(outputs[i], dtype=np.float32) for i, names in enumerate(self._names) for name in names}


def open_network(content: NetworkContent, engine: Engine, kept: Path | None = None) -> OpenVinoSession:
    """Loads OpenVINO IR."""
    return OpenVinoSession(content, engine, kept)


@cache
def _core() -> Any:
    """Returns OpenVINO's core, one for the process: each loads the plugins of its devices anew."""
    return ov.Core()


def _compiled(core: Any, content: NetworkContent, engine: Engine, kept: Path | None) -> Any:
    device, properties = _device(core, engine.device), _properties(engine)
    network = None if kept is None else kept_network(core, device, properties, kept)
    if network is None:
        network = core.compile_model(core.read_model(content.graph, content.weights), device, properties)
        if kept is not None:
            keep_network(network, kept)
    return network


def calculates_on(engine: Engine) -> str:
    """Returns OpenVINO, its version, and the full name of the device.

    Raises:
        PackageError: The device is not there.
    """
    core = _core()
    device = _device(core, engine.device)
    try:
        names = [core.get_property(name, "FULL_DEVICE_NAME").strip() for name in _parts_of(core, device)]
    except RuntimeError as error:
        raise PackageError(f"OpenVINO has no device {engine.device} here: {_last_line(error)} Choose --device cpu.") from error
    return f"OpenVINO {ov.get_version()} on {', '.join(names)}"


def _parts_of(core: Any, device: str) -> list[str]:
    """Returns the devices that OpenVINO's own choice may choose from, or the one that was chosen."""
    return list(core.available_devices) if device == _DEVICES[Device.AUTO] else [device]


def _device(core: Any, device: Device) -> str:
    """Returns the device; ``auto`` is the processor where there is nothing else, without OpenVINO's own choice."""
    if device is Device.AUTO and not any(name.startswith("GPU") for name in core.available_devices):
        return "CPU"
    if device is Device.GPU and not any(name.startswith("GPU") for name in core.available_devices):
        there = ", ".join(core.available_devices)
        raise PackageError(f"--device gpu needs one that OpenVINO knows. Received: {there}. Choose --device cpu or auto.")
    return _DEVICES[device]


def _properties(engine: Engine) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "PERFORMANCE_HINT": _DEMANDS[engine.demand],
        "INFERENCE_PRECISION_HINT": engine.precision,
    }
    threads = engine.threads or limited_processors()
    if threads is not None:
        properties["INFERENCE_NUM_THREADS"] = threads
    return properties


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else "unknown reason").rstrip(".") + "."
