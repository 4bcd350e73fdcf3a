"""Synthetic necks: anatomy as functions of world coordinates, fractures, CT physics, the RSNA layout."""

from cspine.phantoms.drawing import draw_neck as draw_neck
from cspine.phantoms.neck import Neck as Neck
from cspine.phantoms.rendering import Rendering as Rendering
from cspine.phantoms.rendering import render as render
from cspine.phantoms.spread import BEYOND_LIFE as BEYOND_LIFE
from cspine.phantoms.spread import LIFE as LIFE
from cspine.phantoms.spread import Spread as Spread
