"""Samples what sets a neck apart from a typical one, from the ranges of a :class:`Variation`, and applies it."""

from dataclasses import dataclass, field, replace

import numpy as np

from cspine.anatomy import Level
from cspine.phantoms.meshes.anatomy import BoneShape
from cspine.phantoms.model.alterations import Cloud
from cspine.phantoms.model.degeneration import Wear, sample_wear
from cspine.phantoms.model.detail import with_detail
from cspine.phantoms.model.hardware.supports import sample_supports
from cspine.phantoms.model.injuries import find_sites
from cspine.phantoms.model.injuries.draft import vector
from cspine.phantoms.model.limbs import Limb, sample_arms, sample_hand
from cspine.phantoms.model.neck import Material, Neck, PlacedBone, Warp
from cspine.phantoms.model.posture import BonePose
from cspine.phantoms.model.proportions import Deformation, Hinges, Proportions
from cspine.phantoms.model.scan_mask import sample_scan_mask
from cspine.phantoms.model.shapes import Sampled
from cspine.phantoms.model.surroundings import Junction
from cspine.phantoms.model.variation import ProportionRanges, Range, Variation

_LEVEL_SHARE = 0.06
"""Standard deviation of a single spinous process's own length and height."""

_WORLD = BonePose(np.eye(3), np.ones(3), np.zeros(3))


@dataclass(frozen=True, slots=True, eq=False)
class Varied:
    """Holds what was sampled from a variation for one neck.

    Attributes:
        variation: Its ranges.
        size: The whole neck against a mean adult's.
        head: The head against the neck.
        proportions: What all vertebrae have in common.
        levels: Each vertebra's own, by name.
        junction: Skull and jaw at C1.
        atlas_mm: How far C1 and the skull are shifted to the left and to the back.
        streams: Random generators for wear, limbs, supports, view, sclerosis and joints.
        detail_stream: Random generator for the detail of bones.
    """

    variation: Variation
    size: float
    head: float
    proportions: Proportions
    levels: dict[str, Proportions] = field(repr=False)
    junction: Junction
    atlas_mm: tuple[float, float]
    streams: tuple[np.random.Generator, ...] = field(repr=False)
    detail_stream: np.random.Generator = field(repr=False)

    def wear(self, usual: Wear) -> Wear:
        """Returns how worn the neck is: as usual where the variation does not ask for more."""
        if self.variation.degeneration == _PLAIN.degeneration:
            return usual
        return sample_wear(self.streams[0], self.variation.degeneration)

    def settled(self, poses: dict[str, BonePose]) -> dict[str, BonePose]:
        """Returns the poses with the skull of its size, where it sank to."""
        skull, atlas = poses["skull"], poses["C1"]
        down = atlas.turn @ np.array([0.0, 0.0, -self.junction.settling_mm])
        aside = poses["C2"].turn @ np.array([*self.atlas_mm, 0.0])
        return poses | {
            "skull": BonePose(skull.turn, skull.size * self.head, skull.centre + down + aside),
            "C1": BonePose(atlas.turn, atlas.size, atlas.centre + aside),
        }

    def deformation(self, name: str, bone: BoneShape) -> Deformation | None:
        """Returns what sets the parts of a vertebra apart from its anatomy's; ``None`` where nothing does."""
        made = self.levels[name]
        if made == Proportions():
            return None
        level = Level[name] if name.startswith("C") else Level.C7
        hinges = Hinges.of(level, bone.body.canal_mm, bone.body.canal_size_mm[1], find_sites(level, bone))
        return Deformation(made, hinges)

    def finished(self, neck: Neck, lift_mm: float) -> Neck:
        """Returns the neck with what lies beside it, its mask and its size."""
        ranges, (_, limbs, supports, view, bodies, joints) = self.variation, self.streams
        if ranges.junction.joint_mm is not None:
            neck = replace(neck, joint_mm=float(joints.uniform(*ranges.junction.joint_mm)))
        if joints.random() < ranges.junction.assimilation_share:
            neck = replace(neck, fused=(*neck.fused, frozenset(("skull", "C1"))))
        neck = self._with_sclerosis(bodies, neck)
        neck = with_detail(self.detail_stream, neck, ranges.detail)
        neck = self._with_limbs(limbs, neck, lift_mm)
        neck = replace(neck, hardware=(*neck.hardware, *sample_supports(supports, neck, ranges.surroundings)))
        if view.random() < ranges.view.masked:
            heights = {name: place[2] for name, place in neck.centres_mm.items()}
            neck = replace(neck, mask=sample_scan_mask(view, heights))
        return replace(neck, scale=self.size, proportions=self.proportions)

    def _with_sclerosis(self, rng: np.random.Generator, neck: Neck) -> Neck:
        degeneration = self.variation.degeneration
        for name in ("C2", "C3", "C4", "C5", "C6", "C7"):
            wanted, gain = rng.random() < degeneration.sclerosis_share, float(rng.uniform(*degeneration.sclerosis_gain))
            bone = neck.bone(name)
            if wanted and isinstance(bone.shape, Sampled):
                half = bone.moved_sites(find_sites(Level[name], bone.shape.bone)).half_mm
                neck = neck.with_bone(replace(bone, changes=(*bone.changes, Cloud((0.0, 0.0, 0.0), vector(1.3 * half), gain))))
        return neck

    def _with_limbs(self, rng: np.random.Generator, neck: Neck, lift_mm: float) -> Neck:
        shares, limbs = self.variation.surroundings, list[Limb]()
        uniforms = rng.random(2)
        if uniforms[0] < shares.arms_up:
            limbs += sample_arms(rng, neck.bone("T1").pose.centre, lift_mm)
        if uniforms[1] < shares.hands:
            limbs.append(sample_hand(rng, neck.bone("C3").pose.centre))
        made = _long_bone(neck.bone("C7").material)
        bones = [PlacedBone(limb.kind, shape, _WORLD, made, Warp.none()) for limb in limbs for shape in limb.bones]
        return replace(neck, limbs=tuple(limbs), bones=(*neck.bones, *bones))


def sample_varied(rng: np.random.Generator, variation: Variation, names: tuple[str, ...]) -> Varied | None:
    """Samples what sets a neck apart; ``None`` where the variation asks for nothing.

    ``rng`` itself is not used up: what is sampled comes from streams spawned of it, one for each value.

    Args:
        rng: Random generator.
        variation: The ranges.
        names: The vertebrae.
    """
    if replace(variation, name="", spread=_PLAIN.spread) == _PLAIN:
        return None
    ranges = variation.proportions
    own, shared, levels, close, *streams = rng.spawn(10)
    size = float(np.exp(own.uniform(*np.log(ranges.size))))
    head = min(size, 1.0) ** -_uniform(own, ranges.head_exponent)
    values = {name: _uniform(stream, getattr(ranges, name)) for name, stream in zip(_AXES, shared.spawn(len(_AXES)), strict=True)}
    common = Proportions(**values)
    each = {name: _of_level(levels, common, ranges) for name in names}
    junction = _sample_junction(close, variation)
    detail, atlas = streams[-1].spawn(2)  # of a stream that was there before they were
    aside = (_uniform(atlas, variation.detail.atlas_mm), _uniform(atlas, variation.detail.atlas_mm))
    return Varied(variation, size, float(head), common, each, junction, aside, tuple(streams), detail)


def _sample_junction(rng: np.random.Generator, variation: Variation) -> Junction:
    ranges = variation.junction
    settling, basion, opisthion, back = (
        _uniform(rng, one) for one in (ranges.settling_mm, ranges.basion_mm, ranges.opisthion_mm, ranges.jaw_back_mm)
    )
    return Junction(settling, basion if rng.random() < ranges.clivus_share else None, opisthion, back)


def _of_level(rng: np.random.Generator, common: Proportions, ranges: ProportionRanges) -> Proportions:
    """Returns a vertebra's own proportions: what it does not share with its neighbours differs a little from level to level."""
    disc, length, height = rng.normal(0, 1, 3)
    return replace(
        common,
        disc_height=float(np.clip(common.disc_height + ranges.disc_height_level * disc, 0.35, 1.7)),
        spinous_length=common.spinous_length * _own(length, ranges.spinous_length),
        spinous_height=common.spinous_height * _own(height, ranges.spinous_height),
    )


def _own(deviate: float, ranges: Range) -> float:
    """Returns a level's own factor; 1 where the value is fixed."""
    return 1.0 if ranges[0] == ranges[1] else float(np.clip(1 + _LEVEL_SHARE * deviate, 0.85, 1.15))


def _uniform(rng: np.random.Generator, ranges: Range) -> float:
    return float(rng.uniform(*ranges))


def _long_bone(made: Material) -> Material:
    """Returns thick compact bone around marrow."""
    return replace(made, cortex_mm=3.5, cancellous_hu=min(made.cancellous_hu, 60.0), arch_mm=np.inf, plate_mm=np.inf)


_PLAIN = Variation(name="")
_AXES = tuple(name for name in Proportions.__dataclass_fields__)
