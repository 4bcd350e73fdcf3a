"""Refiners, as the core trains them and packs them beside a localiser."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.datasets import Case
from cspine.errors import UsageError
from cspine.modelpack import LocaliserManifest, Package
from cspine.networks.loading import load_network
from cspine.training.core.backend import buildable
from cspine.training.core.family import Fold, TrainingPlace
from cspine.training.core.initial_weights import set_weights_of_package
from cspine.training.core.log import Reporter
from cspine.training.core.loop import TrainingTask, Validation, train_network
from cspine.training.core.losses import KnownDiceCrossentropy
from cspine.training.core.packages import PackageContents, PackageRequest
from cspine.training.core.runs import Run, begin_on_necks
from cspine.training.localiser.batches import WindowBatches
from cspine.training.localiser.packing import FineNetwork, packed
from cspine.training.localiser.pool import PoolPart, Windows, fill_pool
from cspine.training.localiser.scoring import score_crops
from cspine.training.refiner.crops import crop_of, fixed_crops, sample_strip, sample_training_crop
from cspine.training.refiner.settings import RefinerRecipe

_CROPS = 2


@dataclass(frozen=True)
class RefinerFamily:
    """A :class:`cspine.training.core.family.Family`.

    Attributes:
        recipe: What is trained.
    """

    recipe: RefinerRecipe

    @property
    def finds_fractures(self) -> bool:
        """Returns false: it finds no fractures."""
        return False

    def check(self) -> None:
        """See :class:`cspine.training.core.family.Family`."""
        self.recipe.network.check(self.recipe.input)
        with buildable(self.recipe.name):
            _initial(self.recipe)

    def begin(self, place: TrainingPlace, folder: Path, reporter: Reporter, *, skip_broken: bool) -> Run:  # noqa: ARG002
        """See :class:`cspine.training.core.family.Family`."""
        if place.data is not None:
            raise UsageError(
                f"{self.recipe.name} is trained on phantoms that it makes itself, and holds no patients out; give no --data."
            )
        return begin_on_necks(self.recipe, self.recipe.pool.necks, _made_of(self.recipe), folder)

    def prepare(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> dict[PoolPart, list[Path]]:  # noqa: ARG002
        """Returns the files of synthetic necks, by what they are for."""
        recipe = self.recipe
        name = hashlib.sha256(_made_of(recipe).encode()).hexdigest()[:16]
        counts = {PoolPart.TRAIN: recipe.pool.necks, PoolPart.VALIDATE: recipe.pool.held_out}
        sample = partial(sample_strip, recipe.pool, recipe.input)
        return fill_pool(place.cache / "necks" / name, sample, counts, place.jobs, reporter.say)

    def train(self, prepared: Mapping[PoolPart, list[Path]], fold: Fold, place: TrainingPlace, reporter: Reporter) -> None:  # noqa: ARG002
        """See :class:`cspine.training.core.family.Family`."""
        task = refiner_task(self.recipe, prepared[PoolPart.TRAIN], prepared[PoolPart.VALIDATE])
        train_network(task, self.recipe.fit, self.recipe.seed, fold.home, reporter)

    def trial_task(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> TrainingTask[Any]:
        """See :class:`cspine.training.core.batch_size.TriesBatches`."""
        one = replace(self, recipe=replace(self.recipe, pool=replace(self.recipe.pool, necks=1, held_out=1)))
        return refiner_task(self.recipe, one.prepare(cases, place, reporter)[PoolPart.TRAIN], ())

    def package(
        self,
        run: Run,  # noqa: ARG002
        request: PackageRequest,  # noqa: ARG002
        facts: dict[str, Any],  # noqa: ARG002
        place: TrainingPlace,  # noqa: ARG002
        reporter: Reporter,  # noqa: ARG002
    ) -> PackageContents:
        """Refuses to export: a refiner is a part of another package.

        Raises:
            UsageError: Always.
        """
        raise UsageError("A refiner is exported with the localiser whose vertebrae it outlines: `cspine export RUN --refiner RUN`.")

    def fine_network(self, run: Run) -> FineNetwork:
        """Returns the network of a run, as it is packed beside a localiser.

        Raises:
            TrainingError: It is not trained.
        """
        return self._packed(load_network(run.network(0)))

    def network_of_package(self, package: Package[LocaliserManifest]) -> FineNetwork:
        """Returns the refiner of a package, as it is packed beside another localiser.

        Raises:
            UsageError: The package has no refiner, or one that is fed otherwise or has other layers than this recipe's.
        """
        if package.manifest.fine != self.recipe.input:
            raise UsageError(
                f"--refiner needs a package whose refiner is fed as that of the recipe {self.recipe.name}. "
                f"{package.manifest.name} {package.manifest.version} has {'another' if package.manifest.fine else 'none'}."
            )
        return self._packed(_initial(replace(self.recipe, initial_weights=str(package.folder))))

    def _packed(self, network: keras.Model) -> FineNetwork:
        return FineNetwork(self.recipe.name, self.recipe.input, packed("fine", network, _crops(self.recipe)))


def refiner_task(recipe: RefinerRecipe, necks: Sequence[Path], held_out: Sequence[Path]) -> TrainingTask[Windows]:
    """Returns what a refiner learns, and how it is validated.

    Args:
        recipe: What to train.
        necks: Files of the pool to learn from.
        held_out: Those that the network is validated on.
    """

    def validate(model: keras.Model, crops: Windows) -> Validation:
        found = score_crops(model, crops, recipe.input)
        return Validation(asdict(found), found.dice if math.isfinite(found.dice) else math.nan)

    return TrainingTask(
        build=partial(_initial, recipe),
        batches=partial(WindowBatches, partial(sample_training_crop, necks=necks, recipe=recipe), recipe.fit, recipe.seed),
        losses=KnownDiceCrossentropy(),
        held_out=partial(fixed_crops, held_out, recipe),
        validate=validate,
    )


def _initial(recipe: RefinerRecipe) -> keras.Model:
    return set_weights_of_package(recipe.network.build(recipe.input, recipe.seed), recipe.initial_weights, "fine")


def _crops(recipe: RefinerRecipe) -> NDArray[np.float32]:
    """Returns two crops of necks that the network did not learn from, ``(n, z, y, x, 3)``."""
    images = [sample_strip(recipe.pool, recipe.input, PoolPart.VALIDATE, number) for number in range(_CROPS)]
    return np.stack([crop_of(np.random.default_rng(number), image, recipe)[0] for number, image in enumerate(images)])


def _made_of(recipe: RefinerRecipe) -> str:
    """Returns what a neck of the pool follows from, but for its number."""
    chosen = {key: value for key, value in asdict(recipe.pool).items() if key not in ("necks", "held_out")}
    return json.dumps([chosen, recipe.input.spacing_mm])
