"""Finds where each vertebra ends: a second network predicts crops around those that were located, on finer voxels.

In short::

    fine = refine(volume, located, spec, session)
    fine.located             # a Located as before: finer labels around C1..C7, centres and boxes from them
    fine.labels_on(grid)     # the labels on any grid, for instance the scan's own

``volume`` is the scan, however it is stored; ``located`` comes from :func:`cspine.locating.locate_levels`; ``spec`` is a
:class:`cspine.specs.RefinerSpec`; ``session`` runs the network: input ``(n, z, y, x, 3)``, output ``vertebra`` ``(n, z, y, x, 3)``:
background, this vertebra, other bone.

Every vertebra that was located is refined, those of uncertain names too: where a vertebra ends does not depend on what it is
called. Names, confidence, status, axes and the line stay; T1 and other bone stay as coarse as they were. A vertebra of which the
second network sees next to nothing keeps its coarse voxels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import BACKGROUND, CERVICAL, Level
from cspine.geometry import Grid, Shape, Vector
from cspine.imaging import sample
from cspine.imaging.crops import crop_input, guide_grid
from cspine.locating.dens import give_dens_back
from cspine.locating.located import Located, Vertebra
from cspine.locating.magnifying import magnified_grid, magnified_labels, magnified_located
from cspine.results import Box, LevelStatus
from cspine.runtime import Session
from cspine.specs import RefinerSpec
from cspine.volume import LabelMap, Volume

_SURE = 0.5
"""A voxel that is less likely a vertebra's than that is not."""

_BARELY = 0.51
"""How likely what others say is a vertebra's: between voxels it ends where they do."""

_TAILS = (1.0, 99.0)
"""Percentiles between which a vertebra's middle is sought: a few stray voxels do not move it."""

_FADED = 0.25
"""A vertebra that keeps less of its coarse size was not seen by the second network."""

_SMALL_COMPONENT = 0.04
"""Of a vertebra: less than this, more than a gap away from the rest, is none of it. Masses, arches and fragments are more."""

_CUT_OFF, _MOVED_MM = 0.004, 5.0
"""A vertebra with more of it at the sides of its crop than that, whose middle lies farther off the crop's, is predicted again."""

_DENSE = 0.6
"""Of the median density of vertebrae: bone that is denser is no gap between two of them."""

_EVERY_SIDE = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, slots=True, eq=False)
class RefinedCrop:
    """One vertebra with its borders.

    Attributes:
        level: Which one.
        probability: How likely each voxel is its, 0..1, ``(z, y, x)``, as the network predicts.
        grid: Upright.
    """

    level: Level
    probability: NDArray[np.float32]
    grid: Grid


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """Vertebrae with their borders.

    Attributes:
        located: What was located; its labels are fine and reach around C1..C7 alone.
        crops: Each of its vertebrae.
        coarse: The labels before, of the whole scan.
    """

    located: Located
    crops: tuple[RefinedCrop, ...]
    coarse: LabelMap

    def labels_on(self, grid: Grid) -> LabelMap:
        """Returns the labels on another grid, for instance that of the scan.

        Probabilities are interpolated, so borders lie between voxels too. Beside the labels, memory holds the box of C1..C7 alone.
        """
        labels = sample(_without(self.coarse, [crop.level for crop in self.crops]), grid).labels
        owned = [_owned(crop, self.located.labels) for crop in self.crops]
        parts = [(crop, box) for crop in owned if (box := _box_on(grid, _holding(crop))) is not None]
        if parts:
            low, high = (np.array([[getattr(side, end) for side in box] for _, box in parts]) for end in ("start", "stop"))
            start = low.min(axis=0)
            best = np.zeros(tuple(high.max(axis=0) - start), np.float32)
            for crop, box in parts:
                here = tuple(slice(side.start - first, side.stop - first) for side, first in zip(box, start, strict=True))
                shape = best[here].shape
                likely = sample(Volume(crop.probability, crop.grid), grid.part([side.start for side in box], shape), fill=0).hu
                wins = (likely > _SURE) & (likely > best[here])
                labels[box][wins], best[here][wins] = crop.level, likely[wins]
        return LabelMap(labels, grid)


def refine(volume: Volume, located: Located, spec: RefinerSpec, session: Session) -> Refined:
    """Finds where each vertebra ends.

    Args:
        volume: The scan.
        located: What the first network found in it.
        spec: What the second network is fed.
        session: The second network.

    Raises:
        PackageError: The network does not do what it should.
    """
    if not located.vertebrae:
        return Refined(located, (), located.labels)
    known, lattice = located.labels, _lattice(located.labels.grid, spec)
    parts = _parts(known)
    places = [_middle(parts[one.level].labels == one.level, parts[one.level].grid) for one in located.vertebrae]
    first = [_crop_around(place, lattice, spec) for place in places]
    scene = _Scene(volume, sample(volume, _holding_all(first)), known, spec, session)
    crops = [_predict_crop(scene, vertebra.level, grid, lattice) for vertebra, grid in zip(located.vertebrae, first, strict=True)]
    labels = _compete(crops, located.labels)
    _keep_unclaimed(labels, crops, scene)
    if all((one := located.vertebra(level)) and one.status is not LevelStatus.UNCERTAIN for level in (Level.C1, Level.C2)):
        give_dens_back(labels)
    _drop_small_components(labels.labels, located.vertebrae)
    parts = _parts(labels)
    vertebrae = tuple(_measured(one, parts[one.level]) if one.level in parts else one for one in located.vertebrae)
    return Refined(replace(located, vertebrae=vertebrae, labels=labels), tuple(crops), located.labels)


def magnified_refined(refined: Refined, factor: float) -> Refined:
    """Returns vertebrae with their borders in a world that is larger by a factor."""
    crops = tuple(replace(crop, grid=magnified_grid(crop.grid, factor)) for crop in refined.crops)
    return Refined(magnified_located(refined.located, factor), crops, magnified_labels(refined.coarse, factor))


def _parts(labels: LabelMap) -> dict[Level, LabelMap]:
    """Returns the box that holds each of C1..C7 that there is; what else lies in it, too."""
    found = {}
    for level, box in zip(CERVICAL, ndimage.find_objects(labels.labels, len(CERVICAL)), strict=True):
        if box is not None:
            part = labels.labels[box]
            found[level] = LabelMap(part, labels.grid.part([side.start for side in box], part.shape))
    return found


def _lattice(coarse: Grid, spec: RefinerSpec) -> Grid:
    """Returns fine voxels of which all crops are parts, so that they can be laid over one another."""
    grid = Grid.upright(coarse.world((0, 0, 0)), (1, 1, 1), spec.spacing_mm)
    return replace(grid, frame_of_reference_uid=coarse.frame_of_reference_uid)


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """Holds what the second network is fed.

    Attributes:
        scan: All of it.
        near: The part around all vertebrae, on fine voxels already: crops overlap, and share them.
        coarse: What was located.
        spec: What the network is fed.
        session: The network.
    """

    scan: Volume
    near: Volume
    coarse: LabelMap
    spec: RefinerSpec
    session: Session

    def crop_hu(self, grid: Grid) -> NDArray[np.float32]:
        """Returns the HU of a crop."""
        start = np.rint(self.near.grid.index(grid.world((0, 0, 0)))).astype(int)
        inside = (start >= 0).all() and (start + grid.shape <= self.near.grid.shape).all()
        return self.near.hu[_part(start, grid.shape)] if inside else sample(self.scan, grid).hu

    def predict(self, level: Level, grid: Grid) -> NDArray[np.float32]:
        """Returns how likely each voxel of a crop belongs to a vertebra."""
        guide = sample(self.coarse, guide_grid(grid, self.spec)).labels
        fed = crop_input(self.crop_hu(grid), guide, level, self.spec)
        return np.ascontiguousarray(self.session.run(fed[None])[self.spec.output][0, ..., 1])


def _predict_crop(scene: _Scene, level: Level, grid: Grid, lattice: Grid) -> RefinedCrop:
    """Predicts the crop of a vertebra; once more around what was found, where that is cut off."""
    coarse, spec = scene.coarse, scene.spec
    likely = scene.predict(level, grid)
    found = likely > _SURE
    if found.any() and _at_sides(found) > _CUT_OFF * found.sum():
        again = _crop_around(_middle(found, grid), lattice, spec)
        if np.linalg.norm(again.centre_mm - grid.centre_mm) > _MOVED_MM:
            grid, likely = again, scene.predict(level, again)
    size = np.count_nonzero(coarse.labels == level) * np.prod(coarse.grid.spacing_mm)
    if np.count_nonzero(likely > _SURE) * np.prod(spec.spacing_mm) < _FADED * size:
        likely = (sample(coarse, grid).labels == level).astype(np.float32)
    return RefinedCrop(level, likely, grid)


def _crop_around(centre_mm: NDArray[np.float64], lattice: Grid, spec: RefinerSpec) -> Grid:
    start = np.rint(lattice.index(centre_mm) - (np.asarray(spec.size) - 1) / 2)
    return lattice.part(start, spec.size)


def _middle(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.float64]:
    """Returns the middle of the box that holds what is marked."""
    low, high = np.percentile(np.argwhere(mask), _TAILS, axis=0)
    return grid.world((low + high) / 2)


def _at_sides(mask: NDArray[np.bool_]) -> int:
    return sum(int(np.count_nonzero(np.take(mask, end, axis=axis))) for axis in range(3) for end in (0, -1))


def _compete(crops: Sequence[RefinedCrop], coarse: LabelMap) -> LabelMap:
    """Returns the labels around all crops: where several claim a voxel, the likeliest has it."""
    grid = _holding_all([crop.grid for crop in crops])
    labels = sample(_without(coarse, [crop.level for crop in crops]), grid).labels
    best = np.full(grid.shape, _SURE, np.float32)
    for crop in crops:
        here = _part(np.rint(grid.index(crop.grid.world((0, 0, 0)))).astype(int), crop.grid.shape)
        wins = crop.probability > best[here]
        labels[here][wins], best[here][wins] = crop.level, crop.probability[wins]
    return LabelMap(labels, grid)


def _keep_unclaimed(labels: LabelMap, crops: Sequence[RefinedCrop], scene: _Scene) -> None:
    """Keeps the first network's name for dense bone that no crop claims. In place."""
    places = [_part(np.rint(labels.grid.index(crop.grid.world((0, 0, 0)))).astype(int), crop.grid.shape) for crop in crops]
    pictures = [scene.crop_hu(crop.grid) for crop in crops]
    claimed = [hu[labels.labels[place] == crop.level] for crop, place, hu in zip(crops, places, pictures, strict=True)]
    dense_hu = _DENSE * np.median(np.concatenate(claimed)) if any(map(len, claimed)) else np.inf
    for crop, place, hu in zip(crops, places, pictures, strict=True):
        here = labels.labels[place]
        here[(here == BACKGROUND) & (hu > dense_hu) & (sample(scene.coarse, crop.grid).labels == crop.level)] = crop.level


def _holding_all(crops: Sequence[Grid]) -> Grid:
    """Returns the box of a lattice that holds some of its parts."""
    first = crops[0]
    starts = np.rint([first.index(crop.world((0, 0, 0))) for crop in crops]).astype(int)
    low, high = starts.min(axis=0), (starts + [crop.shape for crop in crops]).max(axis=0)
    z, y, x = (int(side) for side in high - low)
    return first.part(low, (z, y, x))


def _part(start: NDArray[np.int_], shape: Shape) -> tuple[slice, ...]:
    return tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))


def _without(coarse: LabelMap, levels: Sequence[Level]) -> LabelMap:
    return LabelMap(np.where(np.isin(coarse.labels, levels), BACKGROUND, coarse.labels).astype(np.uint8), coarse.grid)


def _drop_small_components(labels: NDArray[np.uint8], vertebrae: Sequence[Vertebra]) -> None:
    """Drops small components that lie apart; what is apart by no more than a crack, or large, stays. In place."""
    boxes = ndimage.find_objects(labels)
    for vertebra in vertebrae:
        box = boxes[vertebra.level - 1] if vertebra.level <= len(boxes) else None
        if box is None:
            continue
        near = labels[_wider(box)]
        own = near == vertebra.level
        pieces, count = ndimage.label(ndimage.binary_dilation(own, _EVERY_SIDE), _EVERY_SIDE)
        if count > 1:
            sizes = np.bincount(pieces[own], minlength=count + 1)
            small = np.flatnonzero(sizes < _SMALL_COMPONENT * own.sum())
            near[own & np.isin(pieces, small)] = BACKGROUND


def _wider(box: tuple[slice, ...]) -> tuple[slice, ...]:
    """Returns a box with one voxel more on each side, where there is one."""
    return tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)


def _owned(crop: RefinedCrop, labels: LabelMap) -> RefinedCrop:
    """Returns a crop without what others own and without small components: its own voxels and half a voxel around them."""
    start = np.rint(labels.grid.index(crop.grid.world((0, 0, 0)))).astype(int)
    here = labels.labels[_part(start, crop.grid.shape)]
    own = here == crop.level
    around = ndimage.binary_dilation(own, _EVERY_SIDE)
    likely = np.where(own, np.maximum(crop.probability, _BARELY), np.where(around, np.minimum(crop.probability, _SURE), 0))
    return replace(crop, probability=likely.astype(np.float32))


def _measured(vertebra: Vertebra, labels: LabelMap) -> Vertebra:
    """Returns the vertebra with the centre and the box of its fine voxels, one at least."""
    index = np.argwhere(labels.labels == vertebra.level)
    low, high = labels.grid.world(index.min(axis=0) - 0.5), labels.grid.world(index.max(axis=0) + 0.5)
    box = Box(_vector(np.minimum(low, high)), _vector(np.maximum(low, high)))
    return replace(vertebra, centre_mm=_vector(labels.grid.world(index.mean(axis=0))), box_mm=box)


def _holding(crop: RefinedCrop) -> NDArray[np.float64]:
    """Returns corners in the world of the box that holds a vertebra, a voxel more on each side."""
    index = np.argwhere(crop.probability > 0)
    if not len(index):
        return np.empty((0, 3))
    low, high = index.min(axis=0) - 1.5, index.max(axis=0) + 1.5
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(8, 3)
    return crop.grid.world(corners)


def _box_on(grid: Grid, corners_mm: NDArray[np.float64]) -> tuple[slice, slice, slice] | None:
    """Returns the voxels of a grid within a box of the world; ``None`` where there are none."""
    if not len(corners_mm):
        return None
    index = grid.index(corners_mm)
    low = np.clip(np.floor(index.min(axis=0)), 0, grid.shape).astype(int)
    high = np.clip(np.ceil(index.max(axis=0)) + 1, 0, grid.shape).astype(int)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return (z, y, x) if (high > low).all() else None


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
