"""Lists which parts of a vertebra break, and how often.

Only the order of the shares is known; the numbers are our choice. C1: posterior arch and burst (Jefferson) fractures are the most
frequent, lateral masses break least (Landells and Van Peteghem 1988). C2: of 340 fractures 59 % were of the dens, nearly all of
type II or III, 22 % hangman's and 20 % others (Greene et al. 1997). C3 to C7: in the NEXUS study (Goldberg et al. 2001) bodies
broke most often, then spinous processes, laminae and articular processes; C7 leads the RSNA 2022 labels, with its long spinous and
transverse processes. Rare and faint kinds are sampled more often than they occur, so that a network sees them.
"""

from collections.abc import Callable

from cspine.anatomy import Level
from cspine.phantoms.model.injuries import lower, upper
from cspine.phantoms.model.injuries.draft import Draft
from cspine.phantoms.model.injuries.pieces import Fracture

FractureKind = Callable[[Draft], Fracture]

_ATLAS: dict[str, FractureKind] = {
    "anterior_arch": upper.anterior_arch,
    "posterior_arch": upper.posterior_arch,
    "jefferson": upper.jefferson,
    "lateral_mass": upper.lateral_mass,
    "transverse_process": lower.transverse_process,
}
_AXIS: dict[str, FractureKind] = {
    "odontoid_type_1": upper.odontoid_tip,
    "odontoid_type_2": upper.odontoid_neck,
    "odontoid_type_3": upper.odontoid_body,
    "pars": upper.pars,
    "body": upper.axis_body,
    "teardrop": upper.axis_teardrop,
    "lateral_mass": upper.lateral_mass,
    "lamina": lower.lamina,
    "spinous_process": lower.spinous_process,
    "transverse_process": lower.transverse_process,
}
_SUBAXIAL: dict[str, FractureKind] = {
    "compression": lower.compression,
    "burst": lower.burst,
    "teardrop": lower.teardrop,
    "facet": lower.facet,
    "lateral_mass": lower.lateral_mass,
    "pedicle": lower.pedicle,
    "lamina": lower.lamina,
    "spinous_process": lower.spinous_process,
    "transverse_process": lower.transverse_process,
}

_UPPER_SHARES: dict[Level, tuple[float, ...]] = {
    Level.C1: (0.16, 0.33, 0.31, 0.14, 0.06),
    Level.C2: (0.02, 0.31, 0.21, 0.20, 0.07, 0.04, 0.06, 0.04, 0.03, 0.02),
    Level.C3: (0.08, 0.06, 0.11, 0.14, 0.18, 0.06, 0.16, 0.09, 0.12),
    Level.C4: (0.10, 0.09, 0.12, 0.14, 0.16, 0.06, 0.15, 0.08, 0.10),
    Level.C5: (0.12, 0.11, 0.12, 0.15, 0.14, 0.06, 0.14, 0.08, 0.08),
    Level.C6: (0.10, 0.08, 0.09, 0.16, 0.13, 0.05, 0.14, 0.16, 0.09),
    Level.C7: (0.08, 0.05, 0.05, 0.13, 0.10, 0.04, 0.12, 0.23, 0.20),
}

KINDS: dict[Level, dict[str, FractureKind]] = {Level.C1: _ATLAS, Level.C2: _AXIS} | dict.fromkeys(
    list(_UPPER_SHARES)[2:], _SUBAXIAL
)
"""What can break at a level."""

FREQUENCIES: dict[Level, dict[str, float]] = {
    level: dict(zip(KINDS[level], shares, strict=True)) for level, shares in _UPPER_SHARES.items()
}
"""How often it is that which breaks; sums to 1 at every level."""
