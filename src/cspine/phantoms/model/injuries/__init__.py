"""Fractures: what breaks, how it looks, where the fragments went.

An injury is a function in the bone's own frame. A renderer asks it where the bone that is now *here* was before
(:meth:`Injury.undo`), how much of a voxel the fracture line takes (:meth:`Injury.fracture_line`), and
how dense crushed bone became.
"""

from cspine.phantoms.model.injuries.facts import FractureLine as FractureLine
from cspine.phantoms.model.injuries.facts import Injury as Injury
from cspine.phantoms.model.injuries.facts import InjuryFacts as InjuryFacts
from cspine.phantoms.model.injuries.kinds import FREQUENCIES as FREQUENCIES
from cspine.phantoms.model.injuries.kinds import KINDS as KINDS
from cspine.phantoms.model.injuries.occurrence import sample_injuries as sample_injuries
from cspine.phantoms.model.injuries.occurrence import sample_injury as sample_injury
from cspine.phantoms.model.injuries.pieces import Fracture as Fracture
from cspine.phantoms.model.injuries.pieces import Piece as Piece
from cspine.phantoms.model.injuries.sites import Sites as Sites
from cspine.phantoms.model.injuries.sites import find_sites as find_sites
