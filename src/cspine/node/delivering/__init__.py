"""Brings results to archives: again and again until each has them, and once each."""
