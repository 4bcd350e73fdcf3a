"""Holds what every family of networks shares: one loop, one run folder, one checkpoint, one export."""
