"""Scans that deserve to be refused: for each reason a function that makes one and returns its path."""

from tests.reading.refused import geometry, nifti_files, pixels, places, series
from tests.reading.refused.cases import Cases

CASES = Cases(places.CASES | series.CASES | geometry.CASES | pixels.CASES | nifti_files.CASES)
