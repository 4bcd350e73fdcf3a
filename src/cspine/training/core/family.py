"""What a trained network says about studies, whatever its family: one seam for judging, calibration and export."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cspine.datasets import Case
from cspine.evaluation import StudyScores
from cspine.evaluation.localisation import StudyLocalisation
from cspine.modelpack import Calibration
from cspine.networks.loading import load_network
from cspine.training.slices.fitting import Reporter
from cspine.training.slices.localisation import all_outputs, study_places
from cspine.training.slices.prediction import all_slice_outputs, study_scores
from cspine.training.slices.settings import Recipe
from cspine.training.slices.stacks import prepare


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """What a network says about studies.

    Attributes:
        scores: Not calibrated, with the truth.
        places: Where it suspects fractures, in the same order; empty where nobody asked.
    """

    scores: StudyScores
    places: tuple[StudyLocalisation, ...] = ()


class Examiner(Protocol):
    """A recipe that knows how its networks are asked."""

    @property
    def calibration(self) -> type[Calibration]:
        """How its scores become probabilities."""
        ...

    def examine(self, network: Path, cases: Sequence[Case], cache: Path, reporter: Reporter, *, places: bool) -> Examined:
        """What a network says about studies.

        Args:
            network: Its file.
            cases: The studies.
            cache: Where prepared studies are kept.
            reporter: Who wants to know.
            places: Whether to look where it suspects fractures.

        Raises:
            InputError: A study cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class SliceExaminer:
    """Asks slice networks; an :class:`Examiner`.

    Attributes:
        recipe: What the networks were trained with.
    """

    recipe: Recipe

    @property
    def calibration(self) -> type[Calibration]:
        """The score of any fracture is made of those of the levels."""
        return Calibration

    def examine(self, network: Path, cases: Sequence[Case], cache: Path, reporter: Reporter, *, places: bool) -> Examined:
        """See :class:`Examiner`."""
        model, spec = load_network(network), self.recipe.input
        stacks = prepare(cases, spec, cache, reporter.say)
        if not places:
            return Examined(study_scores(stacks, all_slice_outputs(model, stacks, spec, reporter.say)))
        said, found = [], []
        for number, stack in enumerate(stacks, 1):
            reporter.say(f"judging study {number} of {len(stacks)}")
            outputs = all_outputs(model, stack, spec)
            said.append((outputs["fracture"], outputs["visible"]))
            found.append(study_places(stack, outputs))
        return Examined(study_scores(stacks, said), tuple(found))
