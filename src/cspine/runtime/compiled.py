"""Networks as OpenVINO compiled them, kept for the next process.

A file is a digest and what OpenVINO exported. One that is cut off, or that OpenVINO refuses, is compiled and written again, so
the files may be deleted at any time. They are written whole or not at all, so several processes may share them. The oldest ones
are deleted when there are many, as each version of OpenVINO and each package has its own.
"""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from cspine.storage.files import write_bytes

_MOST_FILES = 32
_DIGEST_BYTES = hashlib.sha256().digest_size


def kept_network(core: Any, device: str, properties: dict[str, Any], kept: Path) -> Any:
    """Returns a compiled network that was kept; ``None`` where there is none that can be used.

    Args:
        core: The ``openvino.Core``.
        device: For which the network was compiled.
        properties: With which it was compiled.
        kept: Its file.
    """
    try:
        content = kept.read_bytes()
    except OSError:
        return None
    digest, exported = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(exported).digest() != digest:
        return None
    try:
        return core.import_model(exported, device, properties)
    except RuntimeError:
        return None


def keep_network(network: Any, kept: Path) -> None:
    """Keeps a compiled network for the next process; where that is not possible, each one compiles.

    Args:
        network: The ``openvino.CompiledModel``.
        kept: Its file.
    """
    with suppress(OSError, RuntimeError):  # the second where a device cannot export
        exported = network.export_model().getvalue()
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_bytes(kept, hashlib.sha256(exported).digest() + exported)
        newest_first = sorted(kept.parent.glob(f"*{kept.suffix}"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in newest_first[_MOST_FILES:]:
            file.unlink(missing_ok=True)
