"""Pictures and numbers of phantoms, beside real scans: ``python -m benchmarks.gallery OUT --data ../shared/data``."""
