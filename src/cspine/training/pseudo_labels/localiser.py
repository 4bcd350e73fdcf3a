"""Masks from a localiser, of a package or of a run, where its own checks let them pass."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.errors import TrainingError
from cspine.locating import Localiser, locate
from cspine.locating.plausibility import check_plausibility
from cspine.locating.refining import Refined
from cspine.modelpack import LocaliserManifest, Package
from cspine.networks.loading import load_network
from cspine.networks.unet3d import of_any_window
from cspine.networks.volume_settings import UNet3DSettings
from cspine.reading import read_study
from cspine.specs import HU_CEILING, VolumeSpec
from cspine.training.core.checkpoint import stored_facts
from cspine.training.core.overrides import with_settings
from cspine.training.core.runs import Run
from cspine.training.localiser.settings import LocaliserRecipe
from cspine.training.pseudo_labels.store import Marking
from cspine.training.slices.fitting import BEST, CHECKPOINT
from cspine.training.slices.stacks import Stack, level_marks
from cspine.volume import Volume

_MOST_DIGITS = 9

_FORMAT = 2
"""Of what follows from a network; another number where other masks follow from the same one."""


@dataclass(frozen=True, slots=True, eq=False)
class LocaliserMarker:
    """Marks what a localiser finds in the whole scan.

    Attributes:
        digest: Of its networks.
        outline: The localiser.
    """

    digest: str
    outline: Callable[[Volume], Refined]

    @property
    def name(self) -> str:
        """A digest of all that its marks follow from, but for the study."""
        return hashlib.sha256(f"located {_FORMAT} {self.digest}".encode()).hexdigest()

    def mark(self, stack: Stack) -> Marking:
        """The levels on the slices of a study, and what speaks against them.

        Raises:
            StudyError: It cannot be read.
            PackageError: A network does not do what it should.
        """
        volume = read_study(stack.case.images).volume
        refined = self.outline(volume)
        return Marking(level_marks(refined.labels_on(stack.grid)), check_plausibility(refined.located, volume))


def package_marker(package: Package[LocaliserManifest]) -> LocaliserMarker:
    """The localiser of a package.

    Raises:
        PackageError: Its networks cannot be loaded.
    """
    return LocaliserMarker(package.sha256, Localiser(package).outline)


def run_marker(run: Run, fold: int) -> LocaliserMarker:
    """The localiser that a run trained without the patients of a fold.

    Raises:
        TrainingError: Its network cannot be loaded.
        UsageError: The run trained something else.
    """
    path = run.fold(fold) / BEST
    network, spec = _Trained(of_any_window(load_network(path))), _input_of(run)

    def outline(volume: Volume) -> Refined:
        found = locate(volume, spec, network, HU_CEILING)
        return Refined(found, (), found.labels)

    return LocaliserMarker(hashlib.sha256(path.read_bytes()).hexdigest(), outline)


def sees_space(run: Run) -> bool:
    """Whether the networks of a run see windows of a volume, not slices."""
    return run.facts.settings.get("input.size", "").count(",") == 2


def ended_folds(run: Run) -> tuple[int, ...]:
    """Folds whose localiser has learnt to the end; a run that holds nobody out has one network, in the place of fold 0."""
    told = run.facts.settings.get("fit.epochs", "")
    if not told.isdecimal() or len(told) > _MOST_DIGITS:
        raise TrainingError(f"{run.folder} must say how many epochs it has, as fit.epochs. Received: {told!r:.40}; train it again.")
    epochs = int(told)
    paths = {fold: run.fold(fold) / CHECKPOINT for fold in sorted(set(run.facts.folds.values()) or {0})}
    return tuple(fold for fold, path in paths.items() if path.is_file() and stored_facts(path)["epoch"] >= epochs)


def _input_of(run: Run) -> VolumeSpec:
    any_input = VolumeSpec(spacing_mm=(1.0, 1.0, 1.0), size=(1, 1, 1), window_hu=(0.0, 1.0))
    return with_settings(LocaliserRecipe(run.facts.recipe, UNet3DSettings(), any_input), run.facts.settings).input


class _Trained:
    """A network of the training wing as the service wing runs one."""

    def __init__(self, network: keras.Model) -> None:
        self._network = network

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name."""
        return {name: np.asarray(output, np.float32) for name, output in self._network.predict_on_batch(batch).items()}
