"""Keeping cuts within the part that they cut: a plane through a lamina must not go on through the body."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.phantoms.model.injuries.pieces import Fence, Fracture
from cspine.phantoms.model.injuries.sites import Lattice
from cspine.phantoms.model.shapes import Points

_ROUNDS = 5
_MARGINS_MM = (0.0, 1.0)
"""First what belongs to a fragment, then what its rough fracture lines may touch."""

_BESIDE_MM = 2.0
_EVERYWHERE = np.ones((3, 3, 3), dtype=np.bool_)


def fenced(fracture: Fracture, lattice: Lattice) -> Fracture:
    """Returns the fracture with fences on all loose components: bone of a fragment that does not touch its cut."""
    for margin in _MARGINS_MM:
        for _ in range(_ROUNDS):
            loose = _loose_components(fracture, lattice, margin)
            if not loose:
                break
            fracture = replace(fracture, fences=(*fracture.fences, *loose))
    return fracture


def _loose_components(fracture: Fracture, lattice: Lattice, margin_mm: float) -> list[Fence]:
    parts = fracture.parts(lattice.places, margin_mm)
    fences = []
    for fragment, mine in parts.items():
        whole = np.zeros(lattice.inside.shape, np.bool_)
        whole[lattice.inside] = mine
        number = ndimage.label(whole, _EVERYWHERE)[0][lattice.inside]
        sizes = np.bincount(number)
        sizes[0] = 0
        rooted = {int(number[k]) for k in _roots(fracture, fragment, lattice.places, mine)}
        if fragment == 0 or not rooted:
            rooted.add(int(np.argmax(sizes)))
        for component in np.flatnonzero(sizes):
            if int(component) not in rooted:
                others = {name: np.count_nonzero(part[number == component]) for name, part in parts.items() if name != fragment}
                fences.append(_fence(lattice.places[:, number == component], max(others, key=lambda name: others[name], default=0)))
    return fences


def _roots(fracture: Fracture, fragment: int, places: Points, mine: NDArray[np.bool_]) -> list[int]:
    """Returns which voxels of a fragment lie nearest to its side of its cuts."""
    own = np.flatnonzero(mine)
    roots = []
    for cut in fracture.cuts:
        for side, owner in ((-1, cut.behind), (1, cut.ahead)):
            if owner == fragment and len(own):
                beside = np.asarray(cut.site_mm) + side * _BESIDE_MM * np.asarray(cut.normal)
                roots.append(int(own[np.argmin(np.sum((places[:, own] - beside[:, None]) ** 2, axis=0))]))
    return roots


def _fence(component: Points, fragment: int) -> Fence:
    """Returns a fence in the middle of a component."""
    middle = component.mean(axis=1, keepdims=True)
    x, y, z = (float(n) for n in component[:, np.argmin(np.sum((component - middle) ** 2, axis=0))])
    return Fence((x, y, z), fragment)
