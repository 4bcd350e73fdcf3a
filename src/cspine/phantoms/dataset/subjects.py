"""Necks as subjects of a scan."""

from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.phantoms.ct.masking import beyond_mask
from cspine.phantoms.ct.rendering import render
from cspine.phantoms.dataset.rsna import Subject
from cspine.phantoms.meshes.anatomy import Anatomy, load_anatomy
from cspine.phantoms.model.hardware.placement import kinds
from cspine.phantoms.model.injuries import InjuryFacts
from cspine.phantoms.model.lookalikes import LookalikeFacts
from cspine.phantoms.model.neck import LABELS, Neck, PlacedBone
from cspine.phantoms.model.sampling import sample_neck
from cspine.phantoms.model.variation import PRESETS, TYPICAL, ViewShares

_IN_FRONT_MM = 12.0
"""The picture is centred before the spine, as airway and jaw lie there."""


def sample_subject(
    rng: np.random.Generator, fractured: tuple[bool, ...], anatomy: Path | None = None, variation: str = TYPICAL.name
) -> Subject:
    """Returns a neck with the given levels of C1..C7 fractured.

    Levels that the scan does not show are not fractured.

    Args:
        rng: Random generator.
        fractured: C1..C7.
        anatomy: A file of ``cspine anatomy build``, or ``None`` for one of those shipped.
        variation: How far necks and scans differ, a name of :data:`cspine.phantoms.PRESETS`.

    Raises:
        AnatomyError: The file is no anatomy.
    """
    preset = PRESETS[variation]
    shown = _sample_shown(rng, preset.view) if variation != TYPICAL.name else CERVICAL
    fractured = tuple(is_fractured and level in shown for level, is_fractured in zip(CERVICAL, fractured, strict=True))
    broken = [level for level, is_broken in zip(CERVICAL, fractured, strict=True) if is_broken]
    neck = sample_neck(rng, None if anatomy is None else _anatomy(anatomy), fractured=broken, variation=preset)
    bones = {bone.name: bone for bone in neck.bones}
    middle = np.mean([neck.centres_mm[level.name] for level in CERVICAL], axis=0)
    return Subject(
        scene=partial(render, replace(neck, mask=None)),
        fractured=fractured,
        centre_mm=middle - (0, _IN_FRONT_MM * neck.scale, 0),
        top_mm=neck.scale * float(bones["C1"].box_mm()[:, 2].max()),
        bottom_mm=neck.scale * float(bones["C7"].box_mm()[:, 2].min()),
        facts=partial(_facts, neck),
        limits_mm=_limits_mm(neck, shown),
        beyond=None if neck.mask is None else partial(beyond_mask, neck),
        scan=None if variation == TYPICAL.name else preset.scan,
    )


def _sample_shown(rng: np.random.Generator, shares: ViewShares) -> tuple[Level, ...]:
    """Samples which levels a scan shows; ``rng`` itself is not used up."""
    below, above = rng.spawn(1)[0].random(2)
    if below < shares.begins_below_c2:
        return CERVICAL[2:]
    return CERVICAL[:4] if above < shares.ends_at_c4 else CERVICAL


def _limits_mm(neck: Neck, shown: tuple[Level, ...]) -> tuple[float, float]:
    """Returns world z of the end plates where a scan begins and ends that does not show all levels."""
    centres = neck.centres_mm

    def between(above: Level) -> float:
        return (centres[above.name][2] + centres[Level(above + 1).name][2]) / 2

    low = -np.inf if shown[-1] is Level.C7 else between(shown[-1])
    return low, np.inf if shown[0] is Level.C1 else between(Level(shown[0] - 1))


@cache
def _anatomy(path: Path) -> Anatomy:
    return load_anatomy(path)


def _facts(neck: Neck, way_mm: NDArray[np.float64]) -> dict[str, Any]:
    """Returns what ``truth.json`` tells about a neck."""
    vertebrae = {bone.name: bone for bone in neck.bones if bone.name in LABELS}
    varied = {} if neck.proportions is None else {"size": neck.scale, **asdict(neck.proportions), "mask": neck.mask}
    return {
        **({"variation": varied} if varied else {}),
        "anatomy": neck.anatomy,
        "centres_mm": {name: np.add(centre, way_mm) for name, centre in sorted(neck.centres_mm.items())},
        "lookalikes": [_placed(fact, vertebrae[fact.level.name], neck.scale, way_mm) for fact in neck.lookalikes],
        "wear": neck.wear,
        "hardware": sorted(set(kinds(neck))),
        "injuries": [_facts_of(fact, vertebrae[fact.level.name], neck.scale, way_mm) for fact in neck.injuries],
    }


def _placed(fact: LookalikeFacts, bone: PlacedBone, scale: float, way_mm: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "level": Level(fact.level).name,
        "kind": fact.kind,
        "site_mm": scale * bone.pose.to_world(np.asarray(fact.site_mm)) + way_mm,
        "size_mm": scale * fact.size_mm,
    }


def _facts_of(fact: InjuryFacts, bone: PlacedBone, scale: float, way_mm: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "level": Level(fact.level).name,
        "kind": fact.kind,
        "side": fact.side,
        "site_mm": scale * bone.pose.to_world(np.asarray(fact.site_mm)) + way_mm,
        "gap_mm": scale * fact.gap_mm,
        "displacement_mm": scale * fact.displacement_mm,
        "angulation_deg": fact.angulation_deg,
        "severity": fact.severity,
    }
