"""Synthetic necks: anatomy as functions of world coordinates, fractures, CT physics, the RSNA layout."""

from cspine.phantoms.ct.rendering import Rendering as Rendering
from cspine.phantoms.ct.rendering import render as render
from cspine.phantoms.model.neck import Neck as Neck
from cspine.phantoms.model.sampling import sample_neck as sample_neck
from cspine.phantoms.model.spread import BEYOND_LIFE as BEYOND_LIFE
from cspine.phantoms.model.spread import LIFE as LIFE
from cspine.phantoms.model.spread import Spread as Spread
from cspine.phantoms.model.variation import FINE as FINE
from cspine.phantoms.model.variation import HELD_OUT as HELD_OUT
from cspine.phantoms.model.variation import PRESETS as PRESETS
from cspine.phantoms.model.variation import TYPICAL as TYPICAL
from cspine.phantoms.model.variation import WIDE as WIDE
from cspine.phantoms.model.variation import Variation as Variation
