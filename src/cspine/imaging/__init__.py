"""Turns volumes into volumes: one way to sample, and what networks are fed."""

from cspine.imaging.sampling import around as around
from cspine.imaging.sampling import sample as sample
