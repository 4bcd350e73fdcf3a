"""Opens the networks of packages, in a precision that this processor was seen to get right.

Half precision gives wrong numbers on some processors and some versions of an engine. So when a network is loaded for the first time
in one way on one processor, a sample that the package stores is run, and the answer is compared with that of the trained model.
What was found is remembered in ``$XDG_CACHE_HOME/cspine/checked`` (``~/.cache`` where that is not set), a small file for each
network, and the network as it was compiled in ``compiled`` beside it. Both folders may be deleted at any time, and several
processes may use them at once; ``CSPINE_CACHE=off`` switches them off.
"""

import hashlib
import json
import math
import platform
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from cspine.concurrency.processors import processors
from cspine.modelpack import NetworkFile, Package, PackageManifest
from cspine.network_content import NetworkContent
from cspine.results import Reason
from cspine.runtime import Engine, Session, calculates_on, open_session
from cspine.storage.cache_folder import cache_folder
from cspine.storage.codec import decode, encode
from cspine.storage.files import write_text
from cspine.storage.strict_json import read_json

_FORMAT = 1
_FULL = "f32"
_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True, eq=False)
class OpenNetwork:
    """A network of a package that is loaded.

    Attributes:
        session: Runs it.
        precision: In which it calculates.
        reasons: What to mind about its results: that it calculates in another precision than the package asks for.
    """

    session: Session
    precision: str
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class _Way:
    """In which way a network is run: what the finding depends on."""

    package_sha256: str
    role: str
    calculated_by: str
    processor: str
    precision: str
    format: int = _FORMAT


@dataclass(frozen=True, slots=True)
class _Finding:
    """Holds what was found of a network that is run in some way.

    Attributes:
        way: That way.
        precision: In which it keeps its bound.
        difference: From the trained model, in the precision that was asked for; ``None`` where an answer is NaN.
    """

    way: _Way
    precision: str
    difference: float | None


def open_network(package: Package[PackageManifest], role: str, engine: Engine) -> OpenNetwork:
    """Loads a network of a package, in its precision, or in single precision where this processor gets that wrong.

    Args:
        package: The package.
        role: Which of its networks.
        engine: Where and how to run; the precision is the package's.

    Raises:
        PackageError: The network cannot be loaded, or differs from the trained model by more than the package allows.
    """
    network, content = package.manifest.network(role), package.network(role)
    wanted = replace(engine, precision=network.precision)
    way = _Way(package.sha256, role, calculates_on(content, wanted), _processor(), network.precision)
    found = _remembered(way)
    if found is not None:
        session = _opened(content, replace(wanted, precision=found.precision), way)
        return OpenNetwork(session, found.precision, _reasons(package, network, found))
    session = _opened(content, wanted, way)
    difference = package.difference(session, role, most=1)
    found = _Finding(way, network.precision, difference if math.isfinite(difference) else None)
    if not difference <= network.tolerance and network.precision != _FULL:
        session = _opened(content, replace(wanted, precision=_FULL), way)
        found = replace(found, precision=_FULL)
    if found.precision == _FULL:
        package.verify_samples(session, role, most=1)
    _remember(found)
    return OpenNetwork(session, found.precision, _reasons(package, network, found))


def _opened(content: NetworkContent, engine: Engine, way: _Way) -> Session:
    """Loads a network, compiled already where an earlier process has run it in this way with this engine."""
    folder = cache_folder("compiled")
    return open_session(content, engine, None if folder is None else folder / f"{_name_of(way, engine, processors())}.bin")


def _reasons(package: Package[PackageManifest], network: NetworkFile, found: _Finding) -> tuple[Reason, ...]:
    if found.precision == network.precision:
        return ()
    differs = "gives NaN" if found.difference is None else f"differs by {found.difference:.2g}"
    text = (
        f"This processor computes a network of {package.manifest.name} wrongly in {network.precision}: a stored sample {differs}, "
        f"and {network.tolerance:g} is allowed. It was run in single precision, which takes longer."
    )
    return (Reason("single_precision", text),)


def _remembered(way: _Way) -> _Finding | None:
    """Returns what an earlier process found; ``None`` where none did, or its file is damaged."""
    path = _place(way)
    try:
        found = None if path is None else decode(_Finding, read_json(path), "finding")
    except (OSError, ValueError):
        return None
    return found if found is not None and found.way == way and found.precision in (way.precision, _FULL) else None


def _remember(found: _Finding) -> None:
    """Keeps a finding for the next process; where that is not possible, each one checks again."""
    path = _place(found.way)
    if path is None:
        return
    with suppress(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(encode(found), allow_nan=False) + "\n")


def _place(way: _Way) -> Path | None:
    """Returns the file of a way; ``None`` where this account has no place for it."""
    folder = cache_folder("checked")
    return None if folder is None else folder / f"{_name_of(way)}.json"


def _name_of(way: _Way, *more: object) -> str:
    """Returns the name of a file that depends on a way, and on what else ``str`` tells."""
    text = json.dumps([encode(way), *map(str, more)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _processor() -> str:
    """Returns the name of this processor, and a digest of what it says it can do."""
    try:
        with _CPU_INFO.open(encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip() for line in iter(file.readline, "\n") if line]
    except OSError:
        lines = []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    able = hashlib.sha256(" ".join(sorted(facts.get("flags", facts.get("Features", "")).split())).encode()).hexdigest()[:16]
    kind = [facts.get(name, "") for name in ("model name", "cpu family", "model", "stepping")]
    return " ".join([platform.machine(), platform.processor(), *kind, able])
