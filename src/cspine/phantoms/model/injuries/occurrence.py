"""Samples what breaks, how often and how badly."""

import numpy as np

from cspine.anatomy import Level
from cspine.phantoms.model.injuries.draft import Draft
from cspine.phantoms.model.injuries.facts import Injury
from cspine.phantoms.model.injuries.fencing import fenced
from cspine.phantoms.model.injuries.kinds import FREQUENCIES, KINDS
from cspine.phantoms.model.injuries.severity import sample_severity
from cspine.phantoms.model.injuries.sites import Sites

_COUNTS = (0.62, 0.28, 0.10)
"""How often a fractured vertebra has one, two or three fractures; our choice."""

_APART_MM = 9.0
_SAME_PART = (
    frozenset({"jefferson", "anterior_arch", "posterior_arch", "lateral_mass"}),
    frozenset({"odontoid_type_1", "odontoid_type_2", "odontoid_type_3", "body"}),
    frozenset({"compression", "burst", "teardrop"}),
)
"""Kinds that would break each other's fragments."""


def sample_injuries(
    rng: np.random.Generator, level: Level, sites: Sites, severity: tuple[float, float] | None = None
) -> tuple[Injury, ...]:
    """Samples one to three fractures of different kinds; no fracture hides another.

    Args:
        rng: The only source of chance.
        level: The vertebra.
        sites: Its parts, in its own frame.
        severity: From where to where, 0 (a hairline) to 1; as often as in phantoms if ``None``.
    """
    shares = FREQUENCIES[level]
    count = int(rng.choice(len(_COUNTS), p=_COUNTS)) + 1
    chosen = rng.choice(list(shares), size=count, replace=False, p=list(shares.values()))
    sampled: list[Injury] = []
    for kind in chosen:
        share = None if severity is None else float(rng.uniform(*severity))
        injury = sample_injury(rng, level, sites, str(kind), share)
        if all(_compatible(injury, other) for other in sampled):
            sampled.append(injury)
    return tuple(sampled)


def sample_injury(rng: np.random.Generator, level: Level, sites: Sites, kind: str, severity: float | None = None) -> Injury:
    """Returns a fracture of a given kind.

    Args:
        rng: The only source of random numbers.
        level: The vertebra.
        sites: Its parts, in its own frame.
        kind: One of :data:`cspine.phantoms.model.injuries.kinds.KINDS` of the level.
        severity: 0 (a hairline) to 1; sampled if ``None``.
    """
    return fenced(KINDS[level][kind](Draft(rng, level, sites, sample_severity(rng, severity))), sites.lattice)


def _compatible(one: Injury, other: Injury) -> bool:
    kinds = {one.facts.kind, other.facts.kind}
    apart = float(np.linalg.norm(np.subtract(one.facts.site_mm, other.facts.site_mm))) > _APART_MM
    return apart and not any(kinds <= group for group in _SAME_PART)
