"""Classifies studies vertebra by vertebra, and says where a fracture of each is suspected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import CERVICAL, Level
from cspine.concurrency.sharing import Pool
from cspine.concurrency.threads import side_by_side
from cspine.detection.classifiers import Classification, Spot
from cspine.detection.clock import Clock
from cspine.detection.quality import check_appearance, mind_appearance
from cspine.evidence import HeatMap
from cspine.geometry import Grid, Vector
from cspine.imaging import around, sample
from cspine.imaging.appearance import appearance_of
from cspine.imaging.vertebrae import (
    cell_grid,
    classified_slices,
    greyed,
    mask_grid,
    own_cells,
    smooth_mask,
    vertebra_grid,
    vertebra_input,
)
from cspine.locating import Located
from cspine.locating.crop_geometry import find_poses
from cspine.modelpack import VertebraManifest
from cspine.modelpack.tta import combine_tta, tta_transform
from cspine.results import Box, LevelStatus
from cspine.runtime import Session
from cspine.specs import VertebraSpec
from cspine.volume import Volume

_HEAT_MM = 2.0
"""Voxels of the heat map of a study."""

_OF_PEAK = 0.5
"""What is at least so strong as this share of the strongest cell, and hangs together with it, is boxed."""


class VertebraClassifier:
    """A package of kind ``vertebrae`` that is loaded; a :class:`cspine.detection.classifiers.Classifier`.

    Room for the crops of a pass is kept for the next pass and study: to make it anew is what cutting would often wait for. Studies
    that are classified at the same time have a room each.
    """

    def __init__(self, manifest: VertebraManifest, session: Session) -> None:
        self._manifest, self._session = manifest, session
        self._rooms = Pool(lambda: np.zeros(manifest.spec.shape, np.float32))
        with self._rooms.lend():  # the first has its place at load
            pass

    def __call__(self, volume: Volume, located: Located, clock: Clock) -> Classification:
        """See :class:`cspine.detection.classifiers.Classifier`."""
        with self._rooms.lend() as crops:
            return self._classify(volume, located, clock, crops)

    def _classify(self, volume: Volume, located: Located, clock: Clock, crops: NDArray[np.float32]) -> Classification:
        spec, passes = self._manifest.spec, self._manifest.tta_passes
        with clock.stage("crop"):
            cut = cut_vertebrae(volume, located, spec, passes)
            put_crops(cut, 0, spec, crops)
            seen = appearance_of(crops, spec)
        refusals = check_appearance(seen, self._manifest.appearance)
        if refusals or seen is None:
            return Classification.none(refusals)
        own, outputs = {level: own_cells(crops[level - 1], spec) for level in cut}, []
        for number in range(passes):
            if number:
                with clock.stage("crop"):
                    put_crops(cut, number, spec, crops)
            with clock.stage("classify"):
                outputs.append(self._session.run(crops[None]))
        with clock.stage("calibrate"):
            combined = combine_tta({name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]})
            assessed = np.isin(CERVICAL, list(cut))
            shown = [_CellMap(combined.cells[level - 1] * own[level], cut[level].cells(spec)) for level in cut]
            spots = dict(zip(cut, (one.spot() for one in shown), strict=True))
            counted = np.concatenate([[assessed.any()], assessed])
            return Classification(
                scores=np.where(counted, combined.scores, 0.0),
                tta_scores=np.where(counted, combined.each, 0.0),
                spots=tuple(spots.get(level) for level in CERVICAL),
                heat=_together(shown, volume.grid.frame_of_reference_uid),
                reasons=mind_appearance(seen, self._manifest.appearance),
            )


@dataclass(frozen=True, slots=True, eq=False)
class CutVertebra:
    """A vertebra as it was cut out of a scan, of which every pass sees other slices.

    Attributes:
        grid: Where its voxels lie.
        height_mm: Of the vertebra.
        grey: Of :func:`cspine.imaging.vertebrae.greyed`, ``(depth, rows, columns)``; 0 where no pass looks.
        mask: Of :func:`cspine.imaging.vertebrae.smooth_mask`, ``(depth, rows / 2, columns / 2)``.
    """

    grid: Grid
    height_mm: float
    grey: NDArray[np.uint8] = field(repr=False)
    mask: NDArray[np.float32] = field(repr=False)

    def cells(self, spec: VertebraSpec) -> Grid:
        """Returns where the cells of the first pass lie."""
        return cell_grid(self.grid, classified_slices(self.height_mm, spec))


def cut_vertebrae(volume: Volume, located: Located, spec: VertebraSpec, passes: int) -> Mapping[Level, CutVertebra]:
    """Returns the vertebrae of a study that are assessed: those whose names are certain.

    Args:
        volume: The scan.
        located: Where its vertebrae are.
        spec: What the network sees.
        passes: How many passes are to see them (:mod:`cspine.modelpack.tta`).
    """
    sure = {one.level for one in located.vertebrae if one.status is not LevelStatus.UNCERTAIN}
    poses = {level: pose for level, pose in find_poses(located.labels).items() if level in sure}
    grids = {level: vertebra_grid(pose, spec) for level, pose in poses.items()}
    if not grids:
        return {}
    near = around(volume, list(grids.values()))

    def cut(level: Level) -> CutVertebra:
        grid, height = grids[level], poses[level].height_mm
        first, last = classified_slices(height, spec)[0], classified_slices(height, spec, passes - 1)[-1]
        seen = slice(first - spec.neighbours, last + spec.neighbours + 1)
        grey = np.zeros(grid.shape, np.uint8)
        grey[seen] = greyed(sample(near, grid.part((seen.start, 0, 0), grey[seen].shape)).hu, spec)
        mask = smooth_mask(sample(located.labels, mask_grid(grid)).labels == level, spec)
        return CutVertebra(grid, height, grey, mask)

    return dict(zip(grids, side_by_side(cut, list(grids)), strict=True))


def put_crops(cut: Mapping[Level, CutVertebra], number: int, spec: VertebraSpec, crops: NDArray[np.float32]) -> None:
    """Puts the crops of a study where the network takes them; nothing but zeros for a level that is not assessed. In place.

    Args:
        cut: The levels that are assessed.
        number: Of the pass.
        spec: What the network sees.
        crops: ``(7, slices, rows, columns, channels)``.
    """
    crops[[level - 1 for level in CERVICAL if level not in cut]] = 0

    def put(level: Level) -> None:
        one = cut[level]
        chosen = classified_slices(one.height_mm, spec, number)
        vertebra_input(one.grey, one.mask, chosen, spec, out=tta_transform(crops[level - 1], number))

    side_by_side(put, list(cut))


@dataclass(frozen=True, slots=True, eq=False)
class _CellMap:
    """Describes how strongly the cells of a vertebra speak for its fracture."""

    cells: NDArray[np.float32] = field(repr=False)
    grid: Grid

    def spot(self) -> Spot:
        """Returns the strongest cell, and the box of those like it around it."""
        peak = tuple(int(i) for i in np.unravel_index(int(np.argmax(self.cells)), self.cells.shape))
        x, y, z = (float(part) for part in self.grid.world(peak))
        parts, _ = ndimage.label(self.cells >= max(_OF_PEAK * float(self.cells[peak]), float(np.finfo(np.float32).tiny)))
        found = np.argwhere(parts == parts[peak]) if parts[peak] else np.array([peak])
        low, high = found.min(axis=0) - 0.5, found.max(axis=0) + 0.5
        corners = self.grid.world(np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(8, 3))
        return Spot((x, y, z), Box(_vector(corners.min(axis=0)), _vector(corners.max(axis=0))))


def _together(maps: Sequence[_CellMap], frame_of_reference_uid: str | None) -> HeatMap | None:
    """Returns the maps of all vertebrae on one upright grid; where they overlap, the strongest."""
    if not maps:
        return None
    corners = np.concatenate([one.grid.corners_mm() for one in maps])
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y, z = (int(np.ceil(side / _HEAT_MM)) for side in high - low)
    grid = replace(Grid.upright((low + high) / 2, (z, y, x), (_HEAT_MM,) * 3), frame_of_reference_uid=frame_of_reference_uid)
    values = np.zeros(grid.shape, np.float32)
    for one in maps:
        index = grid.index(one.grid.corners_mm())
        first = np.clip(np.floor(index.min(axis=0)), 0, np.array(grid.shape) - 1).astype(int)
        last = np.clip(np.ceil(index.max(axis=0)) + 1, first + 1, grid.shape).astype(int)
        here = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        part = grid.part(first, (int(last[0] - first[0]), int(last[1] - first[1]), int(last[2] - first[2])))
        np.maximum(values[here], sample(Volume(one.cells, one.grid), part, fill=0.0).hu, out=values[here])
    return HeatMap(values, grid)


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
