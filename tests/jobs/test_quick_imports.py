"""Scipy is imported quickly, and nobody notices but by the clock."""

import subprocess
import sys

_CODE = """
import sys
from cspine.jobs.quick_imports import import_scipy
{before}
import_scipy()
loaded = "numpy.f2py" in sys.modules
import numpy as np
from scipy import ndimage, special
assert ndimage.label(np.eye(3))[1] == 3
assert ndimage.gaussian_filter(np.eye(5), 1).shape == (5, 5)
assert special.expit(0) == 0.5
assert np.ma.masked_less([1, 2], 2).count() == 1
assert np.testing.assert_allclose(1, 1) is None
assert np.f2py.__name__ == "numpy.f2py"
print(loaded)
"""

_NEEDY = """
import importlib.abc, importlib.util
import numpy
class Needy(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "scipy.ndimage":
            numpy.ma.masked  # as a version of scipy might
        return None
sys.meta_path.insert(0, Needy())
"""


def _printed(before: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", _CODE.format(before=before)], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_parts_of_numpy_that_nothing_uses_stay_unloaded_until_they_are_asked_for() -> None:
    assert _printed("") == "False"


def test_a_scipy_that_needs_one_of_them_is_imported_as_usual() -> None:
    assert _printed(_NEEDY) == "True"
