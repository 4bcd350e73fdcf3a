"""A study judged as it is, and mirrored on the next slices: the mean is what is said, how far they part is how sure it is.

Training's evaluation and the service both call this, so that what is measured is what is served.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.modelpack.calibration import logits


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What a network that judges vertebra by vertebra says about a study.

    Attributes:
        scores: Overall and C1..C7, 0..1, not calibrated, ``(8,)``.
        each: The same of each view, ``(views, 8)``.
        cells: How strongly each cell speaks for a fracture, 0..1, ``(7, slices, rows / 8, columns / 8)``.
        attention: How much each slice counts, ``(7, slices)``.

    Cells and slices lie where those of the first view do; those of the second are a slice nearer the head.
    """

    scores: NDArray[np.float64]
    each: NDArray[np.float64]
    cells: NDArray[np.float32] = field(repr=False)
    attention: NDArray[np.float32] = field(repr=False)


def views_of(crops: NDArray[np.float32]) -> NDArray[np.float32]:
    """The views of a study, of its sets of slices, each a slice nearer the head than the one before.

    Args:
        crops: As many sets as there are views, ``(views, 7, slices, rows, columns, channels)``.
    """
    return np.stack([as_seen(one, number) for number, one in enumerate(crops)])


def as_seen(crops: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """Crops ``(..., rows, columns, channels)`` as a view sees them, not copied: every other view is mirrored."""
    return crops[..., ::-1, :] if number % 2 else crops


def from_views(said: Mapping[str, NDArray[np.floating]]) -> Views:
    """What the outputs for the views of a study amount to.

    Args:
        said: ``overall`` ``(views, 1)``, ``fracture`` ``(views, 7)``, ``attention`` ``(views, 7, slices)`` and ``fracture_map``
            ``(views, 7, slices, rows / 8, columns / 8)``.
    """
    each = np.concatenate([said["overall"], said["fracture"]], axis=1).astype(np.float64)
    cells = np.asarray(said["fracture_map"], dtype=np.float32).copy()
    cells[1::2] = cells[1::2, ..., ::-1]
    return Views(
        scores=1 / (1 + np.exp(-logits(each).mean(axis=0))),
        each=each,
        cells=cells.mean(axis=0),
        attention=np.asarray(said["attention"], dtype=np.float32).mean(axis=0),
    )
