"""Outlines thoracic vertebrae in scans of the chest, so that intact real bone can be trained on and fractured by `cspine graft`.

``python -m benchmarks.thoracic SCAN... -o FOLDER`` writes FOLDER/scans and FOLDER/masks: groups of five neighbouring vertebrae, a
part of the scan each, with a mask in which they are called C3 to C7, and any other bone 20. For patches bone is bone: a thoracic
vertebra has facets, laminae and veins as a cervical one has. FOLDER/NAME.png shows what was outlined; look at it.

The spinal canal is followed from slice to slice, discs are where the bodies before it are least dense, and from the bodies each
vertebra is flooded through dense bone first (watershed; Falcao et al. 2004).
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, signal

from cspine.anatomy import OTHER_BONE, Level
from cspine.errors import InputError, StudyError
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.phantoms.dataset.writing import write_labels
from cspine.reading import read_study
from cspine.volume import Volume

GROUP = 5
FIRST = Level.C3

_BONE_HU, _CANAL_HU = 160.0, (-40.0, 110.0)
_CANAL_MM2 = (90.0, 600.0)
_BODY_MM, _AHEAD_MM = (8.0, 7.0), 20.0
"""Half width and half depth of what is averaged of a body, and how far before the middle of the canal it lies."""

_DISC_MM, _PLATE_HU = 9.5, 15.0
"""End plates of one disc are no farther apart, and denser than what is around them by so much."""

_VESSEL_HU, _EVEN_HU, _VESSEL_MM3 = 140.0, 30.0, 15000.0
"""What is denser, more even and larger than this is no bone but a vessel with contrast."""

_FLOOD_HU = (700, 550, 450, 380, 320, 270, 230, 200, 180, 160)
_CANAL_MM = (9.0, 7.5)

_ASIDE_MM, _BEHIND_MM = (24.0, 32.0), 45.0
"""So far beside the canal bone belongs to a vertebra, before and behind it, and so far behind; ribs are beyond."""

_ARCH_SLOPE, _SURE_MM = 0.5, 4.0
"""How steeply arches and spinous processes sink, and how far from a disc's level a place behind the canal is surely known."""

_MARGIN_MM = 24.0
_BESIDE = ndimage.generate_binary_structure(3, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The middle of the spinal canal, slice by slice.

    Attributes:
        x: Column of each slice, fractional.
        y: Row of each slice.
        lean: By how many millimetres it comes forward for each millimetre upwards.
    """

    x: NDArray[np.float64] = field(repr=False)
    y: NDArray[np.float64] = field(repr=False)
    lean: NDArray[np.float64] = field(repr=False)


def main() -> int:
    """Writes parts of scans and their masks; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.thoracic", description=__doc__)
    parser.add_argument("scans", nargs="+", type=Path, metavar="SCAN", help="folder, zip or NIfTI file of a scan of the chest")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="where scans, masks and pictures go")
    options = parser.parse_args()
    try:
        for path in options.scans:
            groups = write_groups(path, options.out)
            sys.stdout.write(f"{path.name}: {len(groups)} groups of {GROUP} vertebrae: {', '.join(groups)}\n")
    except InputError as error:
        sys.stderr.write(f"benchmarks.thoracic: {error}\n")
        return 2
    return 0


def write_groups(path: Path, out: Path) -> list[str]:
    """Writes the groups of a scan, and returns their names.

    Raises:
        StudyError: The scan cannot be read, or shows too few whole vertebrae.
    """
    volume = read_study(path).volume.in_float32()
    volume = sample(volume, volume.grid.canonical())
    numbers = vertebrae(volume)
    whole = [number for number in range(1, int(numbers.max()) + 1) if np.any(numbers == number)]
    if len(whole) < GROUP:
        raise StudyError(f"{GROUP} whole vertebrae are needed. {path.name} shows {len(whole)}: give a longer scan of the chest.")
    name = path.name.removesuffix(".gz").removesuffix(".nii")
    for folder in ("scans", "masks"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    picture(volume, numbers).save(out / f"{name}.png")
    made = []
    for first in range(0, len(whole) - GROUP + 1, GROUP):
        labels = labels_of_group(volume, numbers, whole[first : first + GROUP])
        box = _around((labels > 0) & (labels < OTHER_BONE), volume.grid)
        grid = volume.grid.part([side.start for side in box], labels[box].shape)
        made.append(f"{name}-{first // GROUP + 1}")
        write_labels(out / "scans" / f"{made[-1]}.nii.gz", np.rint(volume.hu[box]).astype(np.int16), grid)
        write_labels(out / "masks" / f"{made[-1]}.nii.gz", labels[box], grid)
    return made


def vertebrae(volume: Volume) -> NDArray[np.uint8]:
    """Returns the number of the vertebra at each voxel of an upright scan, from the head; 0 elsewhere, and for cut ones."""
    bone = (ndimage.gaussian_filter(volume.hu, [0.3, 0.7, 0.7]) > _BONE_HU) & ~_vessels(volume)
    course = follow_canal(volume, bone)
    discs = find_discs(volume, course)
    if len(discs) < 2:
        raise StudyError(f"Discs are needed, to part the vertebrae at. Of this scan {len(discs)} were found: is it a chest?")
    height, ahead, aside = _coordinates(volume.grid, course)
    near = (np.abs(aside) < np.where(ahead > 0, *_ASIDE_MM)) & (ahead > -_BEHIND_MM) & (ahead < _AHEAD_MM + 14)
    solid = _filled(bone & near) & near & ~((np.abs(aside) < _CANAL_MM[0]) & (np.abs(ahead) < _CANAL_MM[1]) & ~bone)
    level = height + _ARCH_SLOPE * np.maximum(-ahead - _CANAL_MM[1], 0)  # arches sink to the back
    space = np.searchsorted(discs, level).astype(np.int16)  # 0 below the lowest disc
    borders = np.array([-np.inf, *discs, np.inf])
    sure = (ahead > _CANAL_MM[1]) | (np.minimum(level - borders[space], borders[space + 1] - level) > _SURE_MM)
    flooded = _flooded(np.where(solid & sure, space + 1, 0), solid, volume.hu)
    inside = (flooded > 1) & (flooded <= len(discs))  # above the lowest disc and below the highest
    return _largest_parts(np.where(inside, len(discs) + 1 - flooded, 0).astype(np.uint8))


def _flooded(markers: NDArray[np.signedinteger], solid: NDArray[np.bool_], hu: NDArray[np.float32]) -> NDArray[np.int16]:
    """Returns labels that have spread through what is solid, through the densest first."""
    (box,) = ndimage.find_objects(solid.astype(np.uint8))
    labels, within, dense = markers[box].astype(np.int16), solid[box], hu[box]
    for least in (*_FLOOD_HU, -np.inf):
        free = within & (dense > least) & (labels == 0)
        while free.any():
            wider = ndimage.grey_dilation(labels, footprint=_BESIDE)
            reached = free & (wider > 0)
            if not reached.any():
                break
            labels[reached] = wider[reached]
            free &= ~reached
    out = np.zeros(solid.shape, np.int16)
    out[box] = labels
    return out


def _vessels(volume: Volume) -> NDArray[np.bool_]:
    """Returns where there is contrast: dense, even and wide."""
    size = [max(1, round(4 / side)) for side in volume.grid.spacing_mm]
    mean = ndimage.uniform_filter(volume.hu, size)
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(volume.hu**2, size) - mean**2, 0))
    parts, _ = ndimage.label(ndimage.binary_opening((mean > _VESSEL_HU) & (spread < _EVEN_HU), iterations=2))
    sizes = np.bincount(parts.ravel()) * np.prod(volume.grid.spacing_mm)
    sizes[0] = 0
    return np.asarray(ndimage.binary_dilation((sizes > _VESSEL_MM3)[parts], iterations=5))


def _filled(bone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns bone with what it encloses in each slice: the spongy bone of bodies is not dense everywhere."""
    out = np.empty_like(bone)
    for plane, made in zip(bone, out, strict=True):
        closed = np.pad(ndimage.binary_closing(np.pad(plane, 3), iterations=3), 0)[3:-3, 3:-3]
        made[:] = plane | ndimage.binary_fill_holes(closed)
    return out


def follow_canal(volume: Volume, bone: NDArray[np.bool_]) -> Course:
    """Returns the course of the spinal canal: holes in bone of its size and density, on a smooth line."""
    z_mm, y_mm, x_mm = volume.grid.spacing_mm
    found = []
    for k, plane in enumerate(bone):
        closed = ndimage.binary_closing(plane, iterations=2)
        holes, count = ndimage.label(ndimage.binary_fill_holes(closed) & ~closed)
        for number in range(1, count + 1):
            hole = holes == number
            area, hu = hole.sum() * y_mm * x_mm, volume.hu[k][hole].mean()
            if _CANAL_MM2[0] < area < _CANAL_MM2[1] and _CANAL_HU[0] < hu < _CANAL_HU[1]:
                found.append((k, *ndimage.center_of_mass(hole)))
    if len(found) < 8:
        raise StudyError(f"A spinal canal is needed. In this scan {len(found)} slices show one: is it a chest?")
    k, y, x = np.array(found).T
    kept = np.ones(len(k), bool)
    for _ in range(6):
        lines = [np.polynomial.Polynomial.fit(k[kept], one[kept], 4) for one in (y, x)]
        off = np.hypot((lines[0](k) - y) * y_mm, (lines[1](k) - x) * x_mm)
        kept = off < max(4.0, 1.5 * float(np.median(off[kept])))
    slices = np.clip(np.arange(len(bone)), k[kept].min(), k[kept].max())
    lean = -lines[0].deriv()(slices) * y_mm / z_mm
    return Course(lines[1](slices), lines[0](slices), np.asarray(lean))


def find_discs(volume: Volume, course: Course) -> list[float]:
    """Returns the heights of discs along the spine, millimetres above the lowest slice, rising."""
    height, ahead, aside = _coordinates(volume.grid, course)
    body = (np.abs(aside) < _BODY_MM[0]) & (np.abs(ahead - _AHEAD_MM) < _BODY_MM[1])
    steps = np.arange(0.0, float(height[body].max()), 1.0)
    place = np.clip(np.rint(height[body]).astype(int), 0, len(steps) - 1)
    counts = np.bincount(place, minlength=len(steps))
    mean = np.bincount(place, volume.hu[body], len(steps)) / np.maximum(counts, 1)
    known = counts > 0
    profile = ndimage.gaussian_filter1d(np.interp(steps, steps[known], mean[known]), 1.0)
    plates, _ = signal.find_peaks(profile, prominence=_PLATE_HU)
    # two end plates with a disc between them, or one band where slices are thicker than the disc
    groups = np.split(steps[plates], np.flatnonzero(np.diff(steps[plates]) > _DISC_MM) + 1)
    return [float(group.mean()) for group in groups if len(group)]


def labels_of_group(volume: Volume, numbers: NDArray[np.uint8], group: Sequence[int]) -> NDArray[np.uint8]:
    """Returns a mask that calls some neighbours C3 to C7 from the head, and any other bone 20."""
    labels = np.where(ndimage.gaussian_filter(volume.hu, 0.5) > _BONE_HU, OTHER_BONE, 0).astype(np.uint8)
    labels[numbers > 0] = OTHER_BONE
    for place, number in enumerate(group):
        labels[numbers == number] = FIRST + place
    return labels


def picture(volume: Volume, numbers: NDArray[np.uint8]) -> Image.Image:
    """Returns a sagittal and a coronal section through the vertebrae, with what was outlined in colours."""
    middle = np.rint(np.argwhere(numbers > 0).mean(axis=0)).astype(int)
    parts = []
    for axis, size in ((2, volume.grid.spacing_mm[1]), (1, volume.grid.spacing_mm[2])):
        hu, found = (np.take(array, middle[axis], axis=axis)[::-1] for array in (volume.hu, numbers))
        grey = np.clip((hu + 200) / 1000, 0, 1)[..., None] * np.ones(3)
        colours = np.array([[0, 0, 0], [1, 0.3, 0.3], [0.3, 1, 0.3], [0.4, 0.5, 1]])[np.where(found > 0, 1 + found % 3, 0)]
        shown = np.where((found > 0)[..., None], 0.65 * grey + 0.35 * colours, grey)
        image = Image.fromarray((255 * shown).astype(np.uint8))
        parts.append(image.resize((round(hu.shape[1] * size * 2), round(hu.shape[0] * volume.grid.spacing_mm[0] * 2))))
    whole = Image.new("RGB", (sum(part.width for part in parts), max(part.height for part in parts)))
    whole.paste(parts[0], (0, 0))
    whole.paste(parts[1], (parts[0].width, 0))
    return whole


def _coordinates(grid: Grid, course: Course) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Returns of each voxel its height along the spine, and how far it is before and beside the canal, millimetres."""
    z_mm, y_mm, x_mm = grid.spacing_mm
    _, rows, columns = grid.shape
    ahead = (course.y[:, None] - np.arange(rows)) * y_mm
    aside = (np.arange(columns) - course.x[:, None]) * x_mm
    # planes across the spine rise to the front where the spine leans back
    height = np.arange(grid.shape[0])[:, None] * z_mm + ahead * course.lean[:, None]
    return (
        np.broadcast_to(height[:, :, None], grid.shape).astype(np.float32),
        np.broadcast_to(ahead[:, :, None], grid.shape).astype(np.float32),
        np.broadcast_to(aside[:, None, :], grid.shape).astype(np.float32),
    )


def _largest_parts(numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns each vertebra without pieces that lie apart from it, and with the small hollows in it."""
    out = np.zeros_like(numbers)
    for number, box in enumerate(ndimage.find_objects(numbers), 1):
        if box is not None:
            parts, _ = ndimage.label(numbers[box] == number)
            own = parts == int(np.argmax(np.bincount(parts.ravel())[1:])) + 1
            padded = ndimage.binary_closing(np.pad(own, 3), iterations=2)
            out[box][ndimage.binary_fill_holes(padded)[3:-3, 3:-3, 3:-3] & ((numbers[box] == 0) | own)] = number
    return out


def _around(where: NDArray[np.bool_], grid: Grid) -> tuple[slice, slice, slice]:
    (found,) = ndimage.find_objects(where.astype(np.uint8))
    spare = [int(np.ceil(_MARGIN_MM / side)) for side in grid.spacing_mm]
    z, y, x = (
        slice(max(one.start - more, 0), min(one.stop + more, n)) for one, more, n in zip(found, spare, grid.shape, strict=True)
    )
    return z, y, x


if __name__ == "__main__":
    sys.exit(main())
