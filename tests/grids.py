"""Grids for property tests."""

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cspine.geometry import Grid, Shape


@st.composite
def grids(draw: st.DrawFn, shape: Shape | None = None, *, shear: bool = True) -> Grid:
    """Returns any grid that a scanner could make: flipped, permuted, oblique, anisotropic, tilted."""
    size = shape or draw(st.tuples(*[st.integers(1, 9)] * 3))
    spacing = np.array(draw(st.tuples(*[st.floats(0.3, 4)] * 3)))
    flips = np.array(draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3)))
    order = draw(st.permutations([0, 1, 2]))
    angles = draw(st.tuples(*[st.floats(-30, 30)] * 3))
    tilt = draw(st.floats(-0.4, 0.4)) if shear else 0.0
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.eye(3)[:, order] * flips
    matrix[:, 0] += tilt * matrix[:, 1]
    affine = np.eye(4)
    affine[:3, :3] = matrix * spacing
    affine[:3, 3] = draw(st.tuples(*[st.floats(-100, 100)] * 3))
    return Grid(size, affine)
