"""A study judged as it is and mirrored, and so again on the next slices: the mean is said, how far they part is how sure it is.

Training's evaluation and the service both call this, so that what is measured is what is served.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.modelpack.calibration import logits

_SIDES = 2
"""Views of one set of slices."""


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What a network that judges vertebra by vertebra says about a study.

    Attributes:
        scores: Overall and C1..C7, 0..1, not calibrated, ``(8,)``.
        each: The same of each view, ``(views, 8)``.
        cells: How strongly each cell speaks for a fracture, 0..1, ``(7, slices, rows / 8, columns / 8)``.
        attention: How much each slice counts, ``(7, slices)``.

    Where a study is judged on two sets of slices, cells and slices are those of the first.
    """

    scores: NDArray[np.float64]
    each: NDArray[np.float64]
    cells: NDArray[np.float32] = field(repr=False)
    attention: NDArray[np.float32] = field(repr=False)


def slice_sets(views: int) -> int:
    """On how many sets of slices a study is judged that is judged so often; each is raised by a slice above the one before."""
    return max(views // _SIDES, 1)


def views_of(crops: NDArray[np.float32], views: int) -> NDArray[np.float32]:
    """A study as often as it is judged, each set of slices as it is and mirrored.

    Args:
        crops: Of as many sets of slices as :func:`slice_sets` says, ``(sets, 7, slices, rows, columns, channels)``.
        views: How often it is judged.

    Returns:
        ``(views, 7, slices, rows, columns, channels)``.
    """
    return np.stack([side for one in crops for side in (one, one[..., ::-1, :])][:views])


def from_views(said: Mapping[str, NDArray[np.floating]]) -> Views:
    """What the outputs for the views of a study amount to.

    Args:
        said: ``overall`` ``(views, 1)``, ``fracture`` ``(views, 7)``, ``attention`` ``(views, 7, slices)`` and ``fracture_map``
            ``(views, 7, slices, rows / 8, columns / 8)``.
    """
    each = np.concatenate([said["overall"], said["fracture"]], axis=1).astype(np.float64)
    cells = np.asarray(said["fracture_map"][:_SIDES], dtype=np.float32).copy()
    cells[1:] = cells[1:, ..., ::-1]
    return Views(
        scores=1 / (1 + np.exp(-logits(each).mean(axis=0))),
        each=each,
        cells=cells.mean(axis=0),
        attention=np.asarray(said["attention"][:_SIDES], dtype=np.float32).mean(axis=0),
    )
