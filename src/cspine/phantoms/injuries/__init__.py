"""Fractures: what breaks, how it looks, where the fragments went.

An injury is a function in the bone's own frame. A renderer asks it where the bone that is now *here* was before
(:meth:`Injury.undo`), how much of a voxel the crack takes (:meth:`Injury.crack`), and how dense crushed bone became.
"""

from cspine.phantoms.injuries.drawing import draw_injuries as draw_injuries
from cspine.phantoms.injuries.drawing import draw_injury as draw_injury
from cspine.phantoms.injuries.facts import Crack as Crack
from cspine.phantoms.injuries.facts import Injury as Injury
from cspine.phantoms.injuries.facts import InjuryFacts as InjuryFacts
from cspine.phantoms.injuries.kinds import FREQUENCIES as FREQUENCIES
from cspine.phantoms.injuries.kinds import KINDS as KINDS
from cspine.phantoms.injuries.sites import Sites as Sites
from cspine.phantoms.injuries.sites import find_sites as find_sites
