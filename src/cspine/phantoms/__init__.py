"""Synthetic necks: anatomy as functions of world coordinates, fractures, CT physics, the RSNA layout."""

from cspine.phantoms.drawing import draw_neck as draw_neck
from cspine.phantoms.neck import Neck as Neck
from cspine.phantoms.rendering import Rendering as Rendering
from cspine.phantoms.rendering import render as render
