"""Independent witnesses of what a neck is called: each measures one thing, and says how much it speaks for the names.

A witness returns a log-likelihood ratio: how much likelier what it sees is if the names are right than if they are not. They are
combined in :mod:`cspine.locating.weighing`. None of them asks the network for names; :func:`upright` compares how sure it is of
the neck as stored and turned upside down.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.imaging.vertebrae import frame
from cspine.locating.located import Located, Question, Witness
from cspine.specs import OTHER_BONE_CLASS
from cspine.volume import Volume

_STEP = 2
"""Air and brain are measured on every second voxel."""

_AIR_HU, _BONE_HU, _BRAIN_HU = -400.0, 180.0, (-20.0, 120.0)

_AIRWAY_MM, _AIRWAY_BESIDE_MM = (15.0, 75.0), 20.0
"""How far before the middle of a vertebra pharynx and trachea lie, and how far beside it."""

_AIRWAY_ML = 0.25
"""Of a slab of 25 mm: less is no airway."""

_BRAIN_CM2, _LUNG_CM2 = 20.0, 15.0
"""Smallest areas in one slice of a brain in a skull, and of a lung beside the spine."""

_LUNG_BESIDE_MM = 28.0
"""Nearer to the middle there is air of nose, mouth and throat too."""

_RIB_LEVELS = frozenset({Level.C3, Level.C4, Level.C5})
"""Beside C1 and C2 there are jaw and skull, beside C6 and C7 shoulders and the first rib."""

_RIB_HALF_MM, _RIB_BACK_MM, _RIB_BESIDE_MM = 9.0, (-10.0, 40.0), (38.0, 65.0)
"""Where a rib would be, from the middle of a vertebra along the spine, to the back, and to either side."""

_RIB_ML, _RIB_SEEN, _FEWEST_SIDES = 0.25, 0.6, 4
"""The least of a rib; less may be a vessel with contrast or a clip. The share of the place, and the sides that must be in view."""

_BEYOND_MM = 10.0
"""Skull and chest are sought this far above the middle of the first vertebra and below that of the last."""

_COMPARED = 2_000_000
"""Voxels that are compared between slices, at most."""

_TISSUE_HU = (-300.0, 700.0)
_FEWEST_SLICES = 8

_INTERLEAVED = 0.93
"""A slice that is nearer than this to the next but one, against the next, belongs to another stack than the next."""

_AXIAL = 0.7
"""Cosine of the angle of a stack to the length of the body, above which it runs along it."""

_REPEATED = 0.4
"""Share of slices that may be there more than once; slices of air are all one."""

_CERTAINTY_NATS = 60.0
"""Log-likelihood ratio for each nat of entropy that the network loses where the neck is turned upside down."""

_MOST = 6.0
"""No witness says more, either way."""


@dataclass(frozen=True, slots=True, eq=False)
class CoarseScan:
    """The scan around a neck, on few voxels.

    Attributes:
        hu: HU, ``(z, y, x)``.
        grid: Upright, slices from feet to head.
        seen: Which voxels the scan holds.
        inner_air: Air that lies within the body.
    """

    hu: NDArray[np.float32]
    grid: Grid
    seen: NDArray[np.bool_]
    inner_air: NDArray[np.bool_]

    @classmethod
    def of(cls, volume: Volume, seen: NDArray[np.bool_]) -> "CoarseScan":
        """Returns every second voxel of an upright scan."""
        hu = volume.hu[::_STEP, ::_STEP, ::_STEP]
        affine = volume.grid.affine.copy()
        affine[:3, :3] *= _STEP
        grid = Grid(hu.shape, affine)
        known = seen[::_STEP, ::_STEP, ::_STEP]
        return cls(hu, grid, known, _inner_air((hu < _AIR_HU) | ~known) & known)


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    """One slice: HU and inner air ``(y, x)``, the column of the spine, and the grid of the view."""

    hu: NDArray[np.float32]
    inner_air: NDArray[np.bool_]
    column: float
    grid: Grid


def airway(located: Located, view: CoarseScan) -> Witness:
    """Returns whether pharynx and trachea lie before the spine, as the names of its levels have it, or behind."""
    front = rear = 0
    for one in located.vertebrae:
        z, y, x = (round(float(place)) for place in view.grid.index(one.centre_mm))
        slab = view.inner_air[max(z - 2, 0) : z + 3]
        front += _has_airway(slab, y, x, view.grid, -1)
        rear += _has_airway(slab, y, x, view.grid, 1)
    if front + rear == 0:
        return Witness("airway", Question.FRONT, 0.0, "No airway is in view.")
    if front > 2 * rear:
        ratio = 3.0 if rear == 0 and front > 1 else 1.0
    elif rear == 1 and front:  # a pocket of air behind one vertebra says nothing
        ratio = 0.0
    else:
        ratio = -_MOST if front == 0 and rear > 1 else -3.0
    return Witness(
        "airway", Question.FRONT, ratio, f"There is air of the throat in front of {front} and behind {rear} of the vertebrae."
    )


def brain(located: Located, view: CoarseScan) -> Witness:
    """Returns whether a skull with its brain lies above the neck, or below."""
    above, below = (_largest_cm2(part, _brain_area) for part in _beyond(located, view))
    if max(above, below) < _BRAIN_CM2:
        return Witness("brain", Question.HEAD, 0.0, "No brain is in view.")
    ratio = 4.0 if below < _BRAIN_CM2 / 2 else -_MOST if above < _BRAIN_CM2 / 2 else -3.0
    return Witness(
        "brain", Question.HEAD, ratio, f"Brain within bone: {above:.0f} cm2 in a slice above the neck, {below:.0f} cm2 below."
    )


def lungs(located: Located, view: CoarseScan) -> Witness:
    """Returns whether lungs lie below the neck, or above."""
    above, below = (_largest_cm2(part, _lung_area) for part in _beyond(located, view))
    if max(above, below) < _LUNG_CM2:
        return Witness("lungs", Question.HEAD, 0.0, "No lung is in view.")
    ratio = 2.0 if above < below / 3 else -3.0 if below < above / 3 else 0.0
    return Witness(
        "lungs", Question.HEAD, ratio, f"Lung beside the spine: {below:.0f} cm2 in a slice below the neck, {above:.0f} cm2 above."
    )


def ribs(located: Located, view: CoarseScan) -> Witness:
    """Returns whether there is bone beside and behind C3 to C5, where a chest has ribs and a neck has muscle."""
    places_mm = view.grid.world(np.argwhere(view.seen))
    bone, voxel_ml = view.hu[view.seen] > _BONE_HU, float(np.prod(view.grid.spacing_mm)) / 1000
    least_ml = _RIB_SEEN * 2 * _RIB_HALF_MM * np.ptp(_RIB_BACK_MM) * np.ptp(_RIB_BESIDE_MM) / 1000
    sides = with_bone = 0
    for one in located.vertebrae:
        if one.level in _RIB_LEVELS:
            up, back, left = ((places_mm - one.centre_mm) @ frame(one.axis)).T
            behind = (np.abs(up) < _RIB_HALF_MM) & (back > _RIB_BACK_MM[0]) & (back < _RIB_BACK_MM[1])
            for side in (-left, left):
                there = behind & (side > _RIB_BESIDE_MM[0]) & (side < _RIB_BESIDE_MM[1])
                if np.count_nonzero(there) * voxel_ml >= least_ml:
                    sides += 1
                    with_bone += bool(np.count_nonzero(bone & there) * voxel_ml >= _RIB_ML)
    text = f"There is bone beside {with_bone} of {sides} sides of C3 to C5, where a chest has ribs and a neck has muscle."
    against = sides >= _FEWEST_SIDES and with_bone > sides / 2  # that there are none says nothing: a limb has none either
    return Witness("ribs", Question.REGION, -_MOST if against else 0.0, text)


def anatomy(located: Located, view: CoarseScan) -> list[Witness]:
    """Returns what lies around the neck says: the airway, the brain, the lungs, and ribs."""
    return [airway(located, view), brain(located, view), lungs(located, view), ribs(located, view)]


def upright(as_stored: NDArray[np.float32], upside_down: NDArray[np.float32]) -> Witness:
    """Returns whether a network is less sure of the neck when it is turned upside down.

    Args:
        as_stored: Its prediction of a window that holds the neck, ``(z, y, x, 10)``.
        upside_down: That of the window turned upside down.
    """
    own, turned = _entropy(as_stored), _entropy(upside_down)
    ratio = float(np.clip(_CERTAINTY_NATS * (turned - own), -_MOST, _MOST))
    return Witness("upright", Question.HEAD, ratio, f"Entropy of the network: {own:.2f} nats as stored, {turned:.2f} upside down.")


def slice_order(volume: Volume) -> Witness:
    """Returns whether the slices are those of one stack: each once, and more like the next than the next but one."""
    step = max(1, round((volume.hu.size / _COMPARED) ** 0.5))
    hu = np.clip(volume.hu[:, ::step, ::step], *(volume.hu.dtype.type(edge) for edge in _TISSUE_HU))
    if len(hu) < _FEWEST_SLICES:
        return Witness("slice_order", Question.SLICES, 0.0, "There are too few slices to compare.")
    repeated = sum(count > 1 for count in Counter(one.tobytes() for one in hu).values())
    axial = abs(volume.grid.directions[2, 0]) > _AXIAL  # from side to side a body is like its mirror image
    if axial and repeated > _REPEATED * len(hu):
        return Witness("slice_order", Question.SLICES, -_MOST, f"{repeated} of {len(hu)} slices occur twice.")
    next_one, next_but_one = (float(np.abs(hu[away:] - hu[:-away]).mean()) for away in (1, 2))
    if next_but_one >= _INTERLEAVED * next_one:
        return Witness("slice_order", Question.SLICES, 0.0, "Neighbouring slices are alike.")
    text = f"Slices differ by {next_one:.0f} HU from the next and by {next_but_one:.0f} HU from the next but one."
    return Witness("slice_order", Question.SLICES, -_MOST, text)


def log_ratio(observed: float, usual: float, spread: float, wide: float = 0.5) -> float:
    """Returns the log-likelihood ratio of a size: log-normal about the usual one, against one that may be anything.

    Args:
        observed: What was measured.
        usual: What is usual.
        spread: Standard deviation of the logarithm where names are right.
        wide: The same where they are not.
    """
    away = float(np.log(max(observed, 1e-3) / usual))
    ratio = (away / wide) ** 2 / 2 - (away / spread) ** 2 / 2 + float(np.log(wide / spread))
    return float(np.clip(ratio, -_MOST, _MOST))


def _entropy(probabilities: NDArray[np.float32]) -> float:
    """Returns the mean entropy of what is a vertebra, nats; the largest there is where nothing is."""
    bone = probabilities[probabilities[..., 0] + probabilities[..., OTHER_BONE_CLASS] < 0.5]
    if not len(bone):
        return float(np.log(probabilities.shape[-1]))
    return float(-(bone * np.log(bone + 1e-6)).sum(axis=-1).mean())


def _inner_air(air: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the air of each slice that hangs together neither with the air around the body nor with what is not seen."""
    inner = np.zeros_like(air)
    for height, slice_ in enumerate(air):
        parts, count = ndimage.label(slice_)
        if count:
            outer = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
            inside = np.ones(count + 1, bool)
            inside[outer] = inside[0] = False
            inner[height] = inside[parts]
    return inner


def _has_airway(slab: NDArray[np.bool_], y: int, x: int, grid: Grid, side: int) -> bool:
    """Returns whether there is enough air before (-1) or behind (1) a place in some slices."""
    _, dy, dx = grid.spacing_mm
    near, far = sorted(round(y + side * away / dy) for away in _AIRWAY_MM)
    beside = round(_AIRWAY_BESIDE_MM / dx)
    air = slab[:, max(near, 0) : max(far + 1, 0), max(x - beside, 0) : x + beside + 1]
    return bool(np.count_nonzero(air) * np.prod(grid.spacing_mm) / 1000 >= _AIRWAY_ML)


def _beyond(located: Located, view: CoarseScan) -> tuple[Sequence[_Slice], Sequence[_Slice]]:
    """Returns the slices above and below the neck."""
    heights = [one.centre_mm[2] for one in located.vertebrae]
    middle = float(np.mean([one.centre_mm[0] for one in located.vertebrae]))
    first = view.grid.affine[2, 3]
    step = view.grid.spacing_mm[0]
    top, bottom = (max(heights) + _BEYOND_MM - first) / step, (min(heights) - _BEYOND_MM - first) / step
    x = float(view.grid.index((middle, 0.0, 0.0))[2])
    held = [height for height in range(len(view.hu)) if view.seen[height].any()]
    slices = {height: _Slice(view.hu[height], view.inner_air[height], x, view.grid) for height in held}
    return [slices[h] for h in held if h >= top], [slices[h] for h in held if h <= bottom]


def _largest_cm2(slices: Sequence[_Slice], area: Callable[[_Slice], int]) -> float:
    """Returns the largest area of any slice."""
    if not slices:
        return 0.0
    _, dy, dx = slices[0].grid.spacing_mm
    return max(area(one) for one in slices) * dy * dx / 100


def _brain_area(one: _Slice) -> int:
    """Returns how many pixels are as dense as brain and lie within a ring of bone."""
    bone = ndimage.binary_closing(one.hu > _BONE_HU, np.ones((3, 3), bool))
    within = ndimage.binary_fill_holes(bone) & ~bone
    return int(np.count_nonzero(within & (one.hu > _BRAIN_HU[0]) & (one.hu < _BRAIN_HU[1])))


def _lung_area(one: _Slice) -> int:
    """Returns how many pixels are air within the body and lie well beside the spine."""
    beside = np.abs(np.arange(one.hu.shape[1]) - one.column) * one.grid.spacing_mm[2] > _LUNG_BESIDE_MM
    return int(np.count_nonzero(one.inner_air & beside))
