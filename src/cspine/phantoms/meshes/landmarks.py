"""Finds where a vertebra's own axes, body and canal lie, in its middle section."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import Level
from cspine.errors import AnatomyError
from cspine.geometry import Vector
from cspine.phantoms.meshes.anatomy import Body

_SMALLEST_MM2 = 12.0
_SECOND_BODY = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Solid:
    """A bone as voxels in the frame of its anatomy.

    Attributes:
        inside: Whether a voxel is bone, ``(z, y, x)``.
        first_mm: Where voxel 0 lies, ``(x, y, z)``.
        spacing_mm: Distance of voxels.
    """

    inside: NDArray[np.bool_]
    first_mm: Vector
    spacing_mm: float

    def axis_mm(self, axis: int) -> NDArray[np.float64]:
        """Returns coordinates along ``axis`` of the array."""
        return self.first_mm[2 - axis] + self.spacing_mm * np.arange(self.inside.shape[axis], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Section:
    """The middle section: what lies in front of the canal and what lies behind it, ``(z, y)``."""

    front: NDArray[np.bool_]
    back: NDArray[np.bool_]
    y_mm: NDArray[np.float64]
    z_mm: NDArray[np.float64]


def find_frame(solid: Solid, level: Level) -> NDArray[np.float64]:
    """Returns the vertebra's frame in the frame of its anatomy, ``(4, 4)``.

    Raises:
        AnatomyError: The middle section does not show a canal between one front and a back part.
    """
    section = _middle_section(solid, level)
    if level is Level.C1:
        origin, slope = _ring(section)
    elif level is Level.C2:
        origin, slope = _dens_and_body(section)
    else:
        origin, slope = _end_plates(section)
    cosine, sine = 1 / np.hypot(1, slope), slope / np.hypot(1, slope)
    frame = np.eye(4)
    frame[:3, 1] = 0, cosine, sine
    frame[:3, 2] = 0, -sine, cosine
    frame[:3, 3] = _middle_x(solid), *origin
    return frame


def measure(solid: Solid, level: Level) -> Body:
    """Returns the landmarks of a vertebra that is sampled in its own frame."""
    section = _middle_section(solid, level)
    rows = np.abs(section.z_mm) < 3
    front_y = section.y_mm[np.any(section.front[rows], axis=0)]
    depth = float(np.ptp(front_y)) + solid.spacing_mm if len(front_y) else 0.0
    wall = float(section.y_mm[np.any(section.front, axis=0)].max())
    lamina = float(section.y_mm[np.any(section.back, axis=0)].min())
    columns = np.abs(section.y_mm - _centroid(section.front, section)[0]) < 3
    height = float(np.ptp(section.z_mm[np.any(section.front[:, columns], axis=1)])) + solid.spacing_mm
    middle = _centroid(section.front, section)[0]
    width = float(np.median([_free_width(~solid.inside, solid, middle - share * depth) for share in (0.1, 0.2, 0.3)]))
    canal = _free_width(solid.inside, solid, (wall + lamina) / 2)
    x, y, z = (float(solid.axis_mm(2 - a)[np.nonzero(solid.inside)[2 - a]].mean()) for a in range(3))
    return Body((width, depth, height), (wall + lamina) / 2, (canal, lamina - wall), (x, y, z))


def _middle_x(solid: Solid) -> float:
    x = solid.axis_mm(2)[np.any(solid.inside, axis=(0, 1))]
    return float(x.min() + x.max()) / 2


def _middle_section(solid: Solid, level: Level) -> _Section:
    near = np.abs(solid.axis_mm(2) - _middle_x(solid)) <= 1.0
    bone = solid.inside[:, :, near].mean(axis=2) >= 0.5
    parts, count = ndimage.label(bone)
    y_mm, z_mm = solid.axis_mm(1), solid.axis_mm(0)
    smallest = _SMALLEST_MM2 / solid.spacing_mm**2
    large = [k for k in range(1, count + 1) if np.count_nonzero(parts == k) >= smallest]
    if len(large) < 2:
        raise AnatomyError(
            f"{level.name} needs a front and a back part with a canal between them in its middle section."
            f" Found {len(large)} part(s): check the axes, the scale and the level."
        )
    large.sort(key=lambda k: float(y_mm[np.nonzero(parts == k)[1]].mean()))
    section = _Section(parts == large[0], np.isin(parts, large[1:]), y_mm, z_mm)
    behind = y_mm[section.front.any(axis=0)].max()
    fronts = [k for k in large if y_mm[np.nonzero(parts == k)[1]].mean() < behind]
    if any(np.count_nonzero(parts == k) > _SECOND_BODY * np.count_nonzero(section.front) for k in fronts[1:]):
        raise AnatomyError(
            f"{level.name} must be one vertebra. Its middle section shows {len(fronts)} bodies: check its level,"
            " and give each level a file of its own."
        )
    return section


def _end_plates(section: _Section) -> tuple[tuple[float, float], float]:
    """Returns the centre of the body ``(y, z)`` and the mean slope of its end plates."""
    z, y = np.nonzero(section.front)
    points = np.stack([section.y_mm[y], section.z_mm[z]])
    centre = points.mean(axis=1)
    angle = 0.0
    for _ in range(6):  # front and back wall count as end plates until the body stands upright
        cosine, sine = np.cos(angle), np.sin(angle)
        along, up = np.array([[cosine, sine], [-sine, cosine]]) @ (points - centre[:, None])
        bins = np.round(along).astype(int)
        inner = [b for b in np.unique(bins) if np.quantile(along, 0.15) < b < np.quantile(along, 0.85)]
        edges = [[float(edge(up[bins == b])) for b in inner] for edge in (np.max, np.min)]
        angle += float(np.arctan(np.mean([np.polyfit(inner, edge, 1)[0] for edge in edges])))
    return (float(centre[0]), float(centre[1])), float(np.tan(angle))


def _dens_and_body(section: _Section) -> tuple[tuple[float, float], float]:
    """Returns the centre of the axis body, the lower half of its front part, and the slope at right angles to its length."""
    z, y = np.nonzero(section.front)
    points = np.stack([section.y_mm[y], section.z_mm[z]])
    _, vectors = np.linalg.eigh(np.cov(points))
    along = vectors[:, 1] * np.sign(vectors[1, 1])
    heights = along @ (points - points.mean(axis=1, keepdims=True))
    body = points[:, heights < np.quantile(heights, 0.5)]
    centre_y, centre_z = body.mean(axis=1)
    return (float(centre_y), float(centre_z)), float(-along[0] / along[1])


def _ring(section: _Section) -> tuple[tuple[float, float], float]:
    """Returns where the dens stands in the ring, and the slope of the ring."""
    (front_y, front_z), (back_y, back_z) = _centroid(section.front, section), _centroid(section.back, section)
    slope = (back_z - front_z) / (back_y - front_y)
    behind_arch = float(section.y_mm[section.front.any(axis=0)].max()) + 6.0
    return (behind_arch, front_z + slope * (behind_arch - front_y)), slope


def _centroid(part: NDArray[np.bool_], section: _Section) -> tuple[float, float]:
    z, y = np.nonzero(part)
    return float(section.y_mm[y].mean()), float(section.z_mm[z].mean())


def _free_width(blocked: NDArray[np.bool_], solid: Solid, y_mm: float) -> float:
    """Returns how far one can go left and right from the middle at depth ``y_mm``, near height 0, before meeting ``blocked``."""
    row = int(np.argmin(np.abs(solid.axis_mm(1) - y_mm)))
    level = np.abs(solid.axis_mm(0)) < 2.0
    x = solid.axis_mm(2)
    hit = x[np.any(blocked[level, row], axis=0)]
    left = hit[hit > 0].min() if np.any(hit > 0) else x.max()
    right = hit[hit < 0].max() if np.any(hit < 0) else x.min()
    return float(left - right)
