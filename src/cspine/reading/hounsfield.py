"""Whether values can be Hounsfield units at all."""

import numpy as np
from numpy.typing import NDArray

from cspine.reading import limits
from cspine.reading.messages import Refusal

_SAMPLES = 200_000


def check_hounsfield(hu: NDArray[np.float32], place: str) -> None:
    """Looks at some hundred thousand voxels.

    Raises:
        PixelError: There is no air, no bone, or much that is denser than bone.
    """
    flat = hu.reshape(-1)
    some = flat[:: max(1, len(flat) // _SAMPLES) | 1]
    low, dense, high = (float(value) for value in np.percentile(some, (0, 95, 100)))
    found = f"they reach from {low:g} to {high:g}"
    if low > limits.DARKEST_MUST_BE_BELOW_HU:
        raise Refusal.NOT_HU.error(place=place, found=f"{found}, so there is no air")
    if high < limits.BRIGHTEST_MUST_BE_ABOVE_HU:
        raise Refusal.NOT_HU.error(place=place, found=f"{found}, so there is no bone")
    if dense > limits.NINETEEN_OF_TWENTY_MUST_BE_BELOW_HU:
        raise Refusal.NOT_HU.error(place=place, found=f"{found}, and many are denser than any bone")
