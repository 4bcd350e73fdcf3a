"""Test-time augmentation (TTA): one pass over a study as it is, one over the mirrored study on the next slices.

The mean of the logits is the result, the range of the passes says how sure it is. Training's evaluation and the service both call
this, so that what is measured is what is served.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.modelpack.calibration import logits


@dataclass(frozen=True, slots=True, eq=False)
class TtaPrediction:
    """Holds what a network that classifies vertebra by vertebra predicts for a study, over all passes.

    Cells and slices lie where those of the first pass do; those of the second are a slice nearer the head.

    Attributes:
        scores: Overall and C1..C7, 0..1, not calibrated, ``(8,)``.
        each: The same for each pass, ``(passes, 8)``.
        cells: How strongly each cell speaks for a fracture, 0..1, ``(7, slices, rows / 8, columns / 8)``.
        attention: How much each slice counts, ``(7, slices)``.
    """

    scores: NDArray[np.float64]
    each: NDArray[np.float64]
    cells: NDArray[np.float32] = field(repr=False)
    attention: NDArray[np.float32] = field(repr=False)


def tta_inputs(crops: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the input of every pass, from sets of slices of which each is a slice nearer the head than the one before.

    Args:
        crops: As many sets as there are passes, ``(passes, 7, slices, rows, columns, channels)``.
    """
    return np.stack([tta_transform(one, number) for number, one in enumerate(crops)])


def tta_transform(crops: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """Returns a view of crops ``(..., rows, columns, channels)`` as a pass sees them: every other pass is mirrored."""
    return crops[..., ::-1, :] if number % 2 else crops


def combine_tta(outputs: Mapping[str, NDArray[np.floating]]) -> TtaPrediction:
    """Combines the outputs of all passes over a study.

    Args:
        outputs: ``overall`` ``(passes, 1)``, ``fracture`` ``(passes, 7)``, ``attention`` ``(passes, 7, slices)`` and
            ``fracture_map`` ``(passes, 7, slices, rows / 8, columns / 8)``.
    """
    each = np.concatenate([outputs["overall"], outputs["fracture"]], axis=1).astype(np.float64)
    cells = np.asarray(outputs["fracture_map"], dtype=np.float32).copy()
    cells[1::2] = cells[1::2, ..., ::-1]
    return TtaPrediction(
        scores=1 / (1 + np.exp(-logits(each).mean(axis=0))),
        each=each,
        cells=cells.mean(axis=0),
        attention=np.asarray(outputs["attention"], dtype=np.float32).mean(axis=0),
    )
