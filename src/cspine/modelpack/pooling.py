"""Pools slices to vertebrae: the outputs of a slice network become one score per level.

Each level is looked for in its place along the stack (:mod:`cspine.modelpack.ordering`); it is *visible* in those slices there
whose visibility is at least half of the level's peak. Its score is the generalised mean (exponent 4) of the fracture outputs of
those slices, weighted by visibility: near the largest, but one noisy slice alone does not decide. The overall score is the noisy-OR
of the levels that are in view: ``1 - product(1 - score)``; training watches it. What people read is made of the calibrated
probabilities instead (:class:`cspine.modelpack.Calibration`).

Training's evaluation and the service both call this, so that what is measured is what is served.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.errors import PackageError
from cspine.modelpack.ordering import order_of

POOLING = "ordered_visible_generalised_mean_4_noisy_or"
"""The name of this pooling, which a package records."""

IN_VIEW = 0.5
"""From this visibility in its best slice on, a level is in view."""

_EXPONENT = 4
_OF_PEAK = 0.5
_BELOW_VIEW = np.nextafter(IN_VIEW, 0)
"""A level that has no place of its own is not in view, however visible it seems."""


@dataclass(frozen=True, slots=True, eq=False)
class PooledScores:
    """Holds what a slice network predicts for a study, not yet calibrated.

    Attributes:
        scores: Fracture score of C1..C7, 0..1, ``(7,)``.
        visibility: Visibility in the best slice of the level's place, 0..1, ``(7,)``.
        key_slice: Which slice of the stack has the most evidence for a fracture of the level, ``(7,)``.
        first_slice: The first slice in which the level is visible, ``(7,)``.
        last_slice: The last slice in which it is visible, included, ``(7,)``.
        overall: Noisy-OR of the levels in view; 0 where none is.
    """

    scores: NDArray[np.float64]
    visibility: NDArray[np.float64]
    key_slice: NDArray[np.intp]
    first_slice: NDArray[np.intp] = field(repr=False)
    last_slice: NDArray[np.intp] = field(repr=False)
    overall: float

    @property
    def in_view(self) -> NDArray[np.bool_]:
        """Returns which levels the scan shows, ``(7,)``."""
        shown: NDArray[np.bool_] = self.visibility >= IN_VIEW
        return shown

    @property
    def outputs(self) -> NDArray[np.float64]:
        """Returns scores, overall and C1..C7, 0 where a level is not in view, ``(8,)``, as :class:`Calibration` takes them."""
        return np.concatenate([[self.overall], np.where(self.in_view, self.scores, 0.0)])


def pool_slices(fracture: NDArray[np.floating], visible: NDArray[np.floating]) -> PooledScores:
    """Returns one score per level from the outputs of a slice network.

    Args:
        fracture: Fracture probability of C1..C7 by slice, ``(n, 7)``, slices from feet to head.
        visible: How much of C1..C7 is in each slice, 0..1, ``(n, 7)``.

    Raises:
        PackageError: The outputs have another shape, or are not finite.
    """
    broken = np.asarray(fracture, dtype=np.float64)
    shown = np.asarray(visible, dtype=np.float64)
    levels = len(CERVICAL)
    if broken.shape != shown.shape or broken.ndim != 2 or broken.shape[1] != levels or not len(broken):
        raise PackageError(f"Outputs of a slice network must both be (slices, {levels}). Received: {broken.shape}, {shown.shape}.")
    if not (np.all(np.isfinite(broken)) and np.all(np.isfinite(shown))):
        raise PackageError("Outputs of a slice network must be finite. Received: NaN or infinity; run it at higher precision.")
    broken, shown = np.clip(broken, 0, 1), np.clip(shown, 0, 1)
    order = order_of(shown)
    place = np.arange(len(shown))[:, None]
    shown = np.where((place >= order.first) & (place <= order.last), shown, 0.0)
    peak = shown.max(axis=0)
    counted = shown >= np.maximum(_OF_PEAK * peak, np.finfo(np.float64).tiny)
    weights = np.where(counted, shown, 0.0)
    total = weights.sum(axis=0)
    mean = (weights * broken**_EXPONENT).sum(axis=0) / np.where(total > 0, total, 1)
    scores = mean ** (1 / _EXPONENT)
    visibility = np.where(order.found, peak, np.minimum(peak, _BELOW_VIEW))
    return PooledScores(
        scores=scores,
        visibility=visibility,
        key_slice=np.argmax(weights * broken + weights * 1e-9, axis=0),
        first_slice=np.argmax(counted, axis=0),
        last_slice=len(counted) - 1 - np.argmax(counted[::-1], axis=0),
        overall=float(1 - np.prod(1 - scores[visibility >= IN_VIEW])),
    )
