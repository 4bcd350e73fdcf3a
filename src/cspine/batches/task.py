"""What is asked of every case of a batch."""

from dataclasses import dataclass
from pathlib import Path

import cspine
from cspine.batches.folders import Manner
from cspine.modelpack import Manifest, Package
from cspine.runtime import Device


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of every case of a batch; small, and the same on every machine.

    Attributes:
        out: Folder of the batch, the same for all who work on it.
        formats: What is written, ``json`` first.
        model: The model package, by folder or name; the shipped one if ``None``.
        operating_point: Its thresholds; the package's default if ``None``.
        series_uid: Which series, where a study holds several.
        device: Where the network runs.
    """

    out: Path
    formats: tuple[str, ...] = ("json",)
    model: str | None = None
    operating_point: str | None = None
    series_uid: str | None = None
    device: Device = Device.AUTO

    def manner(self, package: Package[Manifest]) -> Manner:
        """How cases are made with a package: all of the above that may change what is written.

        Raises:
            PackageError: The package does not have the operating point.
        """
        point = package.manifest.operating_point(self.operating_point)
        return Manner(cspine.__version__, package.sha256, point.name, self.series_uid, self.formats)
