"""Grafts and controls beside the scan that they were put into; a phantom stands in for the scan, so that no patient is shown."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.gallery import subjects
from benchmarks.gallery.planes import turned
from benchmarks.gallery.sheet import Row, Sheet
from cspine.anatomy import Level
from cspine.geometry import Grid, Vector
from cspine.imaging import sample
from cspine.phantoms import render
from cspine.phantoms.graft.compositing import Edit, composite
from cspine.phantoms.graft.controls import CONTROLS, sample_controls
from cspine.phantoms.graft.fractures import FractureEdit
from cspine.phantoms.graft.grafting import GraftSource
from cspine.phantoms.graft.image_quality import measure_quality
from cspine.phantoms.graft.layers import part_layers
from cspine.phantoms.graft.outlining import outline_bone
from cspine.phantoms.model.injuries import Fracture, sample_injury
from cspine.phantoms.model.injuries.sites import beside
from cspine.volume import LabelMap, Volume

_SHOWN = (
    (Level.C2, "odontoid_type_1", "sagittal"),
    (Level.C2, "body", "axial"),
    (Level.C2, "lamina", "axial"),
    (Level.C4, "teardrop", "sagittal"),
    (Level.C4, "burst", "axial"),
    (Level.C4, "spinous_process", "sagittal"),
)
_SEVERITIES = (0.3, 0.6, 0.95)
_SIDE_MM, _PIXEL_MM = 44.0, 0.4
_SEED = 5
_TRIED = 8
"""Controls of a kind, of which the two that show most are shown: most do not cross the section."""


def fractures() -> Sheet:
    """Kinds of fractures at three severities, each beside the scan."""
    rows = []
    for level, kind, plane in _SHOWN:
        bone = _source().bones[level]
        injuries = [sample_injury(np.random.default_rng(_SEED), level, bone.sites, kind, severity) for severity in _SEVERITIES]
        edits = [FractureEdit(injury) for injury in injuries if isinstance(injury, Fracture)]
        site = edits[0].fracture.facts.site_mm
        tiles = [_tile(_source().volume, level, site, plane)]
        tiles += [_tile(_edited(level, edit), level, site, plane) for edit in edits]
        captions = ["the scan", *(f"{one.facts.severity}: {one.facts.gap_mm:.1f} mm" for one in injuries)]
        rows.append(Row(f"{level.name} {kind.replace('_', ' ')}, {plane}", tiles, captions))
    return Sheet(rows)


def controls() -> Sheet:
    """Returns one control of each kind beside the scan."""
    level, rows = Level.C4, []
    bone = _source().bones[level]
    spacing = bone.axes.T @ _source().volume.grid.affine[:3, :3]
    rng = np.random.default_rng(_SEED)
    sampled = [control for _ in range(60) for control in sample_controls(rng, bone, spacing)]
    for kind in CONTROLS:
        pairs = []
        for control in [one for one in sampled if one.facts.kind == kind][:_TRIED]:
            site = control.facts.site_mm
            before, after = (_tile(volume, level, site, "axial") for volume in (_source().volume, _edited(level, control)))
            pairs.append((float(np.abs(after - before).sum()), before, after, f"{control.facts.size_mm:.1f} mm"))
        shown = sorted(pairs, key=lambda pair: -pair[0])[:2]
        tiles = [tile for _, before, after, _ in shown for tile in (before, after)]
        captions = [text for *_, size in shown for text in ("the scan", size)]
        rows.append(Row(kind.removeprefix("control_").replace("_", " "), tiles, captions))
    return Sheet(rows)


@cache
def _source() -> GraftSource:
    neck = subjects.bare(subjects.phantom(15))
    middle = beside(np.array(neck.centres_mm["C3"]), y=14.0, z=4.0)
    grid = Grid.upright(middle, (150, 220, 200), (0.8, 0.45, 0.45))
    volume, rendered = subjects.scanned(neck, grid, 0.35), render(neck, grid)
    mask = LabelMap(rendered.labels.labels, grid)
    bones = {level: outline_bone(mask, level, (0.0, 0.0, 1.0)) for level in (Level.C2, Level.C4)}
    return GraftSource(volume, mask, bones, measure_quality(volume, np.random.default_rng(0)))


def _edited(level: Level, edit: Edit) -> Volume:
    """Returns the scan with one edit of a vertebra."""
    source, rng = _source(), np.random.default_rng(_SEED)
    layers = part_layers(source.volume, source.mask, source.bones[level], source.quality, rng)
    hu = source.volume.hu.copy()
    hu[layers.box] = composite(layers, source.bones[level], [edit], source.quality, rng).hu
    return Volume(hu, source.volume.grid)


def _tile(volume: Volume, level: Level, site_mm: Vector, plane: str) -> NDArray[np.float32]:
    bone = _source().bones[level]
    centre = bone.world(np.asarray(site_mm)[:, None])[0]
    return turned(lambda grid: sample(volume, grid).hu, bone.axes, centre, plane, (_SIDE_MM, _SIDE_MM), _PIXEL_MM)
