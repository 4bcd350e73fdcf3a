"""Masks for studies that have none, from a network that has learnt from those that have: what pseudo variants learn from.

The teacher is the network of a run that sees the same input and has never seen the patients that are held out here.
"""

import hashlib
import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.errors import OutputError, TrainingError
from cspine.networks.loading import load_network
from cspine.specs import SliceSpec
from cspine.training.fitting import BEST, Reporter
from cspine.training.overrides import settings
from cspine.training.prediction import levels_output, padded_outputs, seen_levels
from cspine.training.recipe import MaskUse, Recipe
from cspine.training.runs import Run, open_run
from cspine.training.stacks import Stack


def teacher_of(recipe: Recipe) -> Run | None:
    """The run whose network marks the studies without masks, or ``None`` where these stay as they are.

    Raises:
        TrainingError: There should be one and is none, or it sees another input.
    """
    if recipe.labels.masks is MaskUse.OWN:
        return None
    if not recipe.labels.teacher:
        raise TrainingError(f"{recipe.name} needs a trained run whose network marks the studies without masks. Give --teacher RUN.")
    run = open_run(Path(recipe.labels.teacher))
    own = {key: value for key, value in settings(recipe).items() if key.startswith("input.")}
    other = sorted(key for key, value in own.items() if run.facts.settings.get(key) != value)
    if other:
        raise TrainingError(
            f"A teacher must see what the network sees. {run.folder} has another {', '.join(other)}; set these alike in both runs."
        )
    return run


def honest_fold(teacher: Run, held_out: Collection[str]) -> int:
    """A trained fold of the teacher whose network has learnt from none of some studies.

    Raises:
        TrainingError: There is none.
    """
    for fold in teacher.trained_folds():
        if all(teacher.facts.folds.get(study_uid, fold) == fold for study_uid in held_out):
            return fold
    raise TrainingError(
        f"A teacher must not have seen the patients that are held out. {teacher.folder} has no such trained network; "
        "train it on the same data set and fold, with the same split."
    )


def taught(stacks: Sequence[Stack], held_out: Collection[str], recipe: Recipe, cache: Path, reporter: Reporter) -> Sequence[Stack]:
    """The studies, with masks from the teacher of the recipe where they had none.

    Args:
        stacks: Studies to learn from.
        held_out: Studies that are held out.
        recipe: Who is the teacher.
        cache: Where masks are kept.
        reporter: Who wants to know.

    Raises:
        TrainingError: The teacher does not fit, or has seen what it must not.
        OutputError: ``cache`` cannot be written.
    """
    teacher = teacher_of(recipe)
    if teacher is None:
        return stacks
    path = teacher.fold(honest_fold(teacher, held_out)) / BEST
    name = hashlib.sha256(path.read_bytes()).hexdigest()
    network = load_network(path)
    found = []
    for number, stack in enumerate(stacks, 1):
        reporter.say(f"marking study {number} of {len(stacks)}")
        found.append(stack if stack.case.mask else _marked(stack, network, recipe.input, cache / "taught" / name[:16]))
    return found


def _marked(stack: Stack, network: keras.Model, spec: SliceSpec, folder: Path) -> Stack:
    seen = hashlib.sha256(np.ascontiguousarray(stack.hu).tobytes())
    seen.update(np.ascontiguousarray(stack.marks).tobytes())
    path = folder / f"{seen.hexdigest()[:32]}.npy"
    if not path.exists():
        marks = stack.marks | levels_by(network, stack, spec)
        partial = path.with_name(f".{path.stem}.partial-{uuid.uuid4().hex[:8]}.npy")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            np.save(partial, marks)
            partial.replace(path)
        except OSError as error:
            raise OutputError(f"Masks of a teacher need a folder that can be written. {folder}: {error.strerror}.") from error
        finally:
            if partial.exists():
                partial.unlink()
    return replace(stack, case=replace(stack.case, mask=path), marks=np.load(path, mmap_mode="r"))


def levels_by(network: keras.Model, stack: Stack, spec: SliceSpec) -> NDArray[np.uint8]:
    """Level of each pixel as a network sees it, ``(n, rows, columns)``, each level only in its place along the neck."""
    levels = seen_levels(padded_outputs(network, stack, spec, ("fracture", "visible", levels_output(network))))
    stride = spec.size[0] // levels.shape[1]
    return levels.repeat(stride, axis=1).repeat(stride, axis=2)
