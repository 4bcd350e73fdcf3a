"""Model packages on disk: written whole or not at all, and checked when loaded."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cspine.errors import OutputError, PackageError
from cspine.files import replacing_folder
from cspine.modelpack.manifest import LocaliserManifest, Manifest, NetworkFile, PackageManifest, read_manifest

DEFAULT_PACKAGE, DEFAULT_LOCALISER = "vertebra_mil_phantoms", "localiser_phantoms"
"""The shipped packages that judge, and find the vertebrae, unless the user names others."""

_SHIPPED = Path(__file__).parent / "packages"
_MANIFEST, _CARD = "manifest.json", "card.md"
_INPUTS = "inputs"

T = TypeVar("T", bound=PackageManifest)
M_co = TypeVar("M_co", bound=PackageManifest, covariant=True)


class Network(Protocol):
    """Anything that runs a network; every :class:`cspine.runtime.Session` does."""

    def run(self, batch: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """Outputs by name."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Inputs with what the trained model said about them.

    Attributes:
        inputs: As the network takes them, ``(n, ...)``.
        outputs: By name, ``(n, ...)`` each, from the model that was trained, before export.
    """

    inputs: NDArray[np.float32]
    outputs: dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Package(Generic[M_co]):
    """A model package whose files were checked.

    Attributes:
        folder: Where it lies.
        manifest: What it says about itself.
        sha256: Digest of its manifest, which holds those of all other files.
        card: The model card, Markdown.
    """

    folder: Path
    manifest: M_co
    sha256: str
    card: str

    def network_path(self, role: str) -> Path:
        """The file of the network in a role."""
        return self.folder / self.manifest.network(role).file

    def samples(self, role: str = "slices") -> Samples:
        """The stored samples of the network in a role."""
        with np.load(self.folder / _samples_of(role), allow_pickle=False) as stored:
            return Samples(stored[_INPUTS], {name: stored[name] for name in stored.files if name != _INPUTS})

    def verify_samples(self, session: Network, role: str = "slices") -> float:
        """Runs the stored samples again.

        Returns:
            The largest difference from the stored outputs.

        Raises:
            PackageError: An output is missing, or differs by more than the manifest allows.
        """
        network, samples = self.manifest.network(role), self.samples(role)
        got = session.run(samples.inputs)
        missing = sorted(set(samples.outputs) - set(got))
        if missing:
            raise PackageError(f"The network of {self.manifest.name} must have the outputs of its samples. Missing: {missing}")
        worst = max(float(np.max(np.abs(got[name] - wanted))) for name, wanted in samples.outputs.items())
        if not worst <= network.tolerance:
            raise PackageError(
                f"The network of {self.manifest.name} must repeat its stored samples within {network.tolerance:g}. "
                f"It differs by {worst:g}; try another device or precision, or export it again."
            )
        return worst


def write_package(
    folder: Path, manifest: PackageManifest, files: Mapping[str, Path], samples: Mapping[str, Samples], card: str
) -> None:
    """Writes a model package; a package that stood there before is replaced.

    Args:
        folder: Where it shall stand.
        manifest: What it says; checksums are filled in here.
        files: Where each file of the networks lies now, by its name in the package.
        samples: By role, a few inputs and what the trained model said about them.
        card: The model card, Markdown.

    Raises:
        PackageError: A network of the manifest has no file or no sample.
        OutputError: ``folder`` cannot be written, or holds something else than a package.
    """
    folder = Path(folder)
    _check_complete(manifest, files, samples)
    if folder.exists() and not (folder / _MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"A model package needs a new or empty folder. {folder} holds something else.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as made:
            for name, source in files.items():
                shutil.copyfile(source, made / name)
            for role, stored in samples.items():
                np.savez_compressed(made / _samples_of(role), allow_pickle=False, **{_INPUTS: stored.inputs}, **stored.outputs)
            (made / _CARD).write_text(card, encoding="utf-8")
            checksums = {path.name: _sha256(path) for path in sorted(made.iterdir())}
            (made / _MANIFEST).write_text(replace(manifest, checksums=checksums).to_json(), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The package cannot be written to {folder}: {error.strerror}. Choose another folder.") from error


def load_package(path_or_name: str | Path | None = None) -> Package[Manifest]:
    """A model package that judges, from a folder or, by its name, one of those that ship with cspine.

    Every file is compared with its checksum.

    Args:
        path_or_name: A folder, or the name of a shipped package; the default one if ``None``.

    Raises:
        PackageError: There is none, it is of another kind, or it is damaged.
    """
    return _of_kind(Manifest, load_any_package(DEFAULT_PACKAGE if path_or_name is None else path_or_name))


def load_localiser(path_or_name: str | Path | None = None) -> Package[LocaliserManifest]:
    """A model package that finds the vertebrae; otherwise as :func:`load_package`."""
    return _of_kind(LocaliserManifest, load_any_package(DEFAULT_LOCALISER if path_or_name is None else path_or_name))


def load_any_package(path_or_name: str | Path) -> Package[PackageManifest]:
    """A model package of any kind; otherwise as :func:`load_package`."""
    folder = _find(path_or_name)
    try:
        text = (folder / _MANIFEST).read_bytes()
        manifest = read_manifest(text.decode("utf-8"))
        _check_files(folder, manifest)
        card = (folder / _CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PackageError(f"The model package {folder} cannot be read: {error}") from error
    except PackageError as error:
        raise PackageError(f"The model package {folder} cannot be used. {error}") from error
    return Package(folder, manifest, hashlib.sha256(text).hexdigest(), card)


def shipped_packages() -> tuple[str, ...]:
    """Names of the packages that ship with cspine, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in _SHIPPED.glob(f"*/{_MANIFEST}")))


def _of_kind(kind: type[T], package: Package[PackageManifest]) -> Package[T]:
    manifest = package.manifest
    if not isinstance(manifest, kind):
        raise PackageError(f"A package of kind {kind.KIND} is needed here. {manifest.name} is of kind {manifest.kind}.")
    return Package(package.folder, manifest, package.sha256, package.card)


def _samples_of(role: str) -> str:
    return f"samples-{role}.npz"


def _find(path_or_name: str | Path) -> Path:
    folder = Path(path_or_name)
    if (folder / _MANIFEST).is_file():
        return folder
    if str(path_or_name) in shipped_packages():
        return _SHIPPED / str(path_or_name)
    shipped = ", ".join(shipped_packages()) or "none"
    raise PackageError(f"A model package is a folder with a {_MANIFEST}, or a shipped name ({shipped}). Received: {path_or_name}")


def _parts(network: NetworkFile) -> set[str]:
    """The files of a network: OpenVINO keeps weights beside the graph."""
    path = Path(network.file)
    return {path.name, path.with_suffix(".bin").name} if path.suffix == ".xml" else {path.name}


def _check_complete(manifest: PackageManifest, files: Mapping[str, Path], samples: Mapping[str, Samples]) -> None:
    for network in manifest.networks:
        missing = sorted(_parts(network) - set(files))
        if missing:
            raise PackageError(f"The files of a package must hold its networks. Missing: {', '.join(missing)}")
        stored = samples.get(network.role)
        if stored is None or set(stored.outputs) != set(network.outputs) or not len(stored.inputs):
            wanted_outputs, got = ", ".join(network.outputs), ", ".join(stored.outputs) if stored else "none"
            raise PackageError(f"Samples must hold inputs and the outputs {wanted_outputs}. Received: {got}")
    if any(Path(name).name != name or name in (_MANIFEST, _CARD, *map(_samples_of, samples)) for name in files):
        raise PackageError(f"Files of a package need plain names of their own. Received: {', '.join(files)}")


def _check_files(folder: Path, manifest: PackageManifest) -> None:
    named = {_CARD}.union(*(_parts(network) | {_samples_of(network.role)} for network in manifest.networks))
    if named - set(manifest.checksums):
        raise PackageError(f"Every file must have a checksum. Missing: {', '.join(sorted(named - set(manifest.checksums)))}")
    for name, wanted in manifest.checksums.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise PackageError(f"{name} is missing. Install or export the package again.")
        if _sha256(path) != wanted:
            raise PackageError(f"{name} is damaged: its checksum differs from the manifest. Install or export the package again.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
