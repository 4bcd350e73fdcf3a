"""Measures how well a localiser finds and names vertebrae, on unseen phantoms and on real scans."""
