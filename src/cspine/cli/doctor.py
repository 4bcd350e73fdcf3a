"""Says what this machine can do: engines, frameworks and their devices, packages, decoders, memory, caches, optional parts.

Runs the stored samples of every shipped package, and says how far the outputs are from those of the trained model and how long a
network takes. Ends with 0 if `cspine detect` can run here, otherwise with one line that says why not.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import cspine
from cspine.cli import EXTRAS, Exit
from cspine.cli.frameworks import FrameworkFacts, frameworks
from cspine.concurrency.processors import processors
from cspine.errors import InputError
from cspine.modelpack import DEFAULT_LOCALISER, DEFAULT_PACKAGE, Package, PackageManifest, load_any_package, shipped_packages
from cspine.reading.decoders import Decoding, try_decoders
from cspine.runtime import Engine
from cspine.runtime.facts import EngineFacts, engines
from cspine.serving import open_network
from cspine.storage.cache_folder import cache_folder

_LIBRARIES = ("numpy", "scipy", "pydicom", "imagecodecs", "nibabel", "openvino", "matplotlib", "jinja2")
_RUNS = 7


@dataclass(frozen=True, slots=True)
class NetworkCheck:
    """Describes how a network of a package fares here.

    Attributes:
        role: What it is for.
        difference: The largest difference of an output from what the trained model said.
        tolerance: The largest that is allowed.
        milliseconds: Median time over one stored sample.
    """

    role: str
    difference: float
    tolerance: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class PackageCheck:
    """Describes how a package fares here.

    Attributes:
        name: Its name or folder.
        needed: Whether `cspine detect` needs it as it is asked for here.
        version: Its version.
        networks: Its networks, each of which does what it should.
        problem: Why it cannot be used; ``None`` where it can.
        fault: Whether that is a fault of ours.
    """

    name: str
    needed: bool = False
    version: str | None = None
    networks: tuple[NetworkCheck, ...] = ()
    problem: str | None = None
    fault: bool = False


@dataclass(frozen=True, slots=True)
class Extra:
    """An optional part.

    Attributes:
        name: The extra that brings it.
        missing: Libraries of it that are not installed.
    """

    name: str
    missing: tuple[str, ...]

    @property
    def remedy(self) -> str:
        """Returns what to run."""
        return f"pip install 'cspine[{self.name}]'"


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """Describes where cspine keeps what it compiled and checked.

    Attributes:
        folder: Where that is; ``None`` where nothing is kept.
        size_bytes: What it takes.
        free_bytes: What is free on its disk.
    """

    folder: str | None
    size_bytes: int = 0
    free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Checkup:
    """Holds what a machine can do."""

    machine: dict[str, str | int | float]
    libraries: dict[str, str | None]
    engines: tuple[EngineFacts, ...]
    frameworks: tuple[FrameworkFacts, ...]
    cache: CacheFacts
    packages: tuple[PackageCheck, ...]
    decoders: tuple[Decoding, ...]
    parts: tuple[Extra, ...]

    @property
    def obstacle(self) -> PackageCheck | None:
        """Returns a package that is needed and does not run."""
        return next((package for package in self.packages if package.needed and package.problem), None)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--model", metavar="PACKAGE", help="the model package that is needed (default: that of `cspine detect`)")
    parser.add_argument("--localiser", metavar="PACKAGE", help="the package that finds the vertebrae (default: the shipped one)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    checkup = check_all([options.model or DEFAULT_PACKAGE, options.localiser or DEFAULT_LOCALISER])
    obstacle = checkup.obstacle
    text = json.dumps({"ready": obstacle is None, **asdict(checkup)}, indent=2) if options.json else "\n".join(_lines(checkup))
    sys.stdout.write(text + "\n")
    if obstacle is None:
        return Exit.DONE
    sys.stderr.write(f"cspine doctor: cspine detect cannot run here with {obstacle.name}: {obstacle.problem}\n")
    return Exit.FAULT if obstacle.fault else Exit.WRONG_INPUT


def check_all(needed: Sequence[str]) -> Checkup:
    """Checks the machine, the libraries, the packages and the decoders.

    Args:
        needed: The packages that are needed; the others that ship are tried after them.
    """
    packages = [replace(check_package(name), needed=name in needed) for name in dict.fromkeys([*needed, *shipped_packages()])]
    return Checkup(
        machine=_machine(),
        libraries={name: _version(name) for name in _LIBRARIES},
        engines=engines(),
        frameworks=frameworks(),
        cache=_cache(),
        packages=tuple(packages),
        decoders=try_decoders(),
        parts=tuple(_part(name) for name in dict.fromkeys(EXTRAS.values())),
    )


def check_package(name: str) -> PackageCheck:
    """Loads a package, verifies checksums and samples, and times its networks."""
    try:
        package = load_any_package(name)
        checks = tuple(_check_network(package, network.role) for network in package.manifest.networks)
    except InputError as error:
        return PackageCheck(name, problem=str(error))
    except Exception as error:  # whatever an engine raises on a machine that we do not know is what is asked for
        return PackageCheck(name, problem=" ".join(f"{type(error).__name__}: {error}".split()), fault=True)
    return PackageCheck(package.manifest.name, version=package.manifest.version, networks=checks)


def _check_network(package: Package[PackageManifest], role: str) -> NetworkCheck:
    network = package.manifest.network(role)
    session = open_network(package, role, Engine()).session
    difference = package.verify_samples(session, role)
    inputs = package.samples(role).inputs
    seconds = []
    for _ in range(_RUNS):
        begin = time.perf_counter()
        session.run(inputs)
        seconds.append((time.perf_counter() - begin) / len(inputs))
    return NetworkCheck(role, difference, network.tolerance, round(1e3 * statistics.median(seconds), 2))


def _machine() -> dict[str, str | int | float]:
    return {
        "cspine": cspine.__version__,
        "folder": str(Path(cspine.__file__).parent),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": processors(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "free_memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") / 2**30, 1),
    }


def _cache() -> CacheFacts:
    """Returns what is kept for this account, and what room there is; a folder that nobody has made yet takes nothing."""
    folder = cache_folder("")
    if folder is None:
        return CacheFacts(None)
    there = next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))
    size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
    return CacheFacts(str(folder), size, shutil.disk_usage(there).free)


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _part(name: str) -> Extra:
    libraries = [library for library, extra in EXTRAS.items() if extra == name]
    return Extra(name, tuple(library for library in libraries if find_spec(library) is None))


def _lines(checkup: Checkup) -> Iterator[str]:
    machine = checkup.machine
    yield f"cspine {machine['cspine']} in {machine['folder']}"
    yield f"Python {machine['python']}, {machine['system']}"
    yield f"{machine['processors']} processors, {machine['memory_gib']} GiB of memory, {machine['free_memory_gib']} of them unused"
    yield ", ".join(f"{name} {text or 'missing'}" for name, text in checkup.libraries.items())
    yield "\nengines"
    for engine in checkup.engines:
        yield _row(engine.name, engine.version or f"not here: {engine.problem}")
        for device in engine.devices:
            yield _row("", f"{device.name}: {device.text} ({', '.join(device.precisions)})" if device.precisions else device.text)
    yield "\nframeworks for training"
    for framework in checkup.frameworks:
        yield _row(f"{framework.name}{' (in use)' * framework.chosen}", _framework(framework))
    yield _row("cache", _cache_in_words(checkup.cache))
    yield "\nmodel packages"
    for package in checkup.packages:
        yield from _package(package)
    yield "\ndecoders"
    broken = [decoding for decoding in checkup.decoders if decoding.problem]
    yield _row("working", f"{len(checkup.decoders) - len(broken)} of {len(checkup.decoders)} transfer syntaxes")
    yield from (_row(decoding.name, f"cannot be read here: {decoding.problem}") for decoding in broken)
    yield "\noptional parts"
    for part in checkup.parts:
        yield _row(part.name, f"lacks {', '.join(part.missing)}. Run: {part.remedy}" if part.missing else "here")
    if checkup.obstacle is None:
        yield "\ncspine detect can run here."


def _framework(framework: FrameworkFacts) -> str:
    if framework.problem is not None:
        return framework.problem
    seen = ", ".join(framework.accelerators) or "no accelerator seen: it calculates on the processor"
    return f"{framework.version}; {seen}"


def _cache_in_words(cache: CacheFacts) -> str:
    if cache.folder is None:
        return "switched off, or without a place"
    return f"{cache.size_bytes / 2**20:.0f} MiB in {cache.folder}, {cache.free_bytes / 2**30:.1f} GiB free there"


def _package(package: PackageCheck) -> Iterator[str]:
    yield _row(package.name, package.problem or f"version {package.version}, checksums right")
    for network in package.networks:
        agrees = f"{network.difference:.1e} from the trained model, {network.tolerance:.0e} allowed"
        yield _row("", f"{network.role}: {agrees}; {network.milliseconds:g} ms a sample")


def _row(label: str, text: str) -> str:
    return f"  {label:<22}{text}"
