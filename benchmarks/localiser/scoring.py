"""One neck: what a localiser predicts for it beside what is true."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, OTHER_BONE, Level
from cspine.datasets.masks import load_mask
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.locating.refining import Refined
from cspine.reading import read_study
from cspine.results import LevelStatus
from cspine.volume import LabelMap, Volume

SCORED_AT_MM = 2.0
SURE = (LevelStatus.ASSESSED, LevelStatus.PARTLY_IN_VIEW)
_WHOLE = 0.98
"""Smallest share of a vertebra in a picture at which it is in view whole."""


@dataclass(frozen=True, slots=True)
class LevelScore:
    """A level in view.

    Attributes:
        level: Which one.
        share: How much of it is in the picture.
        status: What the localiser predicts, ``None`` where it finds nothing.
        dice: Overlap at 2 mm (Dice, 1945).
        apart_mm: From its centroid to the one that is said; NaN where nothing is said.
        named: The level that most of its voxels are named, 0 where most are named none.
        misled: Whether that is another level of the neck, of which the localiser is sure.
    """

    level: Level
    share: float
    status: LevelStatus | None
    dice: float
    apart_mm: float
    named: int
    misled: bool

    @property
    def whole(self) -> bool:
        """Says whether all of it is in view."""
        return self.share >= _WHOLE

    @property
    def right(self) -> bool:
        """Says whether most of it is named what it is, sure or not."""
        return self.named == self.level

    @property
    def wrong(self) -> bool:
        """Says whether most of it is named another level of the neck, sure or not."""
        return self.named in CERVICAL and not self.right

    @property
    def found(self) -> bool:
        """Says whether the localiser is sure of it, and right."""
        return self.status in SURE and self.right


@dataclass(frozen=True, slots=True, eq=False)
class Neck:
    """A phantom as it was written.

    Attributes:
        volume: What its slices show.
        truth: Its true labels.
        voxels: Of 2 mm, of each of C1..C7 whole, ``(7,)``.
    """

    volume: Volume
    truth: LabelMap
    voxels: NDArray[np.float64]


def read_neck(images: Path) -> Neck:
    """Returns the phantom whose slices lie in a folder of ``train_images``."""
    truth = load_mask(images.parents[1] / "truth" / images.name / "labels.nii.gz")
    return Neck(read_study(images).volume, truth, count_whole(truth))


def score_neck(refined: Refined, scan: Grid, truth: LabelMap, whole_voxels: NDArray[np.float64]) -> list[LevelScore]:
    """Returns every level of which there is something in the picture.

    Args:
        refined: What the localiser predicts.
        scan: The picture.
        truth: True labels, at least of all that the picture holds.
        whole_voxels: Voxels of 2 mm of each whole level, ``(7,)``.
    """
    grid = scoring_grid(scan)
    inside = _inside(scan, grid)
    true, outcome = sample(truth, grid).labels, refined.labels_on(grid).labels
    true[~inside], outcome[~inside] = 0, 0
    return [_score(level, true, outcome, refined, whole_voxels[level - 1]) for level in CERVICAL if (true == level).any()]


def scoring_grid(scan: Grid) -> Grid:
    """Returns upright voxels of 2 mm over a picture."""
    corners = scan.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    z, y, x = (int(np.ceil(side)) for side in ((high - low) / SCORED_AT_MM)[::-1])
    return Grid.upright((low + high) / 2, (z, y, x), (SCORED_AT_MM,) * 3)


def count_whole(truth: LabelMap) -> NDArray[np.float64]:
    """Returns voxels of 2 mm of C1..C7, ``(7,)``."""
    labels = sample(truth, scoring_grid(truth.grid)).labels
    return np.array([np.count_nonzero(labels == level) for level in CERVICAL], dtype=np.float64)


def heights_of(levels: Sequence[Level], truth: LabelMap) -> tuple[float, float]:
    """Returns the world z between which some levels lie."""
    index = np.argwhere(np.isin(truth.labels, levels))
    heights = truth.grid.world(index)[:, 2]
    return float(heights.min()), float(heights.max())


def cut_between(volume: Volume, low: float, high: float) -> Volume:
    """Returns the slices of an axial scan whose middles lie between two heights, in their own order."""
    count, rows, columns = volume.grid.shape
    middles = volume.grid.world([(i, (rows - 1) / 2, (columns - 1) / 2) for i in range(count)])[:, 2]
    kept = np.flatnonzero((middles >= low) & (middles <= high))
    first, last = int(kept.min()), int(kept.max())
    shape = (last - first + 1, *volume.grid.shape[1:])
    return Volume(np.ascontiguousarray(volume.hu[first : last + 1]), volume.grid.part((first, 0, 0), shape))


def _score(level: Level, true: NDArray[np.uint8], outcome: NDArray[np.uint8], refined: Refined, whole: float) -> LevelScore:
    there, named = true == level, outcome == level
    vertebra = refined.located.vertebra(level)
    apart = float("nan")
    if named.any():
        apart = float(np.linalg.norm(np.argwhere(there).mean(axis=0) - np.argwhere(named).mean(axis=0)) * SCORED_AT_MM)
    counts = np.bincount(outcome[there], minlength=OTHER_BONE + 1)
    mostly = int(np.argmax(counts[1:OTHER_BONE])) + 1 if counts[1:OTHER_BONE].sum() > counts[0] + counts[OTHER_BONE] else 0
    other = refined.located.vertebra(Level(mostly)) if mostly in CERVICAL and mostly != level else None
    return LevelScore(
        level=level,
        share=float(there.sum() / max(whole, 1)),
        status=None if vertebra is None else vertebra.status,
        dice=float(2 * np.count_nonzero(there & named) / (there.sum() + named.sum())),
        apart_mm=apart,
        named=mostly,
        misled=other is not None and other.status in SURE,
    )


def _inside(scan: Grid, grid: Grid) -> NDArray[np.bool_]:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return scan.contains(grid.world(index))
