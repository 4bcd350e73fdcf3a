"""Teachers make pseudo-labels for studies without masks.

The teacher is a run of slice networks that see the same input, a run of a localiser, or a package of one. It has never seen the
patients that are held out.
"""

import csv
import hashlib
import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.errors import OutputError, PackageError, TrainingError
from cspine.locating import Localiser, locate
from cspine.locating.plausibility import check_plausibility
from cspine.locating.refining import Refined
from cspine.modelpack import LocaliserManifest, Package, TrainingData, load_localiser
from cspine.networks.loading import load_network
from cspine.networks.unet3d import of_any_window
from cspine.networks.volume_settings import UNet3DSettings
from cspine.reading import read_study
from cspine.specs import HU_CEILING, SliceSpec, VolumeSpec
from cspine.storage.files import write_text
from cspine.training.core.family import Fold, TrainingPlace
from cspine.training.core.log import Reporter
from cspine.training.core.marks import level_marks
from cspine.training.core.runs import Run, is_run, open_run
from cspine.training.core.settings import as_started, settings
from cspine.training.localiser.settings import LocaliserRecipe
from cspine.training.pseudo_labels.store import PseudoLabels, Teacher, with_pseudo_labels
from cspine.training.slices.prediction import levels_output, padded_outputs, predicted_levels
from cspine.training.slices.settings import SliceRecipe
from cspine.training.slices.stacks import SliceStack
from cspine.volume import Volume

TeacherSource = Run | Package[LocaliserManifest]
"""Where the network of a teacher comes from."""

PSEUDO_LABELS = "pseudo_labels.csv"
"""In the folder of a fold: whose mask each study of the training set has, and why it has none."""

_FORMAT = 2
"""Of what follows from a localiser; another number where other masks follow from the same one."""

_ONLY_LOCALISERS = "masked.share"
"""A setting that recipes of localisers have, and no others."""


@dataclass(frozen=True, slots=True)
class PseudoLabelling:
    """Gives pseudo-labels to studies without masks; a :class:`cspine.training.slices.family.MaskSource`.

    Attributes:
        recipe: Names the teacher; without one studies stay as they are.
    """

    recipe: SliceRecipe

    def check(self) -> None:
        """Makes sure that the teacher is there and fits."""
        teacher_of(self.recipe)

    def with_masks(
        self, stacks: Sequence[SliceStack], fold: Fold, place: TrainingPlace, reporter: Reporter
    ) -> Sequence[SliceStack]:
        """Returns the studies, with pseudo-labels where they had no mask and nothing speaks against them.

        A list of whose mask each study has goes into the folder of the fold.

        Raises:
            TrainingError: The teacher does not fit, or has seen what it must not.
            OutputError: A folder cannot be written.
        """
        source = teacher_of(self.recipe)
        if source is None:
            return stacks
        teacher = _teacher(source, {case.study_uid for case in fold.held_out}, self.recipe.input)
        found, rows = [], [("study_uid", "mask", "doubts")]
        for number, stack in enumerate(stacks, 1):
            if stack.case.mask:
                found.append(stack)
                rows.append((stack.case.study_uid, "own", ""))
                continue
            reporter.say(f"pseudo-labels of study {number} of {len(stacks)}")
            one = with_pseudo_labels(stack, teacher, place.cache / "pseudo_labels")
            found.append(one.stack)
            rows.append((stack.case.study_uid, "none" if one.doubts else "pseudo", " ".join(doubt.code for doubt in one.doubts)))
            if one.doubts:
                reporter.warn(f"no mask for study {stack.case.study_uid}: {' '.join(doubt.text for doubt in one.doubts)}")
        _write_table(fold.home, rows)
        return found


def teacher_of(recipe: SliceRecipe) -> TeacherSource | None:
    """Returns the source of the pseudo-labels of a recipe; ``None`` where studies without masks stay as they are.

    Raises:
        TrainingError: It is not there, needs another input, or does not say which patients it was trained on.
    """
    if not recipe.labels.teacher:
        return None
    source = _source(recipe.labels.teacher)
    if isinstance(source, Package):
        if source.manifest.training_data is not TrainingData.PHANTOMS:
            raise TrainingError(
                f"A teacher must not have seen the patients that are held out. {source.manifest.name} was trained on patients and "
                "does not say which; give the run that it was exported from, trained on the same data set, with the same split."
            )
        return source
    own = {key: value for key, value in settings(recipe).items() if key.startswith("input.")}
    other = sorted(key for key, value in own.items() if source.facts.settings.get(key) != value)
    if other and not is_localiser(source):
        raise TrainingError(
            f"A teacher needs the input of the network. {source.folder} has another {', '.join(other)}; "
            "set these alike in both runs."
        )
    return source


def honest_fold(teacher: Run, held_out: Collection[str]) -> int:
    """Returns a trained fold of the teacher whose network was trained on none of some studies.

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


def is_localiser(run: Run) -> bool:
    """Returns whether the networks of a run find vertebrae in a volume."""
    return _ONLY_LOCALISERS in run.facts.settings


@dataclass(frozen=True, slots=True, eq=False)
class SliceTeacher:
    """A slice network of any family.

    Attributes:
        name: A digest of the network.
        network: The network.
        spec: What it is fed.
    """

    name: str
    network: keras.Model
    spec: SliceSpec

    def predict(self, stack: SliceStack) -> PseudoLabels:
        """Returns the levels on the slices of a study."""
        return PseudoLabels(levels_by(self.network, stack, self.spec))


def levels_by(network: keras.Model, stack: SliceStack, spec: SliceSpec) -> NDArray[np.uint8]:
    """Returns the level of each pixel as a network predicts it, ``(n, rows, columns)``, each level in its place alone."""
    levels = predicted_levels(padded_outputs(network, stack, spec, ("fracture", "visible", levels_output(network))))
    stride = spec.size[0] // levels.shape[1]
    return levels.repeat(stride, axis=1).repeat(stride, axis=2)


@dataclass(frozen=True, slots=True, eq=False)
class LocaliserTeacher:
    """A localiser, which sees the whole scan; its own checks decide whether the levels may be used in training.

    Attributes:
        digest: Of its networks.
        outline: The localiser.
    """

    digest: str
    outline: Callable[[Volume], Refined]

    @property
    def name(self) -> str:
        """Returns a digest of all that its predictions follow from, but for the study."""
        return hashlib.sha256(f"located {_FORMAT} {self.digest}".encode()).hexdigest()

    def predict(self, stack: SliceStack) -> PseudoLabels:
        """Returns the levels on the slices of a study, and what speaks against them.

        Raises:
            StudyError: It cannot be read.
            PackageError: A network does not do what it should.
        """
        volume = read_study(stack.case.images).volume
        refined = self.outline(volume)
        return PseudoLabels(level_marks(refined.labels_on(stack.grid)), check_plausibility(refined.located, volume))


def package_teacher(package: Package[LocaliserManifest]) -> LocaliserTeacher:
    """Returns the localiser of a package.

    Raises:
        PackageError: Its networks cannot be loaded.
    """
    return LocaliserTeacher(package.sha256, Localiser(package).outline)


def run_teacher(run: Run, fold: int) -> LocaliserTeacher:
    """Returns the localiser that a run trained without the patients of a fold.

    Raises:
        TrainingError: Its network cannot be loaded.
    """
    path = run.network(fold)
    network, spec = _KerasSession(of_any_window(load_network(path))), _input_of(run)

    def outline(volume: Volume) -> Refined:
        found = locate(volume, spec, network, HU_CEILING)
        return Refined(found, (), found.labels)

    return LocaliserTeacher(hashlib.sha256(path.read_bytes()).hexdigest(), outline)


def _source(teacher: str) -> TeacherSource:
    if is_run(Path(teacher)):
        return open_run(Path(teacher))
    try:
        return load_localiser(teacher)
    except PackageError as error:
        raise TrainingError(f"A teacher is a run that `cspine train` wrote, or a package that finds vertebrae. {error}") from error


def _teacher(source: TeacherSource, held_out: Collection[str], spec: SliceSpec) -> Teacher:
    """Returns the network of a teacher that has not seen the studies that are held out."""
    if isinstance(source, Package):
        return package_teacher(source)
    fold = honest_fold(source, held_out)
    if is_localiser(source):
        return run_teacher(source, fold)
    path = source.network(fold)
    return SliceTeacher(hashlib.sha256(path.read_bytes()).hexdigest(), load_network(path), spec)


def _input_of(run: Run) -> VolumeSpec:
    any_input = VolumeSpec(spacing_mm=(1.0, 1.0, 1.0), size=(1, 1, 1), window_hu=(0.0, 1.0))
    return as_started(LocaliserRecipe(run.facts.recipe, UNet3DSettings(), any_input), run.facts.settings).input


def _write_table(home: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    try:
        home.mkdir(parents=True, exist_ok=True)
        write_text(home / PSEUDO_LABELS, text.getvalue())
    except OSError as error:
        raise OutputError(f"A run cannot be written to {home}: {error.strerror}. Choose another folder.") from error


class _KerasSession:
    """A network of the training wing as the service wing runs one."""

    def __init__(self, network: keras.Model) -> None:
        self._network = network

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Returns outputs by name."""
        return {name: np.asarray(output, np.float32) for name, output in self._network.predict_on_batch(batch).items()}
