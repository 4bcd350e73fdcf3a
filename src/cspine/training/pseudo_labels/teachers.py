"""Masks for studies that have none, by somebody who knows where vertebrae are: what pseudo variants learn from.

The teacher is a run of slice networks that see the same input, a run of a localiser, or a package of one. It has never seen the
patients that are held out here.
"""

import csv
import hashlib
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.errors import PackageError, TrainingError
from cspine.files import write_text
from cspine.modelpack import LocaliserManifest, Package, TrainingData, load_localiser
from cspine.networks.loading import load_network
from cspine.specs import SliceSpec
from cspine.training.core.overrides import settings
from cspine.training.core.runs import Run, is_run, open_run
from cspine.training.pseudo_labels.localiser import ended_folds, package_marker, run_marker, sees_space
from cspine.training.pseudo_labels.store import Marker, Marking, marked
from cspine.training.slices.fitting import BEST, Reporter
from cspine.training.slices.prediction import levels_output, padded_outputs, seen_levels
from cspine.training.slices.settings import MaskUse, Recipe
from cspine.training.slices.stacks import Stack

Teacher = Run | Package[LocaliserManifest]

TAUGHT = "taught.csv"
"""In the folder of a fold: whose mask each study has that is learnt from, and why it has none."""


def teacher_of(recipe: Recipe) -> Teacher | None:
    """Who marks the studies without masks, or ``None`` where these stay as they are.

    Raises:
        TrainingError: There should be one and is none, it sees another input, or does not say whom it has seen.
    """
    if recipe.labels.masks is MaskUse.OWN:
        return None
    if not recipe.labels.teacher:
        raise TrainingError(
            f"{recipe.name} needs a trained run whose network marks the studies without masks, or a package that finds vertebrae. "
            "Give --teacher RUN or --teacher PACKAGE."
        )
    teacher = _found(recipe.labels.teacher)
    if isinstance(teacher, Package):
        if teacher.manifest.training_data is not TrainingData.PHANTOMS:
            raise TrainingError(
                f"A teacher must not have seen the patients that are held out. {teacher.manifest.name} has seen patients and "
                "does not say which; give the run that it was exported from, trained on the same data set, with the same split."
            )
        return teacher
    own = {key: value for key, value in settings(recipe).items() if key.startswith("input.")}
    other = sorted(key for key, value in own.items() if teacher.facts.settings.get(key) != value)
    if other and not sees_space(teacher):
        raise TrainingError(
            f"A teacher must see what the network sees. {teacher.folder} has another {', '.join(other)}; "
            "set these alike in both runs."
        )
    return teacher


def honest_fold(teacher: Run, held_out: Collection[str]) -> int:
    """A trained fold of the teacher whose network has learnt from none of some studies.

    Raises:
        TrainingError: There is none.
    """
    for fold in ended_folds(teacher) if sees_space(teacher) else teacher.trained_folds():
        if all(teacher.facts.folds.get(study_uid, fold) == fold for study_uid in held_out):
            return fold
    raise TrainingError(
        f"A teacher must not have seen the patients that are held out. {teacher.folder} has no such trained network; "
        "train it on the same data set and fold, with the same split."
    )


@dataclass(frozen=True, slots=True)
class Classroom:
    """Where masks of a teacher go.

    Attributes:
        cache: Where they are kept; runs may share it.
        home: The folder of the fold that learns from them, which gets a list.
    """

    cache: Path
    home: Path


def taught(
    stacks: Sequence[Stack], held_out: Collection[str], recipe: Recipe, place: Classroom, reporter: Reporter
) -> Sequence[Stack]:
    """The studies, with masks from the teacher of the recipe where they had none and nothing speaks against it.

    Args:
        stacks: Studies to learn from.
        held_out: Studies that are held out.
        recipe: Who is the teacher.
        place: Where masks, and the list of who got one, are written.
        reporter: Who wants to know.

    Raises:
        TrainingError: The teacher does not fit, or has seen what it must not.
        OutputError: ``place`` cannot be written.
    """
    teacher = teacher_of(recipe)
    if teacher is None:
        return stacks
    marker = _marker(teacher, held_out, recipe.input)
    found, rows = [], [("study_uid", "mask", "doubts")]
    for number, stack in enumerate(stacks, 1):
        if stack.case.mask:
            found.append(stack)
            rows.append((stack.case.study_uid, "own", ""))
            continue
        reporter.say(f"marking study {number} of {len(stacks)}")
        one = marked(stack, marker, place.cache / "taught")
        found.append(one.stack)
        rows.append((stack.case.study_uid, "none" if one.doubts else "taught", " ".join(doubt.code for doubt in one.doubts)))
        if one.doubts:
            reporter.warn(f"no mask for study {stack.case.study_uid}: {' '.join(doubt.text for doubt in one.doubts)}")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    place.home.mkdir(parents=True, exist_ok=True)
    write_text(place.home / TAUGHT, text.getvalue())
    return found


@dataclass(frozen=True, slots=True, eq=False)
class SliceMarker:
    """Marks what a slice network sees.

    Attributes:
        name: A digest of the network.
        network: Of any family.
        spec: What it is fed.
    """

    name: str
    network: keras.Model
    spec: SliceSpec

    def mark(self, stack: Stack) -> Marking:
        """The levels on the slices of a study."""
        return Marking(levels_by(self.network, stack, self.spec))


def levels_by(network: keras.Model, stack: Stack, spec: SliceSpec) -> NDArray[np.uint8]:
    """Level of each pixel as a network sees it, ``(n, rows, columns)``, each level only in its place along the neck."""
    levels = seen_levels(padded_outputs(network, stack, spec, ("fracture", "visible", levels_output(network))))
    stride = spec.size[0] // levels.shape[1]
    return levels.repeat(stride, axis=1).repeat(stride, axis=2)


def _found(teacher: str) -> Teacher:
    if is_run(Path(teacher)):
        return open_run(Path(teacher))
    try:
        return load_localiser(teacher)
    except PackageError as error:
        raise TrainingError(f"A teacher is a run that `cspine train` wrote, or a package that finds vertebrae. {error}") from error


def _marker(teacher: Teacher, held_out: Collection[str], spec: SliceSpec) -> Marker:
    """The network of a teacher that has not seen the studies that are held out."""
    if isinstance(teacher, Package):
        return package_marker(teacher)
    fold = honest_fold(teacher, held_out)
    if sees_space(teacher):
        return run_marker(teacher, fold)
    path = teacher.fold(fold) / BEST
    return SliceMarker(hashlib.sha256(path.read_bytes()).hexdigest(), load_network(path), spec)
