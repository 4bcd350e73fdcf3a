"""Measures a node: whether it survives, and how fast it is."""
