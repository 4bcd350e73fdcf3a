"""Finds the vertebrae of a scan with one network: a pass over all that may hold a neck, then one or two passes over the neck."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.geometry import Grid
from cspine.locating.levels import locate_levels
from cspine.locating.located import Located, Question, Witness
from cspine.locating.magnifying import magnified, magnified_located
from cspine.locating.measures import measure, scale
from cspine.locating.region_proposal import REGION_VOXEL, SMALLER_REGION_VOXEL, ProposedRegion, propose_regions
from cspine.locating.sliding_window import (
    ScanPrediction,
    covering_grid,
    holding,
    neck_shape,
    predict_region,
    predict_window,
    window_size,
    with_atlas_from,
    with_window,
)
from cspine.locating.trunk import trunk
from cspine.locating.weighing import count_odds, weigh
from cspine.locating.witnesses import CoarseScan, anatomy, slice_order, upright
from cspine.results import LevelStatus, Reason
from cspine.runtime import Session
from cspine.specs import VolumeSpec
from cspine.volume import LabelMap, Volume

_SMALL = 0.8
"""A neck of less than this times the usual size is located again, enlarged: a network trained on adults miscounts a child's."""

_CHILD = 0.6
"""The size that is tried where that of a neck cannot be measured."""

_SETTLED = 4.0
"""Where skull and chest say as much for the head being above, the network need not be run upside down."""

_BEYOND_DOUBT = 6.0
"""Log odds of a neck with sure names that end the search of other regions: its sizes fit, and a throat, skull or chest too."""

_UPRIGHT, _LEAST_UPRIGHT = np.cos(np.deg2rad([16.0, 60.0]))
"""Cosines of the angle to the length of the scan. A neck that leans less is not turned: one that leans by 14 degrees is outlined
less well so, one by 20 better. Nor is what seems to lie across the scan, as no neck does."""


def locate(volume: Volume, spec: VolumeSpec, session: Session, hu_ceiling: float) -> Located:
    """Finds C1..C7 in a scan.

    In a large scan, a pass on larger voxels proposes regions; the first pass is a sliding window over each of them, or over all of
    a small scan. Where none holds a neck, regions are proposed once more, on voxels that are not as large. A neck that is named
    surely gets a last pass in one window around all of it, with test-time augmentation. The window is turned as the neck leans: a
    leaning neck is named less well. A pass in between places that window, unless one such window covered the scan already.
    In a neck whose dens and arches are far denser than its bodies, a network misses the discs; so a HU ceiling holds in these
    passes. C1 is parted from dens and skull by gaps between dense bones, though, and is predicted without the ceiling.
    Witnesses then say how far the names may be trusted (:mod:`cspine.locating.weighing`). A neck much smaller than an adult's is
    located once more, enlarged.

    Args:
        volume: The scan, however it is oriented.
        spec: What the network is fed.
        session: The network.
        hu_ceiling: The HU ceiling, as a share of the median density of the neck's vertebrae.

    Raises:
        PackageError: The network does not do what it should.
    """
    network = _Inference(spec, session, hu_ceiling)
    found = _locate_as_it_is(volume, network)
    size = _small_size(found, volume, spec)
    if size is None:
        return found
    enlarged = _locate_as_it_is(magnified(volume, 1 / size), network)
    if not is_sure(enlarged):
        return found
    relative_size = size * scale(measure(enlarged))
    text = (
        f"This neck has {relative_size:.2f} times the usual size, as a child's; it was located enlarged. "
        "No fracture model was trained on such necks."
    )
    return replace(magnified_located(enlarged, size), reasons=(*enlarged.reasons, Reason("size_unusual", text)))


def _small_size(found: Located, volume: Volume, spec: VolumeSpec) -> float | None:
    """Returns the size of a neck, against the usual one, that is better located enlarged; ``None`` where there is no sign of one.

    In a small scan a child's neck may be named so badly that its size cannot be measured: a usual one is tried then.
    """
    size = scale(measure(found))
    if found.vertebrae and size <= _SMALL:
        return size
    whole = covering_grid(volume.grid, spec)
    in_one_window = all(side <= one for side, one in zip(whole.shape, window_size(whole.shape, spec), strict=True))
    return _CHILD if found.vertebrae and not is_sure(found) and in_one_window else None


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A neck in a region of the scan.

    Attributes:
        prediction: The first pass over the region.
        located: What it finds.
    """

    prediction: ScanPrediction
    located: Located

    @property
    def view(self) -> CoarseScan:
        """Returns the scan around the neck, as witnesses see it."""
        return CoarseScan.of(Volume(self.prediction.hu, self.prediction.grid), self.prediction.seen)


@dataclass(frozen=True, slots=True, eq=False)
class _Inference:
    """A network, what it is fed, and the HU ceiling of passes over the neck."""

    spec: VolumeSpec
    session: Session
    hu_ceiling: float

    def predict(self, hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predicts one window, ``(z, y, x, 10)``."""
        return predict_window(hu, self.spec, self.session)


def _locate_as_it_is(volume: Volume, network: _Inference) -> Located:
    """Returns the neck that the passes find at the size that the scan has; in a large scan, regions may be proposed twice."""
    unsure = []
    for voxel in (REGION_VOXEL, SMALLER_REGION_VOXEL):
        regions = propose_regions(volume, network.spec, network.session, voxel)
        located = _locate_in(regions, volume, network)
        if is_sure(located) or any(region.vertebrae is None for region in regions):
            return located
        unsure.append(located)
    return next((located for located in unsure if located.vertebrae), unsure[0])


def _locate_in(regions: Sequence[ProposedRegion], volume: Volume, network: _Inference) -> Located:
    """Returns the neck that the first passes over some regions find likeliest and the last ones confirm."""
    candidates = _first_passes(regions, volume, network)
    order = slice_order(volume)
    doubted = []
    for candidate in candidates:
        if not is_sure(candidate.located):
            break
        last = _last_passes(candidate, volume, network, order)
        if is_sure(last):
            return last
        doubted.append(last)
    found = [*doubted, *(candidate.located for candidate in candidates)]
    return found[0] if found else _nothing(volume.grid, network.spec)


def _first_passes(regions: Sequence[ProposedRegion], volume: Volume, network: _Inference) -> list[_Candidate]:
    """Returns what the first pass finds in the regions of the scan, the likeliest neck first.

    Regions come with the largest spine first. After one that holds a neck beyond doubt the others need no pass.
    """
    found: list[tuple[tuple[bool, float], _Candidate]] = []
    for region in regions:
        prediction = predict_region(volume, region.grid, network.spec, network.session, region.vertebrae)
        located = locate_levels(prediction.probabilities, prediction.grid, prediction.seen)
        candidate = _Candidate(prediction, located)
        found.append((_likelihood(candidate, volume), candidate))
        if found[-1][0] >= (True, _BEYOND_DOUBT):
            break
    return [candidate for _, candidate in sorted(found, key=lambda one: one[0], reverse=True)]


def _likelihood(candidate: _Candidate, volume: Volume) -> tuple[bool, float]:
    """Ranks necks: with sure names first; then by their witnesses, which distinguish a limb or a trunk from a neck.

    The second number is the log odds that this is a neck and its names are counted right.
    """
    located = candidate.located
    if not located.vertebrae:
        return False, -np.inf
    witnesses = [*anatomy(located, candidate.view), *trunk(located, volume)]
    return is_sure(located), count_odds(located) + sum(witness.log_ratio for witness in witnesses)


def _last_passes(candidate: _Candidate, volume: Volume, network: _Inference, order: Witness) -> Located:
    """Returns what the passes over the neck find where the first pass found one, weighed by the witnesses."""
    located, first = candidate.located, candidate.prediction
    ceiling_hu = network.hu_ceiling * np.median(first.hu[np.isin(located.labels.labels, CERVICAL)])
    if not first.one_window:
        window = neck_window(located, first.grid, network.spec)
        first = holding(first, window, volume)
        second = with_window(first, window, network.predict(np.minimum(first.hu_in(window), ceiling_hu)))
        located = locate_levels(second.probabilities, second.grid, second.seen)
        if not is_sure(located):
            return located
    window = neck_window(located, first.grid, network.spec)
    first = holding(first, window, volume)
    hu = first.hu_in(window)
    capped = np.minimum(hu, ceiling_hu)
    own = network.predict(capped)
    augmented = network.predict(np.ascontiguousarray(capped[..., ::-1]))[:, :, ::-1]
    augmented += own
    augmented /= 2
    third = with_window(first, window, with_atlas_from(network.predict(hu), augmented))
    located = locate_levels(third.probabilities, third.grid, third.seen)
    if not located.vertebrae:
        return located
    witnesses = [order, *anatomy(located, replace(candidate, prediction=first).view), *trunk(located, volume)]
    if sum(witness.log_ratio for witness in witnesses if witness.question is Question.HEAD) < _SETTLED:
        witnesses.append(upright(own, network.predict(np.ascontiguousarray(capped[::-1]))))
    return weigh(located, witnesses)


def _nothing(scan: Grid, spec: VolumeSpec) -> Located:
    """Returns the result of a scan in which no region may hold a neck."""
    grid = covering_grid(scan, spec)
    return Located((), LabelMap(np.zeros(grid.shape, np.uint8), grid), np.empty((0, 3)))


def is_sure(located: Located) -> bool:
    """Returns whether any level has a sure name."""
    return any(one.status is not LevelStatus.UNCERTAIN for one in located.vertebrae)


def neck_window(located: Located, grid: Grid, spec: VolumeSpec) -> Grid:
    """Returns a window around all vertebrae that were found, turned so that a neck that leans stands upright in it.

    Args:
        located: The vertebrae, one at least.
        grid: Upright; an upright window has its voxels.
        spec: What the network is fed.
    """
    centres = np.array([one.centre_mm for one in located.vertebrae])
    shape = neck_shape(spec)
    middle = grid.index((centres.min(axis=0) + centres.max(axis=0)) / 2)
    upright = grid.part(np.rint(middle - (np.array(shape) - 1) / 2), shape)
    turn = _turn_up(centres[0] - centres[-1])
    affine = upright.affine.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = upright.centre_mm - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def _turn_up(towards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the shortest turn from upright into a direction, ``(3, 3)``; none where it is nearly there, or far off."""
    up, length = np.array([0.0, 0.0, 1.0]), float(np.linalg.norm(towards))
    if not length:
        return np.eye(3)
    about, cosine = np.cross(up, towards / length), float(towards @ up) / length
    if not _LEAST_UPRIGHT <= cosine <= _UPRIGHT:
        return np.eye(3)
    x, y, z = about
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))  # Rodrigues
