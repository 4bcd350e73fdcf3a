"""Necks as subjects of a scan."""

from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.phantoms.ct.rendering import render
from cspine.phantoms.dataset.rsna import Subject
from cspine.phantoms.meshes.anatomy import Anatomy, load_anatomy
from cspine.phantoms.model.hardware.placement import kinds
from cspine.phantoms.model.injuries import InjuryFacts
from cspine.phantoms.model.lookalikes import LookalikeFacts
from cspine.phantoms.model.neck import LABELS, Neck, PlacedBone
from cspine.phantoms.model.sampling import sample_neck

_IN_FRONT_MM = 12.0
"""The picture is centred before the spine, as airway and jaw lie there."""


def sample_subject(rng: np.random.Generator, fractured: tuple[bool, ...], anatomy: Path | None = None) -> Subject:
    """A neck with the given levels of C1..C7 fractured.

    Args:
        rng: Samples it.
        fractured: C1..C7.
        anatomy: A file of ``cspine anatomy build``, or ``None`` for one of those shipped.

    Raises:
        AnatomyError: The file is no anatomy.
    """
    broken = [level for level, is_broken in zip(CERVICAL, fractured, strict=True) if is_broken]
    neck = sample_neck(rng, None if anatomy is None else _anatomy(anatomy), fractured=broken)
    bones = {bone.name: bone for bone in neck.bones}
    middle = np.mean([neck.centres_mm[level.name] for level in CERVICAL], axis=0)
    return Subject(
        scene=partial(render, neck),
        fractured=fractured,
        centre_mm=middle - (0, _IN_FRONT_MM, 0),
        top_mm=float(bones["C1"].box_mm()[:, 2].max()),
        bottom_mm=float(bones["C7"].box_mm()[:, 2].min()),
        facts=partial(_facts, neck),
    )


@cache
def _anatomy(path: Path) -> Anatomy:
    return load_anatomy(path)


def _facts(neck: Neck, way_mm: NDArray[np.float64]) -> dict[str, Any]:
    """What ``truth.json`` tells about a neck."""
    vertebrae = {bone.name: bone for bone in neck.bones if bone.name in LABELS}
    return {
        "anatomy": neck.anatomy,
        "centres_mm": {name: np.add(centre, way_mm) for name, centre in sorted(neck.centres_mm.items())},
        "lookalikes": [_placed(fact, vertebrae[fact.level.name], way_mm) for fact in neck.lookalikes],
        "wear": neck.wear,
        "hardware": sorted(set(kinds(neck))),
        "injuries": [_told(fact, vertebrae[fact.level.name], way_mm) for fact in neck.injuries],
    }


def _placed(fact: LookalikeFacts, bone: PlacedBone, way_mm: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "level": Level(fact.level).name,
        "kind": fact.kind,
        "site_mm": bone.pose.to_world(np.asarray(fact.site_mm)) + way_mm,
        "size_mm": fact.size_mm,
    }


def _told(fact: InjuryFacts, bone: PlacedBone, way_mm: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "level": Level(fact.level).name,
        "kind": fact.kind,
        "side": fact.side,
        "site_mm": bone.pose.to_world(np.asarray(fact.site_mm)) + way_mm,
        "gap_mm": fact.gap_mm,
        "displacement_mm": fact.displacement_mm,
        "angulation_deg": fact.angulation_deg,
        "severity": fact.severity,
    }
