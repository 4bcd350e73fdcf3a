"""One series is not one acquisition: images of one size and direction are separated into their stacks.

Whatever a header says about how an image came about (acquisition, time, kernel, phase, energy) may distinguish passes, but it may
as well vary from slice to slice of one stack. So a difference counts only where the stacks that it leaves are regular and the whole
is not, or where they lie one within the other; pieces that continue each other are one stack again. Where no attribute differs, the
order in which images were numbered or made distinguishes passes, and at last their distances alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.reading.frames import Frame
from cspine.reading.layouts import Indices, Regularity, SlicePositions, in_order, normal_of, regularity
from cspine.reading.meaning import energy_of

_LEAST_SLICES = 3
"""Fewer slices are regular whatever they are."""

_LEAST_EXPLAINED = 0.8
"""So many of the images must lie in pieces of more slices, else an attribute varies from slice to slice."""

_MOST_LANES = 16
_MOST_PASSES = 4

_NO_GAP, _ONE_MISSING = 1.15, 2.15
"""How far the next piece of a stack may be, in slice distances; the latter where it goes on in the same steps."""


@dataclass(frozen=True, slots=True)
class Label:
    """An attribute by which images are distinguished.

    Attributes:
        name: What differs, for a message.
        value: What it is for a frame; ``None`` where the header does not say.
        is_trusted: Whether it distinguishes passes that together look like one stack.
    """

    name: str
    value: Callable[[Frame], Any]
    is_trusted: bool = True


LABELS = (
    Label("frame of reference", lambda frame: frame.series.frame_of_reference_uid, is_trusted=False),
    Label("stack", lambda frame: frame.acquisition.stack or None),
    Label("convolution kernel", lambda frame: frame.series.kernel or None),
    Label("image type", lambda frame: frame.series.image_type or None),
    Label("unit of values", lambda frame: frame.series.rescale_type or None),
    Label("energy", lambda frame: energy_of(frame.series)),
    Label("tube voltage", lambda frame: frame.acquisition.voltage or None),
    Label("slice thickness", lambda frame: frame.acquisition.thickness_mm),
    Label("contrast phase", lambda frame: frame.acquisition.phase),  # no contrast agent is a phase too
    Label("acquisition number", lambda frame: frame.acquisition.number or None),
    Label("acquisition time", lambda frame: frame.acquisition.time or None),
    Label("description", lambda frame: frame.series.description or None),
)
"""In the order in which they are tried."""

ORDERS: tuple[Label, ...] = (
    Label("instance number", lambda frame: frame.acquisition.instance),
    Label("acquisition number", lambda frame: _whole(frame.acquisition.number)),
    Label("acquisition time", lambda frame: frame.acquisition.time or None),
    Label("content time", lambda frame: frame.acquisition.content_time or None, is_trusted=False),
)
"""By what images may have been made one after the other."""


@dataclass(frozen=True, slots=True)
class SeriesPart:
    """Images of one stack.

    Attributes:
        frames: The images.
        told_apart_by: What distinguishes them from the rest of their size and direction.
    """

    frames: tuple[Frame, ...]
    told_apart_by: tuple[str, ...] = ()


def parts_of(frames: Sequence[Frame]) -> tuple[SeriesPart, ...]:
    """Returns the stacks among images of one kind, size and direction, all of which have a plane."""
    row = SlicePositions.of(frames)
    return tuple(_parts(np.arange(len(frames), dtype=np.intp), frames, row, ()))


def _parts(indices: Indices, frames: Sequence[Frame], row: SlicePositions, before: tuple[str, ...]) -> Iterator[SeriesPart]:
    here, some = row.taken(indices), [frames[index] for index in indices]
    whole = regularity(here)
    for name, pieces in _ways(some, here, whole):
        if len(pieces) > 1:
            for piece in pieces:
                yield from _parts(indices[piece], frames, row, (*before, name))
            return
    yield SeriesPart(tuple(some), before)


def _ways(frames: Sequence[Frame], row: SlicePositions, whole: Regularity) -> Iterator[tuple[str, list[Indices]]]:
    """Yields what every way to divide images comes to, the likeliest first; no pieces where it explains nothing."""
    for label in LABELS:
        pieces = _by_label(label, frames, row, whole)
        yield label.name, pieces if _improves(pieces, row, whole) or _interleaves(pieces, row, whole) else []
    if whole >= Regularity.UNEVEN:
        label = _together(frames)
        pieces = _by_label(label, frames, row, whole)
        yield label.name, pieces if _improves(pieces, row, whole) else []
    for order in ORDERS:
        pieces = _joined(_runs(order, frames, row), row) if order.is_trusted or whole >= Regularity.UNEVEN else []
        most = _MOST_PASSES if whole >= Regularity.UNEVEN else 2  # numbers in disorder may come in more
        yield f"order by {order.name}", pieces if len(pieces) <= most and _interleaves(pieces, row, whole) else []
    if whole >= Regularity.UNEVEN:
        pieces = _by_offset(frames, row)
        yield "place", pieces if _improves(pieces, row, whole) else []
        pieces = _joined(_chains(row), row)
        yield "distances", pieces if _interleaves(pieces, row, whole) else []


def _improves(pieces: Sequence[Indices], row: SlicePositions, whole: Regularity) -> bool:
    """Says whether the pieces look more like stacks than the whole does."""
    return _worst(pieces, row) < whole


def _interleaves(pieces: Sequence[Indices], row: SlicePositions, whole: Regularity) -> bool:
    """Says whether the pieces are regular stacks that lie one within the other."""
    worst = _worst(pieces, row)
    return worst <= min(whole, Regularity.WITH_GAPS) and _overlap_any(pieces, row)


def _worst(pieces: Sequence[Indices], row: SlicePositions) -> Regularity:
    """Returns how regular the least regular piece is; not at all where most images lie in pieces of a few slices."""
    large = _large(pieces)
    if sum(map(len, large)) < _LEAST_EXPLAINED * len(row.along_mm):
        return Regularity.NONE
    return max(regularity(row.taken(piece)) for piece in large)


def _large(pieces: Sequence[Indices]) -> list[Indices]:
    return [piece for piece in pieces if len(piece) >= _LEAST_SLICES]


def _by_label(label: Label, frames: Sequence[Frame], row: SlicePositions, whole: Regularity) -> list[Indices]:
    """Pieces with one value each, those joined that go on with one another."""
    values = [label.value(frame) for frame in frames]
    known = sorted({value for value in values if value is not None}, key=_sortable)
    least = 2 if whole <= Regularity.WITH_GAPS else 1  # one value, and none, are no difference within a stack
    if len(known) < least or (len(known) < 2 and None not in values) or (whole <= Regularity.WITH_GAPS and not label.is_trusted):
        return []
    rank = {value: number for number, value in enumerate((*known, None))}
    keys = np.array([rank[value] for value in values])
    if _varies_by_slice(keys):
        return []
    return _joined([np.flatnonzero(keys == key) for key in range(len(rank)) if np.any(keys == key)], row)


def _varies_by_slice(keys: NDArray[np.intp]) -> bool:
    """Says whether few images share their value with two others."""
    counts = np.bincount(keys)
    return bool(counts[counts >= _LEAST_SLICES].sum() < _LEAST_EXPLAINED * len(keys))


def _together(frames: Sequence[Frame]) -> Label:
    """Returns all labels that divide images, as one: phases with several kernels each."""
    dividing = []
    for label in LABELS:
        values = [label.value(frame) for frame in frames]
        known = list(dict.fromkeys(values))
        if len(known) > 1 and not _varies_by_slice(np.array([known.index(value) for value in values])):
            dividing.append(label)
    return Label(" and ".join(label.name for label in dividing), lambda frame: tuple(label.value(frame) for label in dividing))


def _runs(order: Label, frames: Sequence[Frame], row: SlicePositions) -> list[Indices]:
    """Pieces that were made one after the other in even steps; none where there is no such order."""
    values = [order.value(frame) for frame in frames]
    if any(value is None for value in values) or len(set(values)) < 2:
        return []
    best: list[Indices] = []
    for sign in (1, -1):
        ranks = sorted(range(len(values)), key=lambda index: (_sortable(values[index]), sign * row.along_mm[index]))
        runs = _monotone(np.array(ranks, dtype=np.intp), row.along_mm)
        best = runs if not best or len(runs) < len(best) else best
    return best if sum(len(run) for run in best if len(run) >= _LEAST_SLICES) >= _LEAST_EXPLAINED * len(values) else []


def _monotone(order: Indices, along: NDArray[np.float64]) -> list[Indices]:
    """Cuts an order wherever a step is not like those before it."""
    runs: list[Indices] = []
    begin, step = 0, None
    for index in range(1, len(order)):
        gap = float(along[order[index]] - along[order[index - 1]])
        if step is not None and abs(gap - step) > max(0.25 * abs(step), 0.12):
            runs.append(order[begin:index])
            begin, step = index, None
        elif step is None:
            step = gap
    return [*runs, order[begin:]]


def _joined(pieces: Sequence[Indices], row: SlicePositions) -> list[Indices]:
    """Pieces that go on with one another as one, first without a gap; where some do, then also across single gaps."""
    lanes = _lanes(pieces, row, _NO_GAP)
    if 1 < len(lanes) < len(pieces):
        lanes = _lanes(lanes, row, float("inf"))
    elif len(lanes) == len(pieces) > 1:
        lanes = _lanes(lanes, row, _ONE_MISSING)
    return _mended(lanes, row)


def _lanes(pieces: Sequence[Indices], row: SlicePositions, limit: float) -> list[Indices]:
    """Pieces along the normal, each put behind the one that it goes on with."""
    if not pieces:
        return []
    along = row.along_mm
    ranked = sorted(enumerate(pieces), key=lambda item: float(along[item[1]].min()))
    usual = _step(np.arange(len(along), dtype=np.intp), along)
    lanes: list[tuple[int, Indices]] = []
    for rank, piece in ranked:
        fitting = [n for n, (_, lane) in enumerate(lanes) if _goes_on(lane, piece, row, usual, limit)]
        if fitting:
            nearest = min(fitting, key=lambda n: abs(lanes[n][0] - rank))
            lanes[nearest] = (rank, np.concatenate([lanes[nearest][1], piece]))
        else:
            lanes.append((rank, piece))
    return [lane for _, lane in lanes]


def _goes_on(lane: Indices, piece: Indices, row: SlicePositions, usual: float, limit: float) -> bool:
    """Says whether a piece lies behind a lane, near enough, and beside no more than slices of one stack do."""
    along = row.along_mm
    seam = float(along[piece].min() - along[lane].max())
    steps = [step for step in (_step(lane, along), _step(piece, along)) if step > 0] or [usual]
    if not 0.02 * max(steps) < seam <= max(limit, _NO_GAP) * max(steps):
        return False
    both = np.concatenate([lane, piece])
    together = regularity(row.taken(both))
    if seam > _NO_GAP * max(steps):
        return together <= Regularity.WITH_GAPS
    return together < Regularity.NONE


def _mended(lanes: list[Indices], row: SlicePositions) -> list[Indices]:
    """Joins lanes of which one fills the gaps of another: an attribute that some slices lack, or that means nothing."""
    if len(lanes) > _MOST_LANES:
        return lanes
    lanes = list(lanes)
    for one in range(len(lanes)):
        for other in range(one + 1, len(lanes)):
            alone = max(regularity(row.taken(lanes[n])) for n in (one, other))
            both = np.concatenate([lanes[one], lanes[other]])
            together = regularity(row.taken(both))
            if together < alone and together <= Regularity.WITH_GAPS:
                rest = [lane for n, lane in enumerate(lanes) if n not in (one, other)]
                return _mended([both, *rest], row)
    return lanes


def _by_offset(frames: Sequence[Frame], row: SlicePositions) -> list[Indices]:
    """Pieces that lie beside one another: those of two scans with other centres."""
    plane = frames[0].plane
    if plane is None:
        return []
    beside = row.positions_mm - np.outer(row.along_mm, normal_of(plane))
    keys = [tuple(offset) for offset in np.round(beside / max(row.pixel_mm, 0.1)).astype(int).tolist()]
    pieces = [np.array([n for n, key in enumerate(keys) if key == one], dtype=np.intp) for one in dict.fromkeys(keys)]
    return pieces if len(pieces) <= _MOST_LANES and len(_large(pieces)) == len(pieces) else []  # one slice astray is no scan


def _chains(row: SlicePositions) -> list[Indices]:
    """Returns slices in even steps, chain by chain, each step the commonest among the slices that are left."""
    if in_order(row)[1]:
        return []
    left = np.argsort(row.along_mm, kind="stable")
    chains: list[Indices] = []
    while len(left) >= _LEAST_SLICES and len(chains) < _MOST_LANES:
        chain = _chain(row.along_mm[left], _commonest_step(row.along_mm[left]))
        chains.append(left[chain])
        left = np.delete(left, chain)
    return [*chains, *([left] if len(left) else [])]


def _commonest_step(along: NDArray[np.float64]) -> float:
    """Returns the distance that most slices have to one of their next three."""
    gaps = np.sort(np.concatenate([along[lag:] - along[:-lag] for lag in (1, 2, 3)]))
    counts = np.searchsorted(gaps, 1.02 * gaps, side="right") - np.searchsorted(gaps, 0.98 * gaps, side="left")
    return float(gaps[int(np.argmax(counts))])


def _chain(along: NDArray[np.float64], step: float) -> Indices:
    """Returns the longest chain of slices, in order, that are a step apart."""
    best: list[int] = []
    for start in range(min(8, len(along))):
        chain = [start]
        while True:
            wanted = along[chain[-1]] + step
            above = int(np.searchsorted(along, wanted))
            nearest = min((n for n in (above - 1, above) if n < len(along)), key=lambda n: abs(along[n] - wanted))
            if abs(along[nearest] - wanted) > 0.1 * step or nearest <= chain[-1]:
                break
            chain.append(nearest)
        best = chain if len(chain) > len(best) else best
    return np.array(best, dtype=np.intp)


def _overlap_any(pieces: Sequence[Indices], row: SlicePositions) -> bool:
    ranges = sorted((float(row.along_mm[piece].min()), float(row.along_mm[piece].max())) for piece in _large(pieces))
    return any(low < high for (_, high), (low, _) in pairwise(ranges))


def _step(piece: Indices, along: NDArray[np.float64]) -> float:
    """Returns the usual distance within a piece; 0 where it is one slice."""
    gaps = np.diff(np.sort(along[piece]))
    gaps = gaps[gaps > 1e-3]
    return float(np.median(gaps)) if len(gaps) else 0.0


def _sortable(value: object) -> tuple[float, str]:
    """Returns a key by which numbers sort as numbers and other values as texts."""
    try:
        return float(str(value)), ""
    except ValueError:
        return float("inf"), str(value)


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
