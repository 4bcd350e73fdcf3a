"""A localiser that is loaded once and finds the vertebrae of many scans."""

from pathlib import Path
from typing import TYPE_CHECKING

from cspine import reading
from cspine.concurrency.threads import alone
from cspine.geometry import Grid
from cspine.locating.coarse_to_fine import locate
from cspine.locating.located import Located
from cspine.locating.magnifying import magnified, magnified_located
from cspine.locating.refining import Refined, magnified_refined, refine
from cspine.modelpack import LocaliserManifest, Package, load_localiser
from cspine.results import ModelFacts, Reason
from cspine.runtime import Engine, Session
from cspine.serving import open_network
from cspine.specs import RefinerSpec
from cspine.volume import Volume

if TYPE_CHECKING:
    from cspine.reading import AnyScan


class Localiser:
    """Finds C1..C7 with one model package.

    Several threads may use one localiser at the same time.

    Attributes:
        package: The model package.
        reasons: What to mind about all that it finds: that a network runs in another precision than the package asks for.
    """

    package: Package[LocaliserManifest]
    reasons: tuple[Reason, ...]

    def __init__(self, package: Package[LocaliserManifest] | str | Path | None = None, engine: Engine | None = None) -> None:
        """Loads the networks.

        Args:
            package: A loaded package, its folder or its name; the shipped one if ``None``.
            engine: Where and how to run; the precision is the package's.

        Raises:
            PackageError: The package does not exist, is of another kind, or is damaged.
        """
        self.package = package if isinstance(package, Package) else load_localiser(package)
        coarse = open_network(self.package, "coarse", engine or Engine())
        fine = open_network(self.package, "fine", engine or Engine()) if self.package.manifest.fine else None
        self._coarse, self._fine = coarse.session, fine.session if fine else None
        self.reasons = tuple(dict.fromkeys((*coarse.reasons, *(fine.reasons if fine else ()))))

    def __call__(self, scan: "AnyScan", grid: Grid | None = None) -> Located:
        """Returns the cervical spine in a scan, however it is oriented and wherever the neck lies in it.

        Args:
            scan: A volume, which is taken as it is; or what :func:`cspine.as_study` reads and checks: a study, an array
                ``(z, y, x)`` in Hounsfield units with its ``grid``, a NIfTI image of nibabel, the data sets of a series, a path.
            grid: Where the voxels of an array lie.

        Raises:
            StudyError: What is given cannot be read as a study.
            GeometryError: An array does not have the shape of its grid.
            PackageError: A network does not do what its manifest says.
        """
        return self.outline(scan, grid).located

    def outline(self, scan: "AnyScan", grid: Grid | None = None) -> Refined:
        """Returns the same with the borders of the vertebrae, which can be laid on any grid; otherwise as calling.

        Meanwhile numpy's matrix products keep to one thread in all of the process (:mod:`cspine.concurrency.threads`).
        """
        volume = scan if isinstance(scan, Volume) and grid is None else reading.as_study(scan, grid).volume
        manifest = self.package.manifest
        with alone():
            located = locate(volume, manifest.coarse, self._coarse, manifest.hu_ceiling)
            if manifest.fine is None or self._fine is None:
                return Refined(located, (), located.labels)
            return _refine(volume, located, manifest.fine, self._fine)

    @property
    def model(self) -> ModelFacts:
        """Returns what results say about the package."""
        manifest = self.package.manifest
        return ModelFacts(manifest.name, manifest.version, self.package.sha256, manifest.trained_on)


def _refine(volume: Volume, located: Located, spec: RefinerSpec, session: Session) -> Refined:
    """Returns the vertebrae with their borders; a neck that was located enlarged is refined enlarged."""
    factor = located.magnification
    if factor == 1:
        return refine(volume, located, spec, session)
    refined = refine(magnified(volume, factor), magnified_located(located, factor), spec, session)
    return magnified_refined(refined, 1 / factor)
