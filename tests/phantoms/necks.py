"""One whole neck that tests alter."""

from dataclasses import replace
from functools import cache

import numpy as np

from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.phantoms import draw_neck
from cspine.phantoms.anatomy import shipped_anatomies
from cspine.phantoms.changes import Change
from cspine.phantoms.injuries import Injury, Sites, find_sites
from cspine.phantoms.neck import Neck
from cspine.phantoms.surroundings import Teeth


@cache
def plain_neck() -> Neck:
    """A neck of the first anatomy without fractures, look-alikes, wear or hardware."""
    drawn = draw_neck(np.random.default_rng(11), shipped_anatomies()[0])
    bones = tuple(replace(bone, changes=tuple(c for c in bone.changes if isinstance(c, Teeth))) for bone in drawn.bones)
    return replace(drawn, bones=bones, hardware=())


def altered(level: Level, changes: tuple[Change, ...] = (), injuries: tuple[Injury, ...] = ()) -> Neck:
    """The same neck with one vertebra changed."""
    bone = plain_neck().bone(level.name)
    return plain_neck().with_bone(replace(bone, changes=changes, injuries=injuries))


def sites_of(level: Level) -> Sites:
    """Where the parts of the neck's vertebra lie."""
    return find_sites(level, shipped_anatomies()[0].vertebrae[level]).moved(plain_neck().bone(level.name).warp.back)


def around(level: Level, site_mm: tuple[float, float, float], spacing_mm: float = 0.5, voxels: int = 64) -> Grid:
    """A cube of voxels around a place in a vertebra's own frame."""
    world = plain_neck().bone(level.name).pose.to_world(np.asarray(site_mm))
    return Grid.upright(world, (voxels,) * 3, (spacing_mm,) * 3)
