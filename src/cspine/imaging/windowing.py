"""Hounsfield units as every network takes them."""

import numpy as np
from numpy.typing import NDArray


def windowed(hu: NDArray[np.floating], window_hu: tuple[float, float]) -> NDArray[np.float32]:
    """Returns 0..1 over a window; what lies outside is clipped."""
    low, high = window_hu
    return np.asarray(np.clip((hu - low) / (high - low), 0, 1), dtype=np.float32)
