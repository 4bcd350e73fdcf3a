"""Describes what every job of a batch does."""

from dataclasses import dataclass
from pathlib import Path

import cspine
from cspine.jobs.folders import Provenance
from cspine.modelpack import LocaliserManifest, Manifest, Package, load_localiser, load_package
from cspine.runtime import Device


@dataclass(frozen=True, slots=True, eq=False)
class Packages:
    """The networks that classify and that find the vertebrae, loaded.

    Attributes:
        model: The model package.
        localiser: The package that finds the vertebrae.
    """

    model: Package[Manifest]
    localiser: Package[LocaliserManifest]


@dataclass(frozen=True, slots=True)
class Task:
    """Describes what every job of a batch does; small, and the same on every machine.

    Attributes:
        out: Folder of the batch, the same for all that work on it.
        formats: What is written, ``json`` first.
        model: The model package, by folder or name; the shipped one if ``None``.
        localiser: The package that finds the vertebrae, in the same way.
        operating_point: Its thresholds; the package's default if ``None``.
        series_uid: Which series, where a study holds several.
        device: Where the network runs.
    """

    out: Path
    formats: tuple[str, ...] = ("json",)
    model: str | None = None
    localiser: str | None = None
    operating_point: str | None = None
    series_uid: str | None = None
    device: Device = Device.AUTO

    def load(self) -> Packages:
        """Returns the packages of the task.

        Raises:
            PackageError: One of them cannot be used.
        """
        return Packages(load_package(self.model), load_localiser(self.localiser))

    def provenance(self, packages: Packages) -> Provenance:
        """Returns how jobs are done with the packages: all of the above that may change what is written.

        Raises:
            PackageError: The package does not have the operating point.
        """
        point = packages.model.manifest.operating_point(self.operating_point)
        digests = (packages.model.sha256, packages.localiser.sha256)
        return Provenance(cspine.__version__, *digests, point.name, self.series_uid, self.formats)
