"""Asking networks that judge vertebra by vertebra: vertebrae where the localiser finds them, and where they look broken."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import CERVICAL
from cspine.datasets import Case
from cspine.evaluation.localisation import NOT_A_LESION, StudyLocalisation
from cspine.imaging.vertebrae import own_cells
from cspine.modelpack import Calibration, OwnOverall
from cspine.modelpack.tta import TtaPrediction
from cspine.networks.loading import load_network
from cspine.specs import VertebraSpec
from cspine.training.core.family import Examined
from cspine.training.slices.fitting import Reporter
from cspine.training.vertebrae.batches import Targets, fracture_bit, study_input, unchanged
from cspine.training.vertebrae.crops import Cutting, Finder, StudyCrops, prepare_crops
from cspine.training.vertebrae.prediction import scores_of, views_by
from cspine.training.vertebrae.settings import VertebraRecipe

_EVERY_SIDE = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, slots=True)
class VertebraExaminer:
    """An :class:`cspine.training.core.family.Examiner`.

    Attributes:
        recipe: What the networks were trained with.
        finder: Who finds the vertebrae; by default as in service.
    """

    recipe: VertebraRecipe
    finder: Finder = Finder.LOCALISER

    @property
    def calibration(self) -> type[Calibration]:
        """The network judges the study itself."""
        return OwnOverall

    def examine(self, network: Path, cases: Sequence[Case], cache: Path, reporter: Reporter, *, places: bool) -> Examined:
        """See :class:`cspine.training.core.family.Examiner`."""
        model = load_network(network)
        studies = prepare_crops(cases, Cutting(self.recipe.input, self.recipe.crops, self.finder), cache, reporter.say)
        seen, looked = [], []
        for number, study in enumerate(studies, 1):
            reporter.say(f"judging study {number} of {len(studies)}")
            seen.append(views_by(model, study, self.recipe))
            if places:
                fed, targets = study_input(study, unchanged(), self.recipe)
                known = fracture_bit(study, self.recipe) is not None
                looked.append(_places(study, seen[-1], _Known(own_cells_of(fed, self.recipe.input), targets) if known else None))
        return Examined(scores_of(studies, seen), tuple(looked))


def own_cells_of(crops: NDArray[np.float32], spec: VertebraSpec) -> NDArray[np.bool_]:
    """Which cells are each vertebra's own, ``(7, slices, rows / 8, columns / 8)``."""
    return np.stack([own_cells(crop, spec) for crop in crops])


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Where fractures are, and which cells belong to the vertebrae."""

    own: NDArray[np.bool_]
    targets: Targets


def _places(study: StudyCrops, seen: TtaPrediction, known: _Known | None) -> StudyLocalisation:
    """Where each vertebra of a study is suspected to be broken, and whether it is broken there.

    Each fractured level is one fracture; the place of a level is its strongest cell, and lies on the fracture if it is at most one
    cell away. A study that is fractured and does not tell where is not counted.
    """
    dice, broken = np.full(len(CERVICAL), np.nan), study.broken
    if known is None and broken.any():
        return StudyLocalisation(None, np.empty(0), np.empty(0, dtype=np.intp), dice)
    lesion, hits = np.cumsum(broken) - 1, []
    for i in np.flatnonzero(study.there):
        on = False
        if broken[i] and known is not None:
            cells = seen.cells[i] * known.own[i]
            marked = ndimage.binary_dilation(known.targets["fracture_map"][i] > 0, _EVERY_SIDE)
            on = bool(marked[np.unravel_index(int(np.argmax(cells)), cells.shape)])
        hits.append(int(lesion[i]) if on else NOT_A_LESION)
    return StudyLocalisation(int(broken.sum()), seen.scores[1:][study.there], np.array(hits, dtype=np.intp), dice)
