"""Asks each framework that could train which devices it sees, in a process of its own: one that breaks down ends no other."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec

_WITHIN_S = 180.0

_ASK = {
    "tensorflow": """
import tensorflow
found = [(device.device_type, device.name) for device in tensorflow.config.list_physical_devices()]
about = [tensorflow.config.experimental.get_device_details(device) for device in tensorflow.config.list_physical_devices()]
tell(tensorflow.__version__, [[kind, facts.get("device_name", name)] for (kind, name), facts in zip(found, about)])
""",
    "jax": """
import jax
tell(jax.__version__, [[device.platform.upper(), device.device_kind] for device in jax.local_devices()])
""",
    "torch": """
import torch
found = [["GPU", torch.cuda.get_device_name(number)] for number in range(torch.cuda.device_count())]
found += [["MPS", "Apple"]] if getattr(torch.backends, "mps", None) and torch.backends.mps.is_available() else []
tell(torch.__version__, [["CPU", ""], *found])
""",
}
_TELL = """
import json, sys
def tell(version, devices):
    print("TOLD " + json.dumps([version, devices]))
"""
_MARK = "TOLD "

EXTRA_OF = {"tensorflow": "train-cpu", "jax": "train-jax", "torch": "train-torch"}
"""Which extra brings a framework."""


@dataclass(frozen=True, slots=True)
class FrameworkFacts:
    """A framework that Keras may train on.

    Attributes:
        name: As ``KERAS_BACKEND`` names it.
        chosen: Whether training would use it now.
        version: Its version; ``None`` where it is not here, or does not work.
        devices: What it can calculate on: kind (``CPU``, ``GPU``, ``TPU`` ...) and name.
        problem: Why it cannot be used; ``None`` where it can.
    """

    name: str
    chosen: bool
    version: str | None = None
    devices: tuple[tuple[str, str], ...] = ()
    problem: str | None = None

    @property
    def accelerators(self) -> tuple[str, ...]:
        """Returns the names of what is no processor."""
        return tuple(f"{kind} {name}".strip() for kind, name in self.devices if kind not in ("CPU", "XLA_CPU"))


def frameworks() -> tuple[FrameworkFacts, ...]:
    """Returns every framework, whether it is here or not; all are asked at once."""
    with ThreadPoolExecutor(len(_ASK)) as threads:
        return tuple(threads.map(_asked, _ASK))


def chosen_framework() -> str:
    """Returns the framework that Keras would take: of ``KERAS_BACKEND``, or TensorFlow."""
    return os.environ.get("KERAS_BACKEND", "tensorflow")


def _asked(name: str) -> FrameworkFacts:
    chosen = name == chosen_framework()
    if find_spec(name) is None:
        return FrameworkFacts(name, chosen, problem=f"not installed. Run: pip install 'cspine[{EXTRA_OF[name]}]'")
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TELL + _ASK[name]], capture_output=True, text=True, timeout=_WITHIN_S, check=False, env=_quiet()
        )
    except subprocess.TimeoutExpired:
        return FrameworkFacts(name, chosen, problem=f"it does not say within {_WITHIN_S:g} s which devices there are")
    lines = [line.removeprefix(_MARK) for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode or not lines:
        last = [line.strip() for line in done.stderr.splitlines() if line.strip()][-1:] or [f"exit code {done.returncode}"]
        return FrameworkFacts(name, chosen, problem=f"it cannot be loaded: {last[0][:200]}")
    version, devices = json.loads(lines[-1])
    return FrameworkFacts(name, chosen, version, tuple((kind, text) for kind, text in devices))


def _quiet() -> dict[str, str]:
    """Returns an environment in which frameworks say less, and take no memory of a GPU to count it."""
    return os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
