"""The sections that a radiologist looks at first, of a phantom or of a real scan: upright, the patient's right on the left."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid, Vector

Painter = Callable[[Grid], NDArray[np.generic]]
"""Makes an image on a grid: of a phantom ``lambda grid: render(neck, grid).volume.hu``, of a scan ``sample(volume, grid).hu``."""

_SIDE_MM = 19.0
"""Where the facets lie beside the middle."""

_AXIAL = ("C1", "C2", "C4", "C6")


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A section ready to be shown.

    Attributes:
        name: What it is, for instance ``axial C4``.
        image: Rows from the top, columns from the left, ``(rows, columns)``.
        millimetres: Side of a pixel.
    """

    name: str
    image: NDArray[np.generic] = field(repr=False)
    millimetres: float


def sections(painter: Painter, centres_mm: Mapping[str, Vector], width_mm: float = 160.0, pixel_mm: float = 0.5) -> list[View]:
    """Sagittal through the middle and the facets, coronal, and axial through C1, C2, C4 and C6.

    Args:
        painter: Makes the images.
        centres_mm: World positions of the vertebrae; only those named here are shown.
        width_mm: Width and height of each section.
        pixel_mm: Side of a pixel.
    """
    points = np.array([centres_mm[name] for name in sorted(centres_mm) if name.startswith("C")])
    middle = points.mean(axis=0)
    count = max(1, round(width_mm / pixel_mm))
    x, y, z = (float(n) for n in middle)
    square = (pixel_mm,) * 3
    forward = 5.0  # a little to the front of the bodies lies the throat, farther behind them nothing
    planes = [
        ("sagittal, middle", Grid.upright((x, y + forward, z), (count, count, 1), square)),
        ("sagittal, facets", Grid.upright((x + _SIDE_MM, y + forward, z), (count, count, 1), square)),
        ("coronal", Grid.upright((x, y, z), (count, 1, count), square)),
    ]
    for name in _AXIAL:
        if name in centres_mm:
            planes.append((f"axial {name}", Grid.upright((x, y + forward, centres_mm[name][2]), (1, count, count), square)))
    return [View(name, _upright(painter(grid), name), pixel_mm) for name, grid in planes]


def _upright(image: NDArray[np.generic], name: str) -> NDArray[np.generic]:
    if name.startswith("axial"):
        return image[0]
    flat = image[:, :, 0] if name.startswith("sagittal") else image[:, 0, :]
    return flat[::-1]
