"""Which engine runs which file."""

from importlib import import_module
from pathlib import Path

from cspine.errors import PackageError
from cspine.runtime.session import Engine, Session

ENGINES = {".xml": "cspine.runtime.openvino", ".onnx": "cspine.runtime.onnx"}
"""The module that opens a network, by the suffix of its file."""


def open_session(path: str | Path, engine: Engine | None = None) -> Session:
    """Loads a network.

    Args:
        path: OpenVINO IR (``.xml``) or ONNX (``.onnx``).
        engine: How it shall be run.

    Raises:
        PackageError: The file is missing, damaged or of another kind, or the device is not there.
    """
    path = Path(path)
    if path.suffix not in ENGINES:
        raise PackageError(f"A network must be one of {', '.join(ENGINES)}. Received: {path.name}")
    if not path.is_file():
        raise PackageError(f"There is no network at {path}. Install or export its package again.")
    session: Session = import_module(ENGINES[path.suffix]).open_network(path, engine or Engine())
    return session
