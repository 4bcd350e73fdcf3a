"""Defines what changes a bone without breaking it: the seam for spurs, fusions, channels, old healed fractures.

A change is a function in the bone's own frame, in millimetres, before injuries. It sees points and what is there, and says what is
there instead; changes of one bone apply one after the other.
"""

from typing import Protocol

from cspine.phantoms.model.shapes import Field, Points


class BoneChange(Protocol):
    """Something that altered a bone."""

    @property
    def spare_mm(self) -> float:
        """Returns how far it makes the bone reach beyond its box; 0 if it only takes away or alters density."""
        ...

    def reshape(self, points: Points, distance: Field) -> Field:
        """Returns the signed distance to the altered bone.

        What appears or is hollowed out here gets a cortex of its own, as old borders have. A fresh fracture is an injury instead.

        Args:
            points: ``(3, ...)``.
            distance: Signed distance so far, mm, negative inside; exact only within some 3 mm of the surface.
        """
        ...

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:
        """Returns the density of the altered bone at ``(3, n)`` points, HU, where a voxel lies wholly in it.

        Args:
            points: ``(3, n)``.
            distance: Signed distance to the altered bone, mm, ``(n,)``.
            hu: Density so far, ``(n,)``.
        """
        ...
