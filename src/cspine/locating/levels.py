"""Turns the class probabilities of each voxel into a label map, and finds where each vertebra lies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import BACKGROUND, CERVICAL, OTHER_BONE, Level
from cspine.geometry import Grid, Vector
from cspine.locating.centreline import REACH_MM, Centreline, find_centrelines
from cspine.locating.located import SURE, Located, Vertebra
from cspine.locating.ordering import CentrelineOrder, find_order
from cspine.results import Box, LevelStatus
from cspine.volume import LabelMap

UNANCHORED = 0.5
"""The most that a name is sure where nothing gives the count away."""

_LEAST_AGREEMENT = 0.86
"""Mean and median over what was found: necks have 0.90 and more, loins and pelves that are called one 0.84 at most."""

_MOST_OF_NECK, _CHEST = 5, 0.5
"""Levels, and what is seen of vertebrae below C7 as a share of C7, that anchor a count from below."""

_VERTEBRA = 0.5
"""A voxel that is less likely a vertebra's than that is not."""

_BACKGROUND = 0.5
"""A voxel that is more likely background than that is nothing else."""

_SPARE_MM = 15.0
"""Around all vertebrae: what is smoothed over reaches no farther."""

_STEP_MM = 2.5
_SLACK_MM, _SLACK_BESIDE = 3.0, 0.2
"""How far beyond its stretch of the line a level may reach, at the line and more for each millimetre beside it: arches slope."""

_DOUBT = 0.02
"""No voxel is so sure that its place cannot rename it."""

_FEWEST_VOTES, _MOSTLY, _HARDLY = 20, 0.6, 0.25
"""Of voxels of a piece near the line: how many, and which share of them lies in a stretch, mostly or hardly."""

_SCANTY = 0.35
"""Of the usual size of a vertebra: a level of less lacks its voxels."""

_BELOW = len(CERVICAL) + 1

_SMALL_COMPONENT = 0.12
"""Of a body's size: less than this, loose, belongs to what it touches. The masses and arches of C1 part, and are more."""

_ARCH_MM = 45.0
"""Farther from the middle of a vertebra's body there is nothing of it."""

_BESIDE_MM = 70.0
"""Farther from the line nothing belongs to its spine: the longest spinous processes end before."""

_EVERY_SIDE = np.ones((3, 3, 3), dtype=bool)

_LEAST_ML = 0.6
"""A vertebra of which less is seen is none."""

_ATLAS_LEAN = float(np.cos(np.deg2rad(35.0)))
"""Cosine of how far the axis of C1 may be from that of C2."""

_PRESENT = 0.25
"""Share of the line's surroundings that is vertebra where there is one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Says where the voxels of bones lie along the order: in whose stretch, and how far beside the line, ``(n,)`` each."""

    order: CentrelineOrder
    stretch: NDArray[np.intp]
    beside: NDArray[np.float64]


def locate_levels(probabilities: NDArray[np.float32], grid: Grid, seen: NDArray[np.bool_]) -> Located:
    """Assigns names to the vertebrae.

    Args:
        probabilities: Background, C1..C7, other vertebra, other bone, of each voxel, ``(z, y, x, 10)``.
        grid: Upright, slices from feet to head.
        seen: Which voxels the picture holds, ``(z, y, x)``.
    """
    bone = probabilities[..., 0] < _BACKGROUND
    there = probabilities[bone]
    labels, vertebra = np.full(grid.shape, BACKGROUND, np.uint8), np.zeros(grid.shape, np.float32)
    labels[bone] = np.where(np.argmax(there, axis=-1) == there.shape[-1] - 1, OTHER_BONE, BACKGROUND)
    vertebra[bone] = there[:, 1:-1].sum(axis=-1)
    near = _around(vertebra > _VERTEBRA, grid)
    known, predicted, part = labels[near], probabilities[near], grid.part([side.start for side in near], labels[near].shape)
    prediction = _Prediction(predicted, np.argwhere((vertebra[near] > _VERTEBRA) & (known != OTHER_BONE)), part, seen[near])
    centrelines = find_centrelines(vertebra[near], predicted[..., 1 : len(CERVICAL) + 1], grid.spacing_mm, _STEP_MM)
    candidates = [_along(centreline, prediction, known) for centreline in centrelines]
    best = max(candidates, key=rank, default=Located((), LabelMap(known, part), np.empty((0, 3))))
    known[...] = best.labels.labels
    return replace(best, labels=LabelMap(labels, grid))


def _around(vertebra: NDArray[np.bool_], grid: Grid) -> tuple[slice, slice, slice]:
    """Returns the box of what is vertebra and some space around it; elsewhere there is nothing to find."""
    sides = []
    for axis, step in enumerate(grid.spacing_mm):
        there = np.flatnonzero(vertebra.any(axis=tuple({0, 1, 2} - {axis})))
        spare = int(np.ceil(_SPARE_MM / step))
        sides.append(slice(max(int(there[0]) - spare, 0), int(there[-1]) + spare + 1) if len(there) else slice(0, 1))
    z, y, x = sides
    return z, y, x


def rank(candidate: Located) -> tuple[bool, float]:
    """Ranks a line: anchored names come first, then the agreement of the network."""
    sure = any(one.status is not LevelStatus.UNCERTAIN for one in candidate.vertebrae)
    return sure, sum(one.agreement for one in candidate.vertebrae)


@dataclass(frozen=True, slots=True, eq=False)
class _Prediction:
    """The prediction, the voxels of vertebrae ``(n, 3)``, and which voxels there are."""

    probabilities: NDArray[np.float32]
    bone: NDArray[np.intp]
    grid: Grid
    seen: NDArray[np.bool_]


def _along(centreline: Centreline, prediction: _Prediction, known: NDArray[np.uint8]) -> Located:
    """Returns the vertebrae, if this is the line of the spine."""
    probabilities, grid = prediction.probabilities, prediction.grid
    labels = known.copy()
    along, beside = centreline.along_mm(prediction.bone * grid.spacing_mm)
    reached = beside <= _BESIDE_MM
    bone, along, beside = prediction.bone[reached], along[reached], beside[reached]
    predicted = probabilities[tuple(bone.T)][:, 1:-1].astype(np.float64)
    order = _order(predicted, along, beside, centreline, grid)
    labels[tuple(bone.T)] = _named(predicted, along, beside, order, centreline)
    _rename_components(labels, bone, np.argmax(predicted, axis=1) + 1, _Place(order, _stretches(along, order, centreline), beside))
    _join_fragments(labels, grid.spacing_mm)
    found = tuple(
        replace(one, agreement=_agreement(probabilities[labels == one.level], one.level))
        for level in CERVICAL
        if (one := _vertebra(level, labels, order, centreline, grid, prediction.seen)) is not None
    )
    atlas_ml = np.count_nonzero(np.argmax(predicted, axis=1) + 1 == Level.C1) * np.prod(grid.spacing_mm) / 1000
    if not is_anchored(found, labels, float(atlas_ml)):
        found = tuple(replace(one, status=LevelStatus.UNCERTAIN, confidence=min(one.confidence, UNANCHORED)) for one in found)
    return Located(with_upright_atlas(found), LabelMap(labels, grid), _world(centreline, grid) if found else np.empty((0, 3)))


def with_upright_atlas(found: tuple[Vertebra, ...]) -> tuple[Vertebra, ...]:
    """Returns the vertebrae, with the axis of C2 for a C1 that leans far from it.

    Where the ring of C1 is cut obliquely, the line that follows the middle ends in one of its two masses.

    Args:
        found: Head to chest.
    """
    if [one.level for one in found[:2]] != [Level.C1, Level.C2] or np.dot(found[0].axis, found[1].axis) >= _ATLAS_LEAN:
        return found
    return (replace(found[0], axis=found[1].axis), *found[1:])


def is_anchored(found: Sequence[Vertebra], labels: NDArray[np.uint8], atlas_ml: float) -> bool:
    """Returns whether something gives the count away: the shape of C1 or C2, or most of the neck down to the chest.

    Where a picture begins below C2, a network is as sure of a count that is off by one; its prediction is no evidence then. Nor is
    an order that it does not predict itself.

    Args:
        found: The vertebrae as the order names them.
        labels: Label of each voxel.
        atlas_ml: How much the network calls C1, where that may be too little to be found.
    """
    agreement = [one.agreement for one in found]
    if not found or min(np.mean(agreement), np.median(agreement)) < _LEAST_AGREEMENT:
        return False
    sure = {one.level: one for one in found if one.confidence >= SURE}
    if Level.C2 in sure and (atlas_ml >= _LEAST_ML or sure[Level.C2].status is LevelStatus.ASSESSED):
        return True
    chest = bool(np.count_nonzero(labels == Level.T1) >= _CHEST * np.count_nonzero(labels == Level.C7))
    return Level.C7 in sure and len(sure) >= _MOST_OF_NECK and chest


def _order(
    predicted: NDArray[np.float64], along: NDArray[np.float64], beside: NDArray[np.float64], centreline: Centreline, grid: Grid
) -> CentrelineOrder:
    """Returns which stretch of the line is which level, from what lies near the line."""
    near = beside <= REACH_MM
    count = len(centreline.points_mm)
    point = np.clip(np.rint(along[near] / centreline.step_mm), 0, count - 1).astype(np.intp)
    evidence = np.stack(
        [np.bincount(point, predicted[near, i], count).astype(np.float64) for i in range(predicted.shape[1])], axis=1
    )
    full = np.pi * (REACH_MM * 0.6) ** 2 * centreline.step_mm / np.prod(grid.spacing_mm)
    presence = np.clip(evidence.sum(axis=1) / full / _PRESENT, 0, 1)
    return find_order(evidence[::-1], presence[::-1], centreline.step_mm)


def _stretches(along: NDArray[np.float64], order: CentrelineOrder, centreline: Centreline) -> NDArray[np.intp]:
    """Returns in whose stretch of the line each place lies: a level, or one more than C7 below them all; 0 above."""
    point = len(centreline.points_mm) - 1 - np.rint(along / centreline.step_mm)
    found = np.where(point > order.last.max(), _BELOW, 0)
    for i, (first, last) in enumerate(zip(order.first, order.last, strict=True)):
        if first >= 0:
            found[(point >= first) & (point <= last)] = i + 1
    return found.astype(np.intp)


def _named(
    predicted: NDArray[np.float64],
    along: NDArray[np.float64],
    beside: NDArray[np.float64],
    order: CentrelineOrder,
    centreline: Centreline,
) -> NDArray[np.uint8]:
    """Returns the level of each voxel: what the network predicts, and where on the line it lies."""
    from_head = (len(centreline.points_mm) - 1) * centreline.step_mm - along
    slack = _SLACK_MM + _SLACK_BESIDE * beside
    score = np.full((len(predicted), len(CERVICAL) + 1), -np.inf)
    first, last = order.first.copy(), order.last.copy()
    if min(first[:2]) >= 0:  # the dens stands within the ring: both share their heights
        first[1], last[0] = first[0], last[1]
    for i in range(len(CERVICAL)):
        if first[i] >= 0:
            beyond = np.maximum(first[i] * centreline.step_mm - from_head, from_head - last[i] * centreline.step_mm).clip(0)
            score[:, i] = np.log(predicted[:, i] + _DOUBT) - (beyond / slack) ** 2
    short = ((order.last.max() + 1) * centreline.step_mm - from_head).clip(0)
    score[:, -1] = np.log(predicted[:, -1] + _DOUBT) - (short / slack) ** 2
    return np.asarray(np.argmax(score, axis=1) + 1, dtype=np.uint8)


def _rename_components(labels: NDArray[np.uint8], bone: NDArray[np.intp], predicted: NDArray[np.intp], place: _Place) -> None:
    """Renames components that the network calls by another name than the order, as a whole or in part. In place.

    In part, where a level lacks its voxels because the network gave two vertebrae one name. Between C1 and C2, which share their
    heights, the network decides.
    """
    stretch, predicted_levels = (np.zeros(labels.shape, np.intp) for _ in range(2))
    stretch[tuple(bone.T)], predicted_levels[tuple(bone.T)] = place.stretch, predicted
    near = np.zeros(labels.shape, bool)
    near[tuple(bone.T)] = place.beside <= REACH_MM
    lacking = _lacking(labels, place.order)
    for level, whole in enumerate(ndimage.find_objects(predicted_levels), start=1):
        if whole is None:
            continue
        pieces, _ = ndimage.label(predicted_levels[whole] == level)
        for number, part in enumerate(ndimage.find_objects(pieces), start=1):
            piece, box = pieces[part] == number, _inner(whole, part)
            votes = np.bincount(stretch[box][piece & near[box]], minlength=_BELOW + 1)
            share = votes / max(votes.sum(), 1)
            top = int(np.argmax(share[1:])) + 1
            interlocked = {level, top} == {Level.C1, Level.C2} and top not in lacking
            if votes.sum() >= _FEWEST_VOTES and share[level] < _HARDLY and share[top] >= _MOSTLY and not interlocked:
                labels[box][piece] = top
            elif votes.sum() >= _FEWEST_VOTES:
                taken = piece & np.isin(stretch[box], [other for other in lacking if share[other] >= _HARDLY])
                labels[box][taken] = stretch[box][taken]


def _inner(box: tuple[slice, ...], part: tuple[slice, ...]) -> tuple[slice, ...]:
    """Returns a part of a box where the box lies."""
    return tuple(slice(a.start + b.start, a.start + b.stop) for a, b in zip(box, part, strict=True))


def _lacking(labels: NDArray[np.uint8], order: CentrelineOrder) -> list[int]:
    """Returns levels that have a stretch and hardly any voxels."""
    sizes = np.bincount(labels.ravel(), minlength=_BELOW + 1)
    there = [level for level in CERVICAL if order.first[level - 1] >= 0]
    usual = np.median([sizes[level] for level in there]) if there else 0
    return [int(level) for level in there if sizes[level] < _SCANTY * usual]


def _join_fragments(labels: NDArray[np.uint8], spacing_mm: Vector) -> None:
    """Gives small components the name of the vertebra that they touch; an arch near its own body keeps its name. In place."""
    bodies, loose = np.zeros(labels.shape, np.uint8), np.zeros(labels.shape, bool)
    for level, box in enumerate(ndimage.find_objects(labels, len(CERVICAL)), start=1):
        if box is not None:
            parts, _ = ndimage.label(labels[box] == level, structure=_EVERY_SIDE)
            sizes = np.bincount(parts.ravel())
            sizes[0] = 0
            body = parts == np.argmax(sizes)
            bodies[box][body] = level
            loose[box] |= (parts > 0) & ~body
    bodies[labels == Level.T1] = Level.T1
    pieces, _ = ndimage.label(loose, structure=_EVERY_SIDE)
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        wider = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        piece = pieces[wider] == number
        around = bodies[wider][ndimage.binary_dilation(piece, _EVERY_SIDE) & ~piece]
        touched = np.bincount(around[around > 0], minlength=1)
        own = int(np.bincount(labels[wider][piece]).argmax())
        if touched.any() and np.count_nonzero(piece) < _SMALL_COMPONENT * np.count_nonzero(bodies == own):
            labels[wider][piece] = int(np.argmax(touched))
        elif not _is_near(bodies == own, np.argwhere(piece) + [side.start for side in wider], spacing_mm):
            labels[wider][piece] = BACKGROUND


def _is_near(body: NDArray[np.bool_], piece: NDArray[np.intp], spacing_mm: Vector) -> bool:
    """Returns whether a loose piece lies no farther from the middle of a body than its own parts do."""
    index = np.argwhere(body) * spacing_mm
    return bool(len(index)) and float(np.linalg.norm(piece.mean(axis=0) * spacing_mm - index.mean(axis=0))) <= _ARCH_MM


def _vertebra(
    level: Level, labels: NDArray[np.uint8], order: CentrelineOrder, centreline: Centreline, grid: Grid, seen: NDArray[np.bool_]
) -> Vertebra | None:
    index = np.argwhere(labels == level)
    if order.first[level - 1] < 0 or len(index) * np.prod(grid.spacing_mm) / 1000 < _LEAST_ML:
        return None
    confidence = float(order.confidence[level - 1])
    status = LevelStatus.PARTLY_IN_VIEW if _is_cut(index, labels.shape, seen) else LevelStatus.ASSESSED
    low, high = grid.world(index.min(axis=0) - 0.5), grid.world(index.max(axis=0) + 0.5)
    middle = len(centreline.points_mm) - 1 - (order.first[level - 1] + order.last[level - 1]) // 2
    return Vertebra(
        level,
        status if confidence >= SURE else LevelStatus.UNCERTAIN,
        confidence,
        _vector(grid.world(index.mean(axis=0))),
        Box(_vector(np.minimum(low, high)), _vector(np.maximum(low, high))),
        _vector(centreline.tangents[middle][::-1]),
    )


def _agreement(probabilities: NDArray[np.float32], level: Level) -> float:
    """Returns the share of voxels ``(n, 10)`` that the network itself gives this name before other vertebrae's."""
    return float(np.mean(np.argmax(probabilities[:, 1:-1], axis=1) + 1 == level))


def _is_cut(index: NDArray[np.intp], shape: tuple[int, ...], seen: NDArray[np.bool_]) -> bool:
    """Returns whether more than a few of its voxels lie at the edge of what the picture holds.

    Within two voxels of it: the outermost one is half air to a network, and goes unnamed.
    """
    edge = np.zeros(len(index), dtype=bool)
    for axis in range(3):
        for side in (-2, -1, 1, 2):
            beside = index.copy()
            beside[:, axis] += side
            inside = (beside[:, axis] >= 0) & (beside[:, axis] < shape[axis])
            beside[:, axis] = np.clip(beside[:, axis], 0, shape[axis] - 1)
            edge |= ~inside | ~seen[tuple(beside.T)]
    return int(edge.sum()) >= max(4, len(index) // 100)


def _world(centreline: Centreline, grid: Grid) -> NDArray[np.float64]:
    return grid.world(centreline.points_mm / grid.spacing_mm)


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
