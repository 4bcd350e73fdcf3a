"""Chooses what finds the vertebrae of studies that networks classify: the localiser, as in service, or a mask."""

from enum import StrEnum
from functools import cache as remembered

from cspine.datasets import Case, load_mask
from cspine.datasets.masks import without_small_components
from cspine.locating import Localiser, Located
from cspine.locating.crop_geometry import located_by
from cspine.volume import Volume


class Finder(StrEnum):
    """Says what finds the vertebrae of a study."""

    MASK = "mask"
    """Its mask, where it has one; else the localiser."""

    LOCALISER = "localiser"
    """The localiser, always: as in service."""

    def trusts_mask(self, case: Case) -> bool:
        """Returns whether the mask of a study says where its vertebrae are."""
        return self is Finder.MASK and case.mask is not None


@remembered
def localiser_of(name: str) -> Localiser:
    """Returns the localiser of a package, by its folder or name, loaded once.

    Raises:
        PackageError: The package does not exist, is of another kind, or is damaged.
    """
    return Localiser(name)


def located_in(case: Case, volume: Volume, finder: Finder, localiser: str) -> Located:
    """Returns where the vertebrae of a study are.

    Args:
        case: The study.
        volume: Its scan.
        finder: What finds them.
        localiser: A package of kind localiser, by folder or name.

    Raises:
        DatasetError: Its mask cannot be read.
        PackageError: The localiser cannot be used.
    """
    if finder.trusts_mask(case) and case.mask is not None:
        return located_by(without_small_components(load_mask(case.mask)))
    return localiser_of(localiser)(volume)
