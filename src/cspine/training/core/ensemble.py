"""Makes one network of those of several folds: the average of what they say; and the scores that it is calibrated on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.networks.loading import load_network
from cspine.training.core.runs import Run


@dataclass(frozen=True, slots=True)
class PackagedFolds:
    """Counts the networks of a package, their held-out studies, and those of the calibration.

    Attributes:
        networks: How many are averaged.
        held_out: Studies that one of them has not seen.
        calibrated: Studies that calibration and thresholds come from.
        apart: Whether those had no part in the run.
    """

    networks: int
    held_out: int
    calibrated: int
    apart: bool

    @classmethod
    def of(cls, run: Run, folds: Sequence[int]) -> "PackagedFolds":
        """Returns the counts of some folds of a run."""
        held_out = sum(len(run.held_out_scores(fold)) for fold in folds)
        apart = all(run.is_calibrated(fold) for fold in folds)
        return cls(len(folds), held_out, len(calibration_scores(run, folds)), apart)

    def lines(self, patients: int, role: str) -> tuple[str, ...]:
        """Returns what the card says of them.

        Args:
            patients: Studies that any of the networks was trained on.
            role: What held-out studies were for, a verb in the past.
        """
        if self.networks == 1:
            return (
                f"{patients} studies are the training set, {self.held_out} others {role}.",
                f"Calibration and thresholds: {self.calibrated} studies outside the training set.",
            )
        whom = "that had no part in the run" if self.apart else "each by the network that has not seen it (out of fold)"
        return (
            f"The average of {self.networks} networks. Each was trained on {patients} studies but those of one fold, which {role}.",
            f"Prediction costs {self.networks} times the calculation of one network.",
            f"Calibration and thresholds: {self.calibrated} studies, {whom}.",
        )


def served_network(run: Run, folds: Sequence[int], outputs: Sequence[str]) -> keras.Model:
    """Returns a network with the outputs that are served: that of a fold, or the average of several.

    Args:
        run: The run.
        folds: Which.
        outputs: Names; those that the networks do not have are left out.

    Raises:
        TrainingError: One is not trained to its end.
    """
    trained = [load_network(run.network(fold)) for fold in folds]
    names = [name for name in outputs if name in trained[0].output]
    parts = [keras.Model(one.inputs, {name: one.output[name] for name in names}) for one in trained]
    if len(parts) == 1:
        return parts[0]
    (seen,) = trained[0].inputs
    image = keras.Input(seen.shape[1:], name=seen.name)
    for fold, part in zip(folds, parts, strict=True):
        part.name = f"fold{fold}"  # parts of one network need names of their own
    predicted = [part(image) for part in parts]
    return keras.Model(image, {name: keras.layers.Average(name=name)([one[name] for one in predicted]) for name in names})


def calibration_scores(run: Run, folds: Sequence[int]) -> StudyScores:
    """Returns the scores that a package is calibrated on.

    Those of studies that had no part in the run are averaged over its networks; otherwise each study has that of the network that
    held it out.

    Raises:
        TrainingError: A fold is not trained, or the folds were not all calibrated on the same studies.
    """
    scores = [run.calibration_scores(fold) for fold in folds]
    apart = {run.is_calibrated(fold) for fold in folds}
    if apart == {False}:
        return StudyScores.joined(scores)
    if len(apart) > 1 or any(one.study_uids != scores[0].study_uids for one in scores):
        raise TrainingError(
            f"Networks that are averaged must be calibrated on the same studies, or all on those that they held out. "
            f"Run `cspine calibrate {run.folder} --data DIR` when all folds are trained."
        )
    return replace(scores[0], scores=np.mean([one.scores for one in scores], axis=0))
