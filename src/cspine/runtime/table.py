"""Chooses the engine that runs a file."""

from importlib import import_module
from pathlib import Path
from typing import Any

from cspine.errors import PackageError
from cspine.network_content import NetworkContent
from cspine.runtime.session import Engine, Session

ENGINES = {".xml": "cspine.runtime.openvino", ".onnx": "cspine.runtime.onnx"}
"""The module that opens a network, by the suffix of its file."""


def open_session(network: str | Path | NetworkContent, engine: Engine | None = None, kept: Path | None = None) -> Session:
    """Loads a network.

    Args:
        network: OpenVINO IR (``.xml``) or ONNX (``.onnx``): its file, or what was read of it.
        engine: How it shall be run.
        kept: Where the compiled network is kept for the next process; nowhere if ``None``.

    Raises:
        PackageError: The file is missing, damaged or of another kind, or the device is not there.
    """
    content = network if isinstance(network, NetworkContent) else _content_of(Path(network))
    session: Session = _engine_of(content.name).open_network(content, engine or Engine(), kept)
    return session


def calculates_on(network: NetworkContent, engine: Engine) -> str:
    """Returns what a network would be calculated by, in words: the engine, its version, and the device as the engine names it.

    Raises:
        PackageError: No engine runs such a network, or the device is not there.
    """
    words: str = _engine_of(network.name).calculates_on(engine)
    return words


def calculates_in(network: str | Path | NetworkContent, engine: Engine) -> str:
    """Returns in which precision a network is calculated where that of ``engine`` is asked for: ``f32``, ``bf16`` or ``f16``.

    Raises:
        PackageError: As :func:`open_session`.
    """
    session: Any = open_session(network, engine)
    precision: str = session.precision
    return precision


def _engine_of(name: str) -> Any:
    suffix = Path(name).suffix
    if suffix not in ENGINES:
        raise PackageError(f"A network must be one of {', '.join(ENGINES)}. Received: {name}")
    return import_module(ENGINES[suffix])


def _content_of(path: Path) -> NetworkContent:
    _engine_of(path.name)
    if not path.is_file():
        raise PackageError(f"There is no network at {path}. Install or export its package again.")
    weights = path.with_suffix(".bin")
    try:
        beside = weights.read_bytes() if path.suffix == ".xml" and weights.is_file() else b""
        return NetworkContent(path.name, path.read_bytes(), beside)
    except OSError as error:
        raise PackageError(f"The network {path} cannot be read: {error.strerror}. Install or export its package again.") from error
