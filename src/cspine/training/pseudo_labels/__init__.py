"""Pseudo-labels: masks for studies that have none, from a network that was trained before, the teacher."""
