"""Real scans and phantoms that the gallery shows."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.geometry import Grid, Vector
from cspine.imaging import sample
from cspine.phantoms import render, sample_neck
from cspine.phantoms.ct.scanner import Scanner, scan
from cspine.phantoms.meshes.anatomy import shipped_anatomies
from cspine.phantoms.model.injuries import Sites, find_sites
from cspine.phantoms.model.neck import Neck
from cspine.phantoms.model.shapes import Sampled
from cspine.phantoms.model.surroundings import Teeth
from cspine.reading import read_study
from cspine.volume import Volume

Painter = Callable[[Grid], NDArray[np.float32]]

FULL_HEAD_MM: dict[str, Vector] = {
    "C1": (-117.0, 145.0, -57.0),
    "C2": (-118.5, 144.0, -75.0),
    "C3": (-119.0, 149.0, -88.5),
    "C4": (-119.0, 152.5, -104.0),
    "C5": (-118.5, 155.0, -121.0),
}
"""Vertebral bodies of the FullHead scan (C1: the dens), read off by eye."""

WHOLE_SPINE_MM: Vector = (-5.0, -690.0, 240.0)
"""About C4 of the whole spine scan; its spine leans by the angle below."""

WHOLE_SPINE_LEAN_DEG = 27.0


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Something to look at.

    Attributes:
        name: Its caption.
        paint: HU on any grid.
        centres_mm: World positions of vertebrae.
        turns: Axes of vertebrae as columns, ``(3, 3)``, where they are known.
    """

    name: str
    paint: Painter
    centres_mm: dict[str, Vector]
    turns: dict[str, NDArray[np.float64]] = field(default_factory=dict)


def full_head(data: Path) -> Shown:
    """Returns a real scan of C1 to C5."""
    volume = read_study(data / "ct_fullhead" / "fullhead_HU.nii.gz").volume
    return Shown("real: FullHead", lambda grid: sample(volume, grid).hu, FULL_HEAD_MM)


def full_head_volume(data: Path) -> Volume:
    """Its voxels."""
    return read_study(data / "ct_fullhead" / "fullhead_HU.nii.gz").volume.in_float32()


def whole_spine(data: Path) -> Painter:
    """Returns a real scan of which only sagittal sections are usable: its slices lie farther apart than they say."""
    volume = read_study(data / "ct_sagittal_whole_spine" / "ct_sagittal_whole_spine.zip").volume
    return lambda grid: sample(volume, grid).hu


def phantom(seed: int, *fractured: Level, anatomy: int = 0) -> Neck:
    """Returns a neck with all that was sampled for it."""
    return sample_neck(np.random.default_rng(seed), shipped_anatomies()[anatomy], fractured=fractured)


def bare(neck: Neck) -> Neck:
    """Returns the same neck without look-alikes, wear, fractures and hardware."""
    bones = (replace(b, injuries=(), changes=tuple(c for c in b.changes if isinstance(c, Teeth))) for b in neck.bones)
    return replace(neck, bones=tuple(bones), hardware=())


def scanned(neck: Neck, grid: Grid, sharpness: float = 0.25, thickness_mm: float | None = None) -> Volume:
    """Returns what a scanner makes of a neck on a grid."""
    thick = grid.spacing_mm[0] if thickness_mm is None else thickness_mm
    noise_hu = 13 * 4.5**sharpness * (0.625 / thick) ** 0.5
    scanner = Scanner(0.45 + 0.5 * sharpness, 1.6 * sharpness, thick, noise_hu, 0.4, 5e-5, 0.006)
    parts = scan(lambda part: render(neck, part), grid, scanner, np.random.default_rng(0))
    return Volume(np.concatenate([part.hu for part in parts]), grid)


def scanned_like_full_head(neck: Neck, name: str, below_mm: float = 25.0) -> Shown:
    """Returns a phantom on voxels like those of the FullHead scan."""
    volume = scanned(neck, neck.scan_grid((1.5, 0.9375, 0.9375), 160.0, 30.0, below_mm))
    turns = {level: neck.bone(level).pose.turn for level in neck.centres_mm}
    return Shown(name, lambda grid: sample(volume, grid).hu, neck.centres_mm, turns)


def sites_of(neck: Neck, level: Level) -> Sites:
    """Returns where the parts of a neck's vertebra lie."""
    bone = neck.bone(level.name)
    if not isinstance(bone.shape, Sampled):
        raise TypeError(f"{level.name} is not a vertebra of an anatomy")
    return find_sites(level, bone.shape.bone).moved(bone.warp.back)
