"""Sampling of a neck: every number, from one seeded generator."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Vector
from cspine.phantoms.meshes.anatomy import Anatomy, BoneShape, shipped_anatomies
from cspine.phantoms.model.degeneration import Wear, sample_degeneration, sample_wear
from cspine.phantoms.model.hardware.placement import add_hardware
from cspine.phantoms.model.head_displacement import displace_head
from cspine.phantoms.model.injuries import find_sites, sample_injuries
from cspine.phantoms.model.lookalikes import sample_lookalikes
from cspine.phantoms.model.neck import Disc, Material, Neck, PlacedBone, Warp
from cspine.phantoms.model.posture import CHAIN, BonePose, Joint, stack
from cspine.phantoms.model.prevertebral import sample_prevertebral_swelling
from cspine.phantoms.model.shapes import Sampled
from cspine.phantoms.model.skeleton import Skeleton, assemble
from cspine.phantoms.model.spread import Spread
from cspine.phantoms.model.surroundings import NECK_JOINT_MM, Junction, sample_surroundings
from cspine.phantoms.model.tissue import sample_tissue
from cspine.phantoms.model.variation import TYPICAL, Variation
from cspine.phantoms.model.varied import sample_varied

_CERVICAL = frozenset(level.name for level in CERVICAL)
_VERTEBRAE = tuple(name for name in CHAIN if name != "skull")

_MAIN_SHARE = 0.7
"""How often the complete shipped anatomy is sampled; the others share the rest."""

_ADULT = 0.92
"""Width and depth of a mean adult's vertebrae against the shipped ones."""


def sample_neck(
    rng: np.random.Generator, anatomy: Anatomy | None = None, *, fractured: Sequence[Level] = (), variation: Variation = TYPICAL
) -> Neck:
    """Samples one neck.

    Args:
        rng: The only source of random numbers.
        anatomy: Whose shapes it has; one of the shipped ones if ``None``.
        fractured: Which levels are fractured, once at least.
        variation: How far necks differ. The same ``rng`` gives the same neck with other variations but for what they vary.
    """
    chosen = sample_anatomy(rng) if anatomy is None else anatomy
    skeleton, varied = assemble(chosen), sample_varied(rng, variation, _VERTEBRAE)
    wear = sample_wear(rng)
    wear = wear if varied is None else varied.wear(wear)
    poses = _sample_posture(rng, skeleton, wear, variation.spread)
    poses = poses if varied is None else varied.settled(poses)
    material = _sample_material(rng, wear)
    lift_mm = float(rng.normal(0, 9))
    junction = Junction() if varied is None else varied.junction
    placed = sample_surroundings(rng, skeleton, poses, material, lift_mm, junction)
    spine = rng.normal((1.12, 0.0), (0.1, 0.1))
    for name in _VERTEBRAE:
        bone = skeleton.vertebrae[name]
        warp = _sample_warp(rng, bone, spine, variation.spread)
        deformation = None if varied is None else varied.deformation(name, bone)
        made = PlacedBone(name, Sampled(bone), poses[name], _vary(rng, material, bone), warp, deformation=deformation)
        if name in _CERVICAL:
            made = _sample_history(rng, made, bone, wear, broken=Level[name] in fractured)
        placed.append(made)
    placed = displace_head(placed)
    poses |= {bone.name: bone.pose for bone in placed if bone.name in poses}
    discs = _sample_discs(rng, poses, skeleton)
    tissue = sample_tissue(rng, poses, skeleton, lift_mm)
    joint_mm = float(np.clip(rng.normal(1.3, 0.3), 0.6, 1.8))
    fused = tuple(frozenset((name, f"C{int(name[1]) + 1}")) for name in wear.fused)
    tissue = sample_prevertebral_swelling(rng, tissue, placed)
    neck = add_hardware(rng, Neck(chosen.name, tuple(placed), discs, tissue, joint_mm, fused, wear))
    return neck if varied is None else varied.finished(neck, lift_mm)


def _sample_history(rng: np.random.Generator, bone: PlacedBone, shape: BoneShape, wear: Wear, *, broken: bool) -> PlacedBone:
    """Samples what life has done to a vertebra."""
    level = Level[bone.name]
    sites = bone.moved_sites(find_sites(level, shape))
    lookalikes = sample_lookalikes(rng, level, sites, broken=broken)
    worn = sample_degeneration(rng, wear, level, sites)
    injuries = sample_injuries(rng, level, sites) if broken else ()
    return replace(bone, injuries=injuries, changes=(*lookalikes, *worn))


def sample_anatomy(rng: np.random.Generator) -> Anatomy:
    """Samples one of the shipped anatomies."""
    main, *others = shipped_anatomies()
    return main if not others or rng.random() < _MAIN_SHARE else others[int(rng.integers(len(others)))]


def _sample_posture(rng: np.random.Generator, skeleton: Skeleton, wear: Wear, spread: Spread) -> dict[str, BonePose]:
    """Samples lordosis, lean and turn of the whole, shared among the joints, and a little of each joint's own."""
    size, slim, tall = rng.normal(1.0, spread.person)
    flexion, lean, turn = rng.normal((-9, 0, 0), (spread.flexion_deg, spread.lean_deg, spread.turn_deg))
    sizes, joints = {}, {}
    for name in CHAIN:
        own = rng.normal(1.0, spread.vertebra)
        height = skeleton.heights.get(name, _ADULT)
        sizes[name] = size * own * np.array([slim * _ADULT, _ADULT, tall * height])
        share = {"skull": 0.0, "T1": 0.0, "T2": 0.0, "T3": 0.0}.get(name, 1 / 7)
        angles = np.array([flexion, lean, turn * 0.3]) * share + rng.normal(0, spread.joint_deg)
        if name == "C1":
            angles[2] += turn * 0.7
        stretch = float(rng.normal(1.0, spread.stretch)) * wear.stretch(name)
        joints[name] = Joint(_vector(angles), stretch, _vector(rng.normal(0, spread.slip_mm)))
    head = size * rng.normal(_ADULT, 0.03)
    sizes["skull"] = head * rng.normal(1.0, 0.02, 3)
    # who nods at the neck keeps the eyes level
    joints["skull"] = Joint(_vector(np.array([-0.35 * flexion, 0.0, 0.0]) + rng.normal(0, (4, 1.5, 2))))
    joints["T3"] = Joint(_vector(np.array([12.0 - 0.5 * flexion, 0.0, 0.0]) + rng.normal(0, (5, 3, 3))))
    base = np.array([rng.normal(0, 6), rng.normal(0, 15), rng.uniform(-250, 150)])
    return stack(skeleton.steps | {"skull": _on_top()}, sizes, joints, _vector(base))


def _on_top() -> NDArray[np.float64]:
    step = np.eye(4)
    step[:3, 3] = NECK_JOINT_MM
    return step


def _sample_warp(rng: np.random.Generator, bone: BoneShape, spine: NDArray[np.float64], spread: Spread) -> Warp:
    """Samples a shape of its own; ``spine`` is the length and slope of this person's spinous processes."""
    count = 4
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    wave = direction * (2 * np.pi / rng.uniform(25, 60, (count, 1)))
    size = rng.normal(0, spread.warp_mm, (count, 3))
    phase = rng.uniform(0, 2 * np.pi, count).astype(np.float32)
    longer, lower = spine + rng.normal(0, (0.06, 0.06))
    tail_mm = bone.body.canal_mm + bone.body.canal_size_mm[1] / 2
    return Warp(size.astype(np.float32), wave.astype(np.float32), phase, tail_mm, float(np.clip(longer, 0.85, 1.45)), float(lower))


def _sample_material(rng: np.random.Generator, wear: Wear) -> Material:
    """Samples the bone of one person: density falls with age, and compact bone thins with it."""
    density = float(np.clip(rng.normal(1.07 - 0.2 * wear.share, 0.14), 0.55, 1.35))
    return Material(
        cortex_mm=float(np.clip(rng.normal(0.8, 0.14) * density**0.6, 0.35, 1.3)),
        cortex_hu=float(1480 * density**0.4 + rng.normal(0, 80)),
        cancellous_hu=float(max(60.0, 360 * density**2 + rng.normal(0, 40))),
        roughness_hu=float(rng.uniform(45, 110)),
        seed=int(rng.integers(1 << 20)),
    )


def _vary(rng: np.random.Generator, material: Material, bone: BoneShape) -> Material:
    """Samples a vertebra's own share of that bone."""
    body = bone.body
    return replace(
        material,
        cortex_mm=material.cortex_mm * float(rng.normal(1, 0.06)),
        cortex_hu=material.cortex_hu * float(rng.normal(1, 0.03)),
        cancellous_hu=material.cancellous_hu * float(rng.normal(1, 0.08)),
        seed=int(rng.integers(1 << 20)),
        arch_mm=body.canal_mm - body.canal_size_mm[1] / 2,
        arch_gain=float(rng.uniform(1.3, 2.0)),
        plate_mm=body.size_mm[2] / 2 - 1.5,
    )


def _sample_discs(rng: np.random.Generator, poses: dict[str, BonePose], skeleton: Skeleton) -> tuple[Disc, ...]:
    discs = []
    for below, above in pairwise(_VERTEBRAE):
        if above == "C1":
            continue
        body, size = skeleton.vertebrae[below].body.size_mm, poses[below].size
        half = (body[0] * float(size[0]) * 0.48, body[1] * float(size[1]) * 0.5)
        discs.append(Disc(poses[below].centre, poses[above].centre, half, float(rng.normal(95, 12))))
    return tuple(discs)


def _vector(numbers: NDArray[np.float64]) -> Vector:
    x, y, z = (float(n) for n in numbers)
    return x, y, z
