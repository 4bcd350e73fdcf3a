"""Alterations of scans of intact necks, and what the shipped detector flags in them.

    python -m benchmarks.alterations SCAN... -o TABLE.md

An alteration is what another scanner, kernel, dose or export would have made of the same neck. No bone is edited, so whatever is
flagged in an altered scan of an intact neck is flagged wrongly.
"""
