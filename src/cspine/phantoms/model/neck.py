"""One neck: everything that was sampled, frozen. :func:`cspine.phantoms.ct.rendering.render` makes an image of it."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import BACKGROUND, OTHER_BONE, Level
from cspine.geometry import Grid, Vector
from cspine.phantoms.model.changes import BoneChange
from cspine.phantoms.model.degeneration import Wear
from cspine.phantoms.model.hardware.devices import HardwareDevice
from cspine.phantoms.model.injuries import Injury, InjuryFacts, Sites
from cspine.phantoms.model.limbs import Limb
from cspine.phantoms.model.lookalikes import Lookalike, LookalikeFacts
from cspine.phantoms.model.posture import BonePose
from cspine.phantoms.model.proportions import Deformation, Proportions
from cspine.phantoms.model.scan_mask import ScanMask
from cspine.phantoms.model.shapes import Field, ImplicitShape, Points
from cspine.phantoms.model.tissue import Tissue

LABELS: dict[str, int] = {level.name: int(level) for level in Level} | {"T2": 9, "T3": 10}
"""Values in label maps; every other bone is :data:`cspine.anatomy.OTHER_BONE`."""


_LONGEST_TAIL_MM = 35.0

CARTILAGES = frozenset({"larynx"})
"""Sampled like bones, labelled as background."""


@dataclass(frozen=True, slots=True)
class Material:
    """Says what a bone is made of.

    Attributes:
        cortex_mm: Thickness of compact bone.
        cortex_hu: Compact bone.
        cancellous_hu: Spongy bone.
        roughness_hu: Standard deviation of the spongy bone's texture.
        seed: Which texture.
        arch_mm: From here backwards, along the bone's own y, it is arch.
        arch_gain: By how much compact bone is thicker there.
        plate_mm: From here up and down, along the bone's own z, compact bone is end plate.
        unevenness: Standard deviation of the thickness of compact bone from place to place, relative.
        grain_mm: Size of fine trabeculae.
        clumps_mm: Size of coarse ones.
        striation: By how much trabeculae are longer along the spine than across it.
        cortex_roughness_hu: Standard deviation of the density of compact bone from place to place.
    """

    cortex_mm: float
    cortex_hu: float
    cancellous_hu: float
    roughness_hu: float
    seed: int
    arch_mm: float = float("inf")
    arch_gain: float = 1.0
    plate_mm: float = float("inf")
    unevenness: float = 0.3
    grain_mm: float = 1.1
    clumps_mm: float = 3.5
    striation: float = 1.0
    cortex_roughness_hu: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """A smooth displacement of everything in a bone: a sum of waves, and a spinous process of another length and slope.

    Attributes:
        size_mm: Amplitudes, ``(k, 3)``.
        wave: Wave vectors in radians per mm, ``(k, 3)``.
        phase: Phases, ``(k,)``.
        tail_mm: From here backwards, along the bone's own y, lies the spinous process.
        longer: By what factor it is longer.
        lower: How far it sinks for each millimetre backwards.
    """

    size_mm: NDArray[np.float32]
    wave: NDArray[np.float32]
    phase: NDArray[np.float32]
    tail_mm: float = float("inf")
    longer: float = 1.0
    lower: float = 0.0

    @classmethod
    def none(cls) -> "Warp":
        """Returns a warp that moves nothing."""
        return cls(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), np.zeros(0, np.float32))

    @property
    def reach_mm(self) -> float:
        """Returns the farthest that anything can move."""
        waves = float(np.linalg.norm(self.size_mm, axis=1).sum())
        return waves + _LONGEST_TAIL_MM * (max(self.longer - 1, 0.0) + abs(self.lower)) * np.isfinite(self.tail_mm)

    def __call__(self, points: Points) -> Points:
        """Moves ``(3, ...)`` points to where their like lies in the shape."""
        if not len(self.phase):
            return points
        out = points.copy()
        if np.isfinite(self.tail_mm):
            behind = np.maximum(points[1] - np.float32(self.tail_mm), 0)
            behind = behind * behind / (behind + np.float32(4))  # bends, does not kink
            out[1] -= np.float32(1 - 1 / self.longer) * behind
            out[2] += np.float32(self.lower) * behind
        for size, wave, phase in zip(self.size_mm, self.wave, self.phase, strict=True):
            swing = np.sin(np.tensordot(wave, points, axes=1) + phase)
            for axis in range(3):
                out[axis] += size[axis] * swing
        return out

    def back(self, points: Points) -> Points:
        """Returns which ``(3, n)`` points are moved to these."""
        out = points
        for _ in range(4):
            out = out + points - self(out)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class PlacedBone:
    """A bone in the neck.

    Attributes:
        name: ``C1`` .. ``C7``, ``T1`` .. ``T3``, ``skull`` ...
        shape: Its shape in its own frame.
        pose: Where it lies.
        material: What it is made of.
        warp: How its shape differs from the anatomy's.
        deformation: What its parts are against one another, where that differs from the anatomy's too.
        injuries: What broke it.
        changes: What else sets it apart from its anatomy: spurs, channels, old fractures.
    """

    name: str
    shape: ImplicitShape = field(repr=False)
    pose: BonePose = field(repr=False)
    material: Material
    warp: Warp = field(repr=False)
    injuries: tuple[Injury, ...] = ()
    changes: tuple[BoneChange, ...] = ()
    deformation: Deformation | None = field(default=None, repr=False)

    @property
    def label(self) -> int:
        """Its value in a label map."""
        return BACKGROUND if self.name in CARTILAGES else LABELS.get(self.name, OTHER_BONE)

    def distance(self, own: Points) -> Field:
        """Returns signed distance to its surface at points ``(3, ...)`` of its own frame, its fragments where they lie now."""
        out = self.unbroken(own)
        spread = sum(injury.spread_mm for injury in self.injuries)
        if spread:
            # only what is near the bone as it was can be bone now
            flat = own.reshape(3, -1)
            near = np.flatnonzero(out <= spread + 0.5)
            now = flat[:, near]
            before = self.before(now)
            moved = np.flatnonzero((before != now).any(axis=0))
            out.reshape(-1)[near[moved]] = self.unbroken(before[:, moved])
        return out

    def before(self, own: Points) -> Points:
        """Returns where the bone now at ``(3, ...)`` points was before its injuries."""
        for injury in reversed(self.injuries):
            own = injury.undo(own)
        return own

    def unbroken(self, own: Points) -> Field:
        """Returns signed distance to its surface, as it was before its injuries."""
        distance = self.shape.distance(self.warp(self.at_rest(own)))
        for change in self.changes:
            distance = change.reshape(own, distance)
        return distance

    def at_rest(self, own: Points) -> Points:
        """Returns where ``(3, ...)`` points lie in the bone with the proportions of its anatomy."""
        return own if self.deformation is None else self.deformation.rest(own)

    def moved_sites(self, sites: Sites) -> Sites:
        """Returns sites of the anatomy's bone, where they lie in this one."""
        moved = sites.moved(self.warp.back)
        return moved if self.deformation is None else self.deformation.moved_sites(moved)

    @property
    def steepness(self) -> float:
        """Returns by what factor the deformation may make distances seem too large."""
        return 1.0 if self.deformation is None else self.deformation.steepness(*self.shape.box_mm())

    def box_mm(self) -> NDArray[np.float64]:
        """Returns world corners of a box that holds it, ``(8, 3)``."""
        low, high = self.shape.box_mm()
        spare = self.warp.reach_mm + sum(injury.spread_mm for injury in self.injuries)
        spare += max((change.spare_mm for change in self.changes), default=0.0)
        spare += 0.0 if self.deformation is None else self.deformation.reach_mm(low, high)
        corners = np.stack(np.meshgrid(*zip(low - spare, high + spare, strict=True), indexing="ij"), axis=-1).reshape(8, 3)
        return self.pose.to_world(corners)


@dataclass(frozen=True, slots=True, eq=False)
class Disc:
    """An intervertebral disc, and the ligaments around it.

    Attributes:
        low_mm: World middle of the body below.
        high_mm: World middle of the body above.
        radii_mm: Half its width and half its depth.
        hu: Its density.
    """

    low_mm: NDArray[np.float64]
    high_mm: NDArray[np.float64]
    radii_mm: tuple[float, float]
    hu: float


@dataclass(frozen=True, slots=True, eq=False)
class Neck:
    """A synthetic neck.

    Attributes:
        anatomy: Name of the anatomy whose shapes it has.
        bones: Its bones.
        discs: What is between the bodies.
        tissue: Everything else.
        joint_mm: The least space between two bones.
        fused: Names of bones, two and two, that grew together: no space is kept between them.
        wear: How worn it is.
        hardware: What is not the patient, rendered over everything.
        limbs: Arms and hands beside the neck.
        mask: What of the scan is kept, where the rest was set to -1024 HU.
        scale: The size of everything, against the millimetres in which all the above is given.
        proportions: Size of the whole and of its parts, where they were varied.
    """

    anatomy: str
    bones: tuple[PlacedBone, ...] = field(repr=False)
    discs: tuple[Disc, ...] = field(repr=False)
    tissue: Tissue = field(repr=False)
    joint_mm: float = 1.2
    fused: tuple[frozenset[str], ...] = ()
    wear: Wear | None = None
    hardware: tuple[HardwareDevice, ...] = field(default=(), repr=False)
    limbs: tuple[Limb, ...] = field(default=(), repr=False)
    mask: ScanMask | None = field(default=None, repr=False)
    scale: float = 1.0
    proportions: Proportions | None = None

    @property
    def injuries(self) -> tuple[InjuryFacts, ...]:
        """Returns the injuries, head to chest."""
        facts = [injury.facts for bone in self.bones for injury in bone.injuries]
        return tuple(sorted(facts, key=lambda fact: fact.level))

    @property
    def lookalikes(self) -> tuple[LookalikeFacts, ...]:
        """Returns what may be taken for a fracture and is not, head to chest."""
        facts = [change.facts for bone in self.bones for change in bone.changes if isinstance(change, Lookalike)]
        return tuple(sorted(facts, key=lambda fact: fact.level))

    @property
    def centres_mm(self) -> dict[str, Vector]:
        """Returns the world position of each vertebra's origin, by name."""
        out = {}
        for bone in self.bones:
            if bone.name in LABELS:
                x, y, z = (float(n) for n in self.scale * bone.pose.centre)
                out[bone.name] = (x, y, z)
        return out

    def bone(self, name: str) -> PlacedBone:
        """Returns the bone of that name; of several, the first."""
        return next(bone for bone in self.bones if bone.name == name)

    def with_bone(self, changed: PlacedBone) -> "Neck":
        """Returns the same neck, its bone of that name replaced."""
        return replace(self, bones=tuple(changed if bone.name == changed.name else bone for bone in self.bones))

    def scan_grid(self, spacing_mm: Vector, width_mm: float, above_mm: float = 25.0, below_mm: float = 25.0) -> Grid:
        """Returns upright slices from below C7 to above C1, ``width_mm`` wide, around the neck.

        Args:
            spacing_mm: Voxel distances, ``(z, y, x)``.
            width_mm: Width and depth of a slice.
            above_mm: How much is seen above the middle of C1.
            below_mm: How much is seen below the middle of C7.
        """
        centres = self.centres_mm
        low, high = centres["C7"][2] - below_mm, centres["C1"][2] + above_mm
        middle = np.mean([centres[f"C{n}"] for n in range(1, 8)], axis=0)
        z, y, x = (max(1, round(size / step)) for size, step in zip((high - low, width_mm, width_mm), spacing_mm, strict=True))
        return Grid.upright((middle[0], middle[1] - 12, (low + high) / 2), (z, y, x), spacing_mm)
