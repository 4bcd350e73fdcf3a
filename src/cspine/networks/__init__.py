"""Keras architectures, and their settings as plain data that no framework is needed to list."""
