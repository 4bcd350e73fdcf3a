"""Model packages on disk: written whole or not at all, and checked when loaded."""

import hashlib
import io
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cspine.errors import OutputError, PackageError, one_line
from cspine.modelpack.manifest import (
    LocaliserManifest,
    Manifest,
    NetworkFile,
    PackageManifest,
    is_plain_name,
    read_manifest,
)
from cspine.network_content import NetworkContent
from cspine.storage.array_files import read_arrays
from cspine.storage.files import replacing_folder

DEFAULT_PACKAGE, DEFAULT_LOCALISER = "vertebra_mil_phantoms", "localiser"
"""The shipped packages that classify, and find the vertebrae, unless the user names others."""

_SHIPPED = Path(__file__).parent / "packages"
_MANIFEST, _CARD = "manifest.json", "card.md"
_INPUTS = "inputs"
_MOST_SAMPLE_BYTES = 2 << 30
_MOST_FILE_BYTES = 2 << 30

T = TypeVar("T", bound=PackageManifest)
M_co = TypeVar("M_co", bound=PackageManifest, covariant=True)


class Network(Protocol):
    """Anything that runs a network; every :class:`cspine.runtime.Session` does."""

    def run(self, batch: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """Returns the outputs by name."""
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
        files: All others by their name, as they were checked: what is loaded is not read again.
    """

    folder: Path
    manifest: M_co
    sha256: str
    card: str
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def network(self, role: str) -> NetworkContent:
        """Returns the network in a role, as it was checked."""
        name = self.manifest.network(role).file
        return NetworkContent(name, self.files[name], self.files.get(str(Path(name).with_suffix(".bin")), b""))

    def network_path(self, role: str) -> Path:
        """Returns the file of the network in a role, which may have changed since it was checked."""
        return self.folder / self.manifest.network(role).file

    def samples(self, role: str = "slices") -> Samples:
        """Returns the stored samples of the network in a role.

        Raises:
            PackageError: They are damaged.
        """
        name = _samples_of(role)
        try:
            stored = read_arrays(io.BytesIO(self.files[name]), most_bytes=_MOST_SAMPLE_BYTES)
            inputs = stored.pop(_INPUTS)
        except (ValueError, KeyError) as error:
            raise PackageError(f"{name} of {self.manifest.name} must hold samples: {error}. Install it again.") from error
        return Samples(inputs, stored)

    def difference(self, session: Network, role: str = "slices", most: int | None = None) -> float:
        """Runs the stored samples again.

        Args:
            session: The network.
            role: Which it is.
            most: How many samples are run; all if ``None``.

        Returns:
            The largest difference from the stored outputs; infinity where a number is none.

        Raises:
            PackageError: An output is missing or has another shape, or the samples are damaged.
        """
        samples = self.samples(role)
        got = session.run(samples.inputs[:most])
        wanted = {name: array[:most] for name, array in samples.outputs.items()}
        missing = sorted(set(wanted) - set(got))
        if missing or not wanted:
            raise PackageError(f"The network of {self.manifest.name} must have the outputs of its samples. Missing: {missing}")
        if any(got[name].shape != array.shape for name, array in wanted.items()):
            raise PackageError(
                f"The network of {self.manifest.name} must give outputs of the shapes of its samples. Export it again."
            )
        worst = max(float(np.max(np.abs(got[name] - array), initial=0.0)) for name, array in wanted.items())
        return worst if math.isfinite(worst) else math.inf

    def verify_samples(self, session: Network, role: str = "slices", most: int | None = None) -> float:
        """Runs the stored samples again, and refuses a network that answers otherwise.

        Args:
            session: The network.
            role: Which it is.
            most: How many samples are run; all if ``None``.

        Returns:
            The largest difference from the stored outputs.

        Raises:
            PackageError: An output is missing, or differs by more than the manifest allows.
        """
        network, worst = self.manifest.network(role), self.difference(session, role, most)
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
    """Returns a model package that classifies, from a folder or, by its name, one of those that ship with cspine.

    Every file is compared with its checksum.

    Args:
        path_or_name: A folder, or the name of a shipped package; the default one if ``None``.

    Raises:
        PackageError: There is none, it is of another kind, or it is damaged.
    """
    return _of_kind(Manifest, load_any_package(DEFAULT_PACKAGE if path_or_name is None else path_or_name))


def load_localiser(path_or_name: str | Path | None = None) -> Package[LocaliserManifest]:
    """Returns a model package that finds the vertebrae; otherwise as :func:`load_package`."""
    return _of_kind(LocaliserManifest, load_any_package(DEFAULT_LOCALISER if path_or_name is None else path_or_name))


def load_any_package(path_or_name: str | Path) -> Package[PackageManifest]:
    """Returns a model package of any kind; otherwise as :func:`load_package`."""
    folder = _find(path_or_name)
    try:
        text = _content(folder, _MANIFEST)
        manifest = read_manifest(text.decode("utf-8"))
        files = _checked_files(folder, manifest)
        card = files.pop(_CARD).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PackageError(f"The model package {folder} cannot be read: {one_line(str(error))}") from error
    except PackageError as error:
        raise PackageError(f"The model package {folder} cannot be used. {one_line(str(error), 600)}") from error
    return Package(folder, manifest, hashlib.sha256(text).hexdigest(), card, files)


def shipped_packages() -> tuple[str, ...]:
    """Returns the names of the packages that ship with cspine, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in _SHIPPED.glob(f"*/{_MANIFEST}")))


def is_shipped(package: Package[PackageManifest]) -> bool:
    """Returns whether a package is one of those that ship with cspine, read where they lie."""
    return package.folder.resolve().parent == _SHIPPED.resolve()


def _of_kind(kind: type[T], package: Package[PackageManifest]) -> Package[T]:
    manifest = package.manifest
    if not isinstance(manifest, kind):
        raise PackageError(f"A package of kind {kind.KIND} is needed here. {manifest.name} is of kind {manifest.kind}.")
    return Package(package.folder, manifest, package.sha256, package.card, package.files)


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
    """Returns the files of a network: OpenVINO keeps weights beside the graph."""
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
    if any(not is_plain_name(name) or name in (_MANIFEST, _CARD, *map(_samples_of, samples)) for name in files):
        raise PackageError(f"Files of a package need plain names of their own. Received: {', '.join(files)}")


def _checked_files(folder: Path, manifest: PackageManifest) -> dict[str, bytes]:
    """Returns every file of a package, read once, with the checksum of its manifest."""
    named = {_CARD}.union(*(_parts(network) | {_samples_of(network.role)} for network in manifest.networks))
    if named - set(manifest.checksums):
        raise PackageError(f"Every file must have a checksum. Missing: {', '.join(sorted(named - set(manifest.checksums)))}")
    extra = sorted(set(manifest.checksums) - named)
    if extra:
        raise PackageError(f"A package has the files of its networks, samples and a card alone. Received: {', '.join(extra)!r:.80}")
    files = {name: _content(folder, name) for name in sorted(named)}
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != manifest.checksums[name]:
            raise PackageError(f"{name} is damaged: its checksum differs from the manifest. Install or export the package again.")
    return files


def _content(folder: Path, name: str) -> bytes:
    """Returns a file right in a folder, and none that a link leads to elsewhere."""
    path = folder / name
    if not path.is_file():
        raise PackageError(f"{name} is missing. Install or export the package again.")
    if path.resolve().parent != folder.resolve():
        raise PackageError(f"{name} is a link that leads out of the package. Put the file itself there.")
    if path.stat().st_size > _MOST_FILE_BYTES:
        raise PackageError(f"{name} has {path.stat().st_size} bytes, and at most {_MOST_FILE_BYTES} are allowed. Export it again.")
    return path.read_bytes()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
