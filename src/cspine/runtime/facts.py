"""Lists the engines that are here, and what they can run on."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from cspine.errors import PackageError
from cspine.runtime.session import Device


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """Something that networks run on.

    Attributes:
        name: As the engine calls it.
        text: Its full name.
        precisions: In which it can calculate, as far as the engine tells.
    """

    name: str
    text: str
    precisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """An inference engine.

    Attributes:
        name: What it is called.
        version: Its version; ``None`` where it is not here.
        devices: What it can run on.
        problem: Why it is not here; ``None`` where it is.
    """

    name: str
    version: str | None = None
    devices: tuple[DeviceFacts, ...] = ()
    problem: str | None = None


def engines() -> tuple[EngineFacts, ...]:
    """Returns every engine, whether it is here or not; the default one first."""
    found = []
    for name, facts in _ENGINES.items():
        try:
            found.append(facts())
        except (ImportError, OSError, RuntimeError, PackageError) as error:  # a library that is not there, or does not load
            found.append(EngineFacts(name, problem=" ".join(str(error).split())))
    return tuple(found)


def _openvino() -> EngineFacts:
    ov = import_module("cspine.runtime.openvino").ov
    core = ov.Core()
    devices = tuple(
        DeviceFacts(name, core.get_property(name, "FULL_DEVICE_NAME").strip(), _precisions(core, name))
        for name in core.available_devices
    )
    return EngineFacts("OpenVINO", ov.get_version().split("-")[0], devices)


def _precisions(core: object, device: str) -> tuple[str, ...]:
    """Returns the floating-point types of a device, without what else it can do."""
    able: list[str] = core.get_property(device, "OPTIMIZATION_CAPABILITIES")  # type: ignore[attr-defined]  # OpenVINO has no types
    return tuple({"FP32": "f32", "FP16": "f16", "BF16": "bf16"}[name] for name in able if name in ("FP32", "FP16", "BF16"))


def _onnx() -> EngineFacts:
    onnx = import_module("cspine.runtime.onnx")
    there = [name for name in onnx.PROVIDERS[Device.AUTO] if name in onnx.ort.get_available_providers()]
    return EngineFacts("ONNX Runtime", onnx.ort.__version__, tuple(DeviceFacts(name, name) for name in there))


_ENGINES: dict[str, Callable[[], EngineFacts]] = {"OpenVINO": _openvino, "ONNX Runtime": _onnx}
