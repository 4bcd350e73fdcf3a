"""Is a surface the vertebra that it is said to be? A wrong file, scale or direction is refused before necks are made of it."""

from itertools import pairwise

import numpy as np
from scipy import ndimage

from cspine.anatomy import CERVICAL, Level
from cspine.errors import AnatomyError
from cspine.phantoms.meshes.anatomy import BoneShape
from cspine.phantoms.meshes.distance import open_share
from cspine.phantoms.meshes.landmarks import Solid
from cspine.phantoms.meshes.surfaces import Surface

_STEP_MM = 1.0
_MOST_OPEN = 0.2
"""Surfaces that lack every twentieth triangle still give a good bone, and have 0.16."""

_SECOND_BONE = 0.3
_LONGEST_MM = (25.0, 150.0)
_LEAST_MM3 = 1000.0
_MOST_TILTED_DEG = 60.0

_SIZES_MM = {
    "body": ((11.0, 42.0), (9.0, 33.0), (7.0, 25.0)),
    "body of C2 with the dens": ((11.0, 42.0), (9.0, 33.0), (16.0, 58.0)),
}
"""Least and most of width, depth and height, of children and of large adults."""

_CANALS_MM = {Level.C1: (19.0, 50.0)}
_CANAL_MM = (7.0, 32.0)
_RISING_MM = 4.0
"""The spinous process of C3 to C7 never rises so far above the middle of its body; tips were seen 5 to 21 mm below."""


_OVERLAP_STEP_MM = 0.7
_DEEPEST_MM, _MOST_SHARED_MM3 = 1.0, 30.0
"""Neighbours in the shipped anatomies stay apart everywhere; rough surfaces that touch may share a little."""


def check_surface(surface: Surface, level: Level) -> None:
    """Refuses what is too small or too large for a vertebra, or not closed.

    Raises:
        AnatomyError: It is.
    """
    size = np.ptp(surface.points[surface.triangles.ravel()], axis=0)
    least, most = _LONGEST_MM
    if not least < size.max() < most:
        power = 10.0 ** round(np.log10(60 / size.max())) if size.max() > 0 else 1.0
        hint = f" ({power:g} times as large it would be one)" if least < power * size.max() < most else ""
        raise AnatomyError(
            f"{level.name} must be a closed surface of {least:g} to {most:g} mm. Received one of {_times(size)} mm{hint}:"
            f" check `scale_mm` in anatomy.toml."
        )
    share = open_share(surface, _STEP_MM)
    if share > _MOST_OPEN or abs(surface.volume) < _LEAST_MM3:
        raise AnatomyError(
            f"{level.name} must be a closed surface whose faces all point outwards. Received one of"
            f" {abs(surface.volume) / 1000:.2g} ml that {share:.0%} of lines enter and never leave: close holes, turn faces."
        )


def check_one_bone(solid: Solid, level: Level) -> None:
    """Refuses a surface that holds a second bone beside the first.

    Raises:
        AnatomyError: It does.
    """
    parts, _ = ndimage.label(solid.inside)
    sizes = np.sort(np.bincount(parts.ravel())[1:])[::-1]
    if len(sizes) > 1 and sizes[1] > _SECOND_BONE * sizes[0]:
        count = int(np.count_nonzero(sizes > _SECOND_BONE * sizes[0]))
        raise AnatomyError(
            f"{level.name} must be one bone. Its surface holds {count} apart from each other: give each level a file of its own."
        )


def check_vertebra(bone: BoneShape, solid: Solid, level: Level) -> None:
    """Refuses a bone whose body, canal or spinous process has not the size and place of its level.

    Args:
        bone: With its landmarks.
        solid: The same, in its own frame.
        level: What it is said to be.

    Raises:
        AnatomyError: It has not.
    """
    body, advice = bone.body, "check its axes, its scale and its level in anatomy.toml"
    if level is not Level.C1:
        name = "body of C2 with the dens" if level is Level.C2 else "body"
        limits = _SIZES_MM[name]
        if not all(low <= size <= high for size, (low, high) in zip(body.size_mm, limits, strict=True)):
            wanted = " x ".join(f"{low:g}..{high:g}" for low, high in limits)
            raise AnatomyError(
                f"{level.name} needs a {name} of {wanted} mm (width, depth, height). Received {_times(body.size_mm)} mm: {advice}."
            )
    low, high = _CANALS_MM.get(level, _CANAL_MM)
    if not low <= body.canal_size_mm[1] <= high:
        raise AnatomyError(
            f"{level.name} needs a canal {low:g}..{high:g} mm deep. Received {body.canal_size_mm[1]:.3g} mm: {advice}."
        )
    tilt = float(np.degrees(np.arccos(np.clip(bone.frame[2, 2], -1, 1))))
    if tilt > _MOST_TILTED_DEG:
        raise AnatomyError(
            f"{level.name} needs end plates that face up and down. Received some tilted by {tilt:.0f} degrees: {advice}."
        )
    if level >= Level.C3 and (rise := _tip_mm(solid)) > _RISING_MM:
        raise AnatomyError(
            f"The spinous process of {level.name} must point backwards or down. Received one that rises {rise:.0f} mm: {advice}."
        )


def check_order(vertebrae: dict[Level, BoneShape]) -> None:
    """Refuses neighbours in one frame of which the lower stands above the upper.

    Raises:
        AnatomyError: They do so.
    """
    steps = [
        (upper, np.subtract(vertebrae[upper].frame[:3, 3], vertebrae[lower].frame[:3, 3]))
        for upper, lower in pairwise(CERVICAL)
        if upper in vertebrae and lower in vertebrae
    ]
    if any(not 8 < np.linalg.norm(step) < 45 for _, step in steps):
        return  # each in a frame of its own
    for upper, step in steps:
        if step[2] < 0:
            raise AnatomyError(
                f"{upper.name} must stand above C{upper + 1}. It stands {-step[2]:.0f} mm below:"
                " check the axes and the names of the levels in anatomy.toml."
            )


def check_apart(vertebrae: dict[Level, BoneShape]) -> None:
    """Refuses neighbours in one frame that run through each other.

    Raises:
        AnatomyError: They do so.
    """
    faults = []
    for upper, lower in pairwise(CERVICAL):
        if upper not in vertebrae or lower not in vertebrae:
            continue
        pair = vertebrae[upper], vertebrae[lower]
        if not 8 < np.linalg.norm(np.subtract(pair[0].frame[:3, 3], pair[1].frame[:3, 3])) < 45:
            continue  # each in a frame of its own
        depth, volume = _overlap(*pair)
        if depth > _DEEPEST_MM and volume > _MOST_SHARED_MM3:
            faults.append(f"{upper.name} and {lower.name} share {volume / 1000:.2g} ml, {depth:.1f} mm deep")
    if faults:
        raise AnatomyError(
            f"Neighbours must not run through each other. {'; '.join(faults)}: leave one out of anatomy.toml, it is borrowed then,"
            " or mend the surfaces."
        )


def _overlap(upper: BoneShape, lower: BoneShape) -> tuple[float, float]:
    """Returns how deep two bones lie in each other, mm, and the volume that they share, cubic mm."""
    boxes = [bone.corners_mm() @ bone.frame[:3, :3].T + bone.frame[:3, 3] for bone in (upper, lower)]
    low, high = np.max([box.min(axis=0) for box in boxes], axis=0), np.min([box.max(axis=0) for box in boxes], axis=0)
    if np.any(high <= low):
        return 0.0, 0.0
    axes = [np.arange(a, b, _OVERLAP_STEP_MM) for a, b in zip(low, high, strict=True)]
    world = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    away = []
    for bone in (upper, lower):
        inverse = np.linalg.inv(bone.frame)
        away.append(bone.distance(inverse[:3, :3] @ world + inverse[:3, 3:]))
    both = np.maximum(*away)
    return max(0.0, -float(both.min())), float(np.count_nonzero(both < 0)) * _OVERLAP_STEP_MM**3


def _tip_mm(solid: Solid) -> float:
    """Returns the height of the hindmost bone near the middle."""
    k, j, i = np.nonzero(solid.inside)
    z, y, x = solid.axis_mm(0)[k], solid.axis_mm(1)[j], solid.axis_mm(2)[i]
    middle = np.abs(x) < 6
    if not middle.any():
        return 0.0
    tip = middle & (y >= np.quantile(y[middle], 0.97))
    return float(z[tip].mean())


def _times(values: object) -> str:
    return " x ".join(f"{value:.3g}" for value in np.asarray(values, dtype=np.float64))
