"""Makes one copy of a scan: fractures or alters some of its vertebrae, and says what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Vector
from cspine.phantoms.graft.compositing import Edit, composite
from cspine.phantoms.graft.controls import Control, sample_controls
from cspine.phantoms.graft.fractures import FractureEdit, sample_fractures
from cspine.phantoms.graft.head import HeadMotion, move_head, move_labels
from cspine.phantoms.graft.image_quality import ImageQuality
from cspine.phantoms.graft.layers import Layers, part_layers
from cspine.phantoms.graft.outlining import RealBone
from cspine.phantoms.model.injuries.draft import vector
from cspine.volume import LabelMap, Volume

_COUNTS = (0.55, 0.3, 0.15)
"""How often a copy has one, two or three edited levels."""


class CopyKind(StrEnum):
    """Says what a copy of a scan is."""

    INTACT = "intact"
    GRAFT = "graft"
    CONTROL = "control"


@dataclass(frozen=True, slots=True, eq=False)
class GraftSource:
    """Holds a scan that fractures are put into.

    Attributes:
        volume: The scan, axial slices from feet to head.
        mask: Its vertebrae and other bone, on its grid.
        bones: The vertebrae that may be fractured.
        quality: How the scan shows things.
        values: The values that the scan has, where it has not every whole HU: what is edited has no others.
    """

    volume: Volume
    mask: LabelMap
    bones: Mapping[Level, RealBone]
    quality: ImageQuality
    values: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class EditFacts:
    """Holds what a truth table says about one edit.

    Attributes:
        level: The vertebra.
        kind: Of fracture, or of control.
        side: ``left``, ``right``, ``both`` or ``middle``; empty for a control.
        site_mm: Its middle, LPS.
        size_mm: Width of the gap, or of what the control changes.
        displacement_mm: How far the fragment that moved most went.
        angulation_deg: How far it turned.
        severity: 0 (a hairline) to 1; ``None`` for a control.
    """

    level: Level
    kind: str
    side: str
    site_mm: Vector
    size_mm: float
    displacement_mm: float
    angulation_deg: float
    severity: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """Holds a copy of a scan.

    Attributes:
        kind: What it is.
        hu: HU, ``(z, y, x)``; those of the scan wherever nothing was edited.
        labels: Its vertebrae and other bone.
        fractures: Level of each voxel at a fracture line.
        edited: Where anything was edited.
        facts: What was done.
    """

    kind: CopyKind
    hu: NDArray[np.float32] = field(repr=False)
    labels: NDArray[np.uint8] = field(repr=False)
    fractures: NDArray[np.uint8] = field(repr=False)
    edited: NDArray[np.bool_] = field(repr=False)
    facts: tuple[EditFacts, ...]

    @property
    def fractured(self) -> tuple[bool, ...]:
        """Returns which of C1..C7 are fractured."""
        broken = {fact.level for fact in self.facts if fact.severity is not None}
        return tuple(level in broken for level in CERVICAL)


def intact_copy(source: GraftSource) -> Copy:
    """Returns the scan itself."""
    shape = source.volume.grid.shape
    return Copy(CopyKind.INTACT, source.volume.hu, source.mask.labels, np.zeros(shape, np.uint8), np.zeros(shape, np.bool_), ())


def graft_copy(source: GraftSource, seed: np.random.SeedSequence, severity: tuple[float, float] | None = None) -> Copy:
    """Returns a copy with one to three levels fractured; all randomness comes from ``seed``."""
    rng = np.random.default_rng(seed)
    state = _State.of(source)
    for level in _chosen(source, rng):
        fractures = sample_fractures(rng, source.bones[level], severity)
        state.break_level(level, fractures, rng)
    return state.copy(CopyKind.GRAFT)


def control_copy(source: GraftSource, seed: np.random.SeedSequence) -> Copy:
    """Returns a copy with one to three levels altered and none fractured; all randomness comes from ``seed``."""
    rng = np.random.default_rng(seed)
    state = _State.of(source)
    for level in _chosen(source, rng):
        bone = source.bones[level]
        state.alter_level(level, sample_controls(rng, bone, bone.axes.T @ source.volume.grid.affine[:3, :3]), rng)
    return state.copy(CopyKind.CONTROL)


def _chosen(source: GraftSource, rng: np.random.Generator) -> list[Level]:
    """Samples one to three levels, head to chest: what C2 carries along is fractured before it."""
    levels = sorted(source.bones)
    count = min(int(rng.choice(len(_COUNTS), p=_COUNTS)) + 1, len(levels))
    return [levels[n] for n in sorted(rng.choice(len(levels), size=count, replace=False))]


@dataclass(slots=True, eq=False)
class _State:
    """Holds a copy while it is made."""

    source: GraftSource
    hu: NDArray[np.float32]
    labels: NDArray[np.uint8]
    fractures: NDArray[np.uint8]
    facts: list[EditFacts]

    @classmethod
    def of(cls, source: GraftSource) -> "_State":
        empty = np.zeros(source.volume.grid.shape, np.uint8)
        return cls(source, source.volume.hu.copy(), source.mask.labels.copy(), empty, [])

    def break_level(self, level: Level, fractures: Sequence[FractureEdit], rng: np.random.Generator) -> None:
        """Fractures a level; a dens that broke off carries atlas and head along."""
        bone, grid = self.source.bones[level], self.source.volume.grid
        layers = self._layers(bone, rng)
        volume, mask = Volume(self.hu, grid), LabelMap(self.labels, grid)
        heads = [head for edit in fractures if (head := HeadMotion.of(edit.fracture, bone, volume, mask)) is not None]
        for head in heads:
            layers = self._carry(head, layers, rng)
        self._composite(layers, bone, fractures, rng)
        self.facts.extend(_fracture_facts(bone, edit) for edit in fractures)

    def alter_level(self, level: Level, controls: Sequence[Control], rng: np.random.Generator) -> None:
        """Alters a level without fracturing it."""
        bone = self.source.bones[level]
        self._composite(self._layers(bone, rng), bone, controls, rng)
        self.facts.extend(_control_facts(bone, control) for control in controls)

    def _layers(self, bone: RealBone, rng: np.random.Generator) -> Layers:
        grid = self.source.volume.grid
        return part_layers(Volume(self.hu, grid), LabelMap(self.labels, grid), bone, self.source.quality, rng)

    def _carry(self, head: HeadMotion, layers: Layers, rng: np.random.Generator) -> Layers:
        """Moves the head, without the fractured bone, and returns the layers with the scene as it is then."""
        grid, level = self.source.volume.grid, head.bone.level
        own = self.labels == level
        self.hu[layers.box] = layers.scene
        self.hu = move_head(head, self.hu, grid, self.source.quality, rng)
        self.labels[own] = 0
        self.labels = move_labels(head, self.labels, grid)
        self.labels[own & (self.labels == 0)] = level
        self.fractures = move_labels(head, self.fractures, grid)
        self.facts = [replace(fact, site_mm=vector(head.place(np.array([fact.site_mm]))[0])) for fact in self.facts]
        return replace(layers, scene=self.hu[layers.box].copy())

    def _composite(self, layers: Layers, bone: RealBone, edits: Sequence[Edit], rng: np.random.Generator) -> None:
        found = composite(layers, bone, edits, self.source.quality, rng)
        self.hu[layers.box] = found.hu
        labels, fractures = self.labels[layers.box], self.fractures[layers.box]
        labels[layers.inside & ~found.inside] = 0
        labels[found.inside & ((labels == 0) | ~layers.inside)] = bone.level
        fractures[found.fracture] = bone.level

    def _stored(self, hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns HU ``(n,)`` as the scan keeps them: whole, or the nearest of its grey levels."""
        values = self.source.values
        if values is None:
            return np.asarray(np.rint(hu), dtype=np.float32)
        above = np.clip(np.searchsorted(values, hu), 1, len(values) - 1)
        return np.where(hu - values[above - 1] < values[above] - hu, values[above - 1], values[above])

    def copy(self, kind: CopyKind) -> Copy:
        """Returns the copy as it is now, in whole HU; what was not edited is the scan's own to the last bit."""
        edited = np.zeros(self.hu.shape, np.bool_)
        for here, now, scan in zip(edited, self.hu, self.source.volume.hu, strict=True):
            here[:] = np.rint(now) != scan
            now[~here] = scan[~here]
            now[here] = self._stored(now[here])
            here[:] = now != scan
        return Copy(kind, self.hu, self.labels, self.fractures, edited, tuple(self.facts))


def _fracture_facts(bone: RealBone, edit: FractureEdit) -> EditFacts:
    facts = edit.fracture.facts
    site = vector(bone.world(np.array(facts.site_mm)[:, None])[0])
    return EditFacts(
        bone.level, facts.kind, facts.side, site, facts.gap_mm, facts.displacement_mm, facts.angulation_deg, facts.severity
    )


def _control_facts(bone: RealBone, control: Control) -> EditFacts:
    site = vector(bone.world(np.array(control.facts.site_mm)[:, None])[0])
    moved = control.facts.size_mm if control.spread_mm else 0.0
    return EditFacts(bone.level, control.facts.kind, "", site, control.facts.size_mm, moved, 0.0, None)
