"""Studies with masks as a localiser learns from them: on its grid, each voxel with what the mask lets one know of it."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import CERVICAL
from cspine.datasets import Case, load_mask
from cspine.datasets.cache import Cache
from cspine.datasets.checking import BONE_HU
from cspine.datasets.masks import centroids_mm, without_small_components
from cspine.geometry import Grid, Shape
from cspine.imaging import sample
from cspine.imaging.windowing import windowed
from cspine.locating.sliding_window import sliding_windows
from cspine.reading import read_study
from cspine.specs import VolumeSpec
from cspine.training.core.marks import LIMIT_BYTES, LabelledImage, let_be_open
from cspine.training.localiser.pool import UNKNOWN_CLASS, UNNAMED_CLASS, Windows, classes_of
from cspine.volume import LabelMap, Volume

_FORMAT = 1
_EVERY_SIDE = np.ones((3, 3, 3), dtype=bool)
_MARROW_MM = 5.0
"""Gaps of bone up to twice this wide are closed."""

_MARROW_CM2 = 12.0
"""What a ring of bone encloses on a slice is marrow, or a canal, up to this area; a skull encloses more."""


def masked_images(
    cases: Iterable[Case], shape: Shape, spec: VolumeSpec, cache: Path, tell: Callable[[str], None]
) -> list[LabelledImage]:
    """Returns pictures of studies with masks, from ``cache`` where they were made before.

    Args:
        cases: Studies, all with masks.
        shape: Voxels of a picture, ``(z, y, x)``.
        spec: The grid of the network.
        cache: Where pictures are kept.
        tell: Receives the progress.

    Raises:
        InputError: A study or a mask cannot be read.
        OutputError: ``cache`` cannot be written, or so many files may not be open.
    """
    kept, given, images = Cache(cache, LIMIT_BYTES), list(cases), []
    let_be_open(2 * len(given))
    for number, case in enumerate(given, 1):
        if case.mask is None:
            continue
        tell(f"mask {number} of {len(given)}")
        source = kept.content([*sorted(case.images.iterdir()), case.mask])
        made = {"masked": _FORMAT, "shape": shape, "spacing_mm": spec.spacing_mm}
        found = kept.arrays(source, made, lambda case=case, mask=case.mask: _pictures(case, mask, shape, spec))  # type: ignore[misc]
        images += [LabelledImage(hu, classes) for hu, classes in zip(found["hu"], found["classes"], strict=True)]
    return images


def patient_windows(images: Sequence[LabelledImage], spec: VolumeSpec) -> Windows:
    """Returns windows along the middle of pictures, as they are: what epochs are evaluated on."""
    found = []
    for image in images:
        middle = (slice(None), *(_middle(room, side) for room, side in zip(image.hu.shape[1:], spec.size[1:], strict=True)))
        hu, classes = image.hu[middle], image.classes[middle]
        depth, rows, columns = hu.shape
        for window in sliding_windows((depth, rows, columns), spec.size):
            found.append((windowed(hu[window].astype(np.float32), spec.window_hu), np.array(classes[window])))
    return found


def picture_grids(scan: Grid, mask: LabelMap, shape: Shape, spec: VolumeSpec) -> list[Grid]:
    """Returns boxes around the spine from one end of a scan to the other, each over half of the next, at most."""
    centres = [centre for level, centre in centroids_mm(mask).items() if level in CERVICAL]
    x, y, _ = np.mean(centres, axis=0)
    heights = scan.corners_mm()[:, 2]
    low, high = float(heights.min()), float(heights.max())
    length = shape[0] * spec.spacing_mm[0]
    spare = max(high - low - length, 0.0)
    middle = (low + high) / 2
    places = np.linspace(middle - spare / 2, middle + spare / 2, 1 + int(np.ceil(spare / (length / 2))))
    return [Grid.upright((x, y, z), shape, spec.spacing_mm) for z in places]


def known_classes(mask: LabelMap, picture: Volume) -> NDArray[np.uint8]:
    """Returns what is known of each voxel of a picture, ``(z, y, x)``.

    What the mask names has its class. Elsewhere soft tissue and air are background. What is as dense as bone there is none of
    C1..C7, unless the mask leaves some of these out: between the neighbours of a level that it does not name, or beyond the last
    that it names, such a voxel may be anything. So may all that the mask's own picture does not hold.

    Args:
        mask: Where it lies in the world.
        picture: Upright, slices from feet to head.
    """
    labels = sample(mask, picture.grid).labels
    classes = classes_of(labels)
    classes[_bare_bone(labels, picture)] = UNNAMED_CLASS
    heights = {level: float(picture.grid.index(centre)[0]) for level, centre in centroids_mm(mask).items()}
    height = np.arange(len(classes))[:, None, None]
    for missing in (level for level in CERVICAL if level not in heights):
        above = max((level for level in heights if level < missing), default=None)
        below = min((level for level in heights if level > missing), default=None)
        between = (height < (np.inf if above is None else heights[above])) & (
            height > (-np.inf if below is None else heights[below])
        )
        classes[between & (classes == UNNAMED_CLASS)] = UNKNOWN_CLASS
    classes[~_held(mask.grid, picture.grid)] = UNKNOWN_CLASS
    return classes


def _pictures(case: Case, path: Path, shape: Shape, spec: VolumeSpec) -> dict[str, NDArray[Any]]:
    volume, mask = read_study(case.images).volume, without_small_components(load_mask(path))
    pictures, classes = [], []
    for grid in picture_grids(volume.grid, mask, shape, spec):
        picture = sample(volume, grid)
        known = known_classes(mask, picture)
        known[~_held(volume.grid, grid)] = 0
        pictures.append(np.clip(np.rint(picture.hu), -2048, 8000).astype(np.int16))
        classes.append(known)
    return {"hu": np.stack(pictures), "classes": np.stack(classes)}


def _bare_bone(labels: NDArray[np.uint8], picture: Volume) -> NDArray[np.bool_]:
    """Returns what is as dense as bone and has no label, with its marrow, but no rim of partial volume around a label."""
    bare = (picture.hu > BONE_HU) & (labels == 0)
    bone = bare & ~ndimage.binary_dilation(labels > 0, _EVERY_SIDE)
    dz, dy, dx = picture.grid.spacing_mm
    reach = max(round(_MARROW_MM / max(dz, dy, dx)), 1)
    closed = bone | ndimage.binary_closing(bone, _EVERY_SIDE, iterations=reach)
    most = _MARROW_CM2 * 100 / (dy * dx)
    for number, ring in enumerate(closed):
        holes, count = ndimage.label(ndimage.binary_fill_holes(ring) & ~ring)
        if count:
            sizes = np.bincount(holes.ravel())
            sizes[0] = 0
            closed[number] |= ((sizes > 0) & (sizes <= most))[holes]
    found: NDArray[np.bool_] = (bare | closed) & (labels == 0)
    return found


def _held(scan: Grid, grid: Grid) -> NDArray[np.bool_]:
    """Returns which voxels of a grid lie in a scan."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return scan.contains(grid.world(index))


def _middle(room: int, side: int) -> slice:
    first = max(room - side, 0) // 2
    return slice(first, first + side)
