"""Runs the processes of a node and keeps them running."""
