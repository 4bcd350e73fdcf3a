"""Families that classify slices: what they learn from, how they are trained, what they predict."""
