"""One whole neck that tests alter."""

from dataclasses import replace
from functools import cache

import numpy as np

from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.phantoms import TYPICAL, sample_neck
from cspine.phantoms.meshes.anatomy import shipped_anatomies
from cspine.phantoms.model.changes import BoneChange
from cspine.phantoms.model.injuries import Injury, Sites, find_sites
from cspine.phantoms.model.neck import Neck
from cspine.phantoms.model.surroundings import Teeth
from cspine.phantoms.model.variation import ProportionRanges


@cache
def plain_neck() -> Neck:
    """Returns a neck of the first anatomy without fractures, look-alikes, wear or hardware."""
    sampled = sample_neck(np.random.default_rng(11), shipped_anatomies()[0])
    bones = tuple(replace(bone, changes=tuple(c for c in bone.changes if isinstance(c, Teeth))) for bone in sampled.bones)
    return replace(sampled, bones=bones, hardware=())


def altered(level: Level, changes: tuple[BoneChange, ...] = (), injuries: tuple[Injury, ...] = ()) -> Neck:
    """Returns the same neck with one vertebra changed."""
    bone = plain_neck().bone(level.name)
    return plain_neck().with_bone(replace(bone, changes=changes, injuries=injuries))


def sites_of(level: Level) -> Sites:
    """Returns where the parts of the neck's vertebra lie."""
    return find_sites(level, shipped_anatomies()[0].vertebrae[level]).moved(plain_neck().bone(level.name).warp.back)


def around(level: Level, site_mm: tuple[float, float, float], spacing_mm: float = 0.5, voxels: int = 64) -> Grid:
    """Returns a cube of voxels around a place in a vertebra's own frame."""
    world = plain_neck().bone(level.name).pose.to_world(np.asarray(site_mm))
    return Grid.upright(world, (voxels,) * 3, (spacing_mm,) * 3)


def with_proportions(**values: float) -> Neck:
    """Returns a typical neck of which some proportions are fixed."""
    ranges = ProportionRanges(**{name: (value, value) for name, value in values.items()})  # type: ignore[arg-type]
    return sample_neck(np.random.default_rng(11), shipped_anatomies()[0], variation=replace(TYPICAL, proportions=ranges))


def with_others(**parts: object) -> Neck:
    """Returns a typical neck of which other parts vary."""
    varied = replace(TYPICAL, **parts)  # type: ignore[arg-type]
    return sample_neck(np.random.default_rng(11), shipped_anatomies()[0], variation=varied)
