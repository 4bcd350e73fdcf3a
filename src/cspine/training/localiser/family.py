"""Localisers, as the core trains and packs them."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.datasets import Case
from cspine.errors import TrainingError, UsageError
from cspine.modelpack import LocaliserManifest, NetworkFile
from cspine.networks.loading import load_network
from cspine.specs import VolumeSpec
from cspine.training.core.backend import buildable
from cspine.training.core.family import Fold, TrainingPlace
from cspine.training.core.initial_weights import set_weights_of_package
from cspine.training.core.log import Reporter
from cspine.training.core.loop import TrainingTask, Validation, train_network
from cspine.training.core.losses import PartialDiceCrossentropy
from cspine.training.core.marks import LabelledImage
from cspine.training.core.packages import CardText, PackageContents, PackageRequest
from cspine.training.core.runs import Run, begin_on_data, begin_on_necks, checked_masks
from cspine.training.localiser.augmentation import apply_change, sample_change
from cspine.training.localiser.batches import Sources, WindowBatches, fixed_windows, sample_training_window
from cspine.training.localiser.masks import masked_images, patient_windows
from cspine.training.localiser.packing import FineNetwork, packed
from cspine.training.localiser.pool import UNNAMED, PoolPart, Windows, make_pool, sample_pool_image
from cspine.training.localiser.scoring import score_windows
from cspine.training.localiser.settings import LocaliserRecipe

_WINDOWS = 2
_USE = (
    "Research on finding and naming the cervical vertebrae C1 to C7 on CT. Not a medical device, not for diagnosis, not for any "
    "decision about a patient."
)


@dataclass(frozen=True)
class LocaliserFamily:
    """A :class:`cspine.training.core.family.Family`.

    Attributes:
        recipe: What is trained.
        fine: Gives what outlines the vertebrae that a package finds; ``None`` where nothing does.
    """

    recipe: LocaliserRecipe
    fine: Callable[[], FineNetwork] | None = None

    @property
    def finds_fractures(self) -> bool:
        """Returns false: it finds no fractures."""
        return False

    def check(self) -> None:
        """See :class:`cspine.training.core.family.Family`."""
        self.recipe.network.check(self.recipe.input)
        with buildable(self.recipe.name):
            _initial(self.recipe)

    def begin(self, place: TrainingPlace, folder: Path, reporter: Reporter, *, skip_broken: bool) -> Run:
        """See :class:`cspine.training.core.family.Family`."""
        if place.data is None:
            return begin_on_necks(self.recipe, self.recipe.pool.necks, _made_of(self.recipe), folder)
        found = checked_masks(place.data, skip_broken, place.cache, reporter)
        return begin_on_data(self.recipe, found, place.data, folder, skip_broken=skip_broken)

    def prepare(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> dict[PoolPart, list[Path]]:
        """Returns the files of synthetic necks, by what they are for; none where training uses patients alone."""
        if cases and self.recipe.masked.share == 1:
            return {}
        name = hashlib.sha256(_made_of(self.recipe).encode()).hexdigest()[:16]
        parts = (PoolPart.TRAIN,) if cases else tuple(PoolPart)
        return make_pool(place.cache / "necks" / name, self.recipe, parts, place.jobs, reporter.say)

    def train(self, prepared: Mapping[PoolPart, list[Path]], fold: Fold, place: TrainingPlace, reporter: Reporter) -> None:
        """See :class:`cspine.training.core.family.Family`."""
        recipe = self.recipe
        if fold.training_set:
            training_set, held_out = (self._with_masks(cases) for cases in (fold.training_set, fold.held_out))
            if not training_set or not held_out:
                raise TrainingError(
                    f"A fold needs masks to train on and masks to validate on. Fold {fold.number} of {fold.home.parent} has "
                    f"{len(training_set)} and {len(held_out)}; take another fold, or start with other split settings."
                )
            sources = Sources(prepared.get(PoolPart.TRAIN, []), self._images(training_set, place, reporter), recipe.masked.share)
            windows = partial(patient_windows, self._images(held_out, place, reporter), recipe.input)
        else:
            sources, windows = Sources(prepared[PoolPart.TRAIN]), partial(fixed_windows, prepared[PoolPart.VALIDATE], recipe)
        train_network(localiser_task(recipe, sources, windows), recipe.fit, recipe.seed, fold.home, reporter)

    def trial_task(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> TrainingTask[Any]:
        """See :class:`cspine.training.core.batch_size.TriesBatches`."""
        one = replace(self, recipe=replace(self.recipe, pool=replace(self.recipe.pool, necks=1, held_out=1)))
        necks = one.prepare(cases, place, reporter).get(PoolPart.TRAIN, [])
        patients = self._images(self._with_masks(cases), place, reporter)
        share = self.recipe.masked.share if patients else 0.0
        return localiser_task(self.recipe, Sources(necks, patients, share), list)

    def package(
        self,
        run: Run,
        request: PackageRequest,
        facts: dict[str, Any],
        place: TrainingPlace,  # noqa: ARG002
        reporter: Reporter,  # noqa: ARG002
    ) -> PackageContents:
        """See :class:`cspine.training.core.family.Family`."""
        fine = self.fine() if self.fine is not None else None
        if len(request.folds) > 1:
            raise UsageError("A localiser is exported from one fold; an average is for classifiers. Give --fold K.")
        trained = load_network(run.network(request.folds[0]))
        networks = (packed("coarse", trained, _windows(self.recipe)), *(() if fine is None else (fine.packed,)))
        if fine is not None:
            facts = facts | {"training": replace(facts["training"], recipe=f"{self.recipe.name} and {fine.recipe}")}

        def manifest(files: tuple[NetworkFile, ...]) -> LocaliserManifest:
            return LocaliserManifest(
                **facts,
                kind=LocaliserManifest.KIND,
                coarse=self.recipe.input,
                fine=None if fine is None else fine.input,
                networks=files,
                intended_use=_USE,
            )

        return PackageContents(networks, manifest, _card_text)

    def _with_masks(self, cases: Sequence[Case]) -> list[Case]:
        return [case for case in cases if case.mask is not None]

    def _images(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> list[LabelledImage]:
        """Returns images of patients, as large as those of necks."""
        z, y, x = (side + more for side, more in zip(self.recipe.input.size, self.recipe.pool.margin, strict=True))
        return masked_images(cases, (z, y, x), self.recipe.input, place.cache, reporter.say)


def localiser_task(recipe: LocaliserRecipe, sources: Sources, held_out: Callable[[], Windows]) -> TrainingTask[Windows]:
    """Returns what a localiser learns, and how it is validated.

    Args:
        recipe: What to train.
        sources: What windows are sampled from.
        held_out: Gives those that the network is validated on.
    """

    def validate(model: keras.Model, windows: Windows) -> Validation:
        found = score_windows(model, windows, recipe.input)
        score = found.dice + found.right - found.wrong
        return Validation(asdict(found), score if math.isfinite(score) else math.nan)

    return TrainingTask(
        build=partial(_initial, recipe),
        batches=partial(WindowBatches, partial(sample_training_window, sources=sources, recipe=recipe), recipe.fit, recipe.seed),
        losses=PartialDiceCrossentropy(UNNAMED),
        held_out=held_out,
        validate=validate,
    )


def _initial(recipe: LocaliserRecipe) -> keras.Model:
    return set_weights_of_package(recipe.network.build(recipe.input, recipe.seed), recipe.initial_weights, "coarse")


def _windows(recipe: LocaliserRecipe) -> NDArray[np.float32]:
    """Returns two windows of necks that the network did not learn from."""
    images = [sample_pool_image(recipe.pool, recipe.input, PoolPart.VALIDATE, number) for number in range(_WINDOWS)]
    changes = [
        sample_change(np.random.default_rng(number), recipe.augmentation, recipe.input, image.hu.shape)
        for number, image in enumerate(images)
    ]
    found = [apply_change(change, image, recipe.input)[0] for change, image in zip(changes, images, strict=True)]
    return np.stack(found)[..., None]


def _made_of(recipe: LocaliserRecipe) -> str:
    """Returns what a neck of the pool follows from, but for its number."""
    chosen = {key: value for key, value in asdict(recipe.pool).items() if key not in ("necks", "held_out")}
    return json.dumps([chosen, recipe.input.spacing_mm, recipe.input.size])


_COARSE = """\
A 3-D U-Net sees windows of {size} voxels of {spacing} mm, {low:g} to {high:g} HU, and classifies each voxel as
background, C1 to C7, another vertebra or other bone."""
_FINE = "A second one outlines each vertebra in a crop of {size} voxels of {spacing:g} mm."
_NAMES = """\
The classes of voxels become C1 to C7 by their order along the spine and by the usual lengths of vertebrae
(`cspine.locating`). A level whose name is not sure is called uncertain."""


def _card_text(manifest: LocaliserManifest) -> CardText:
    coarse, fine, (low, high) = manifest.coarse, manifest.fine, manifest.coarse.window_hu
    spacing = " x ".join(f"{side:g}" for side in coarse.spacing_mm)
    parts = [_COARSE.format(size=_size(coarse), spacing=spacing, low=low, high=high)]
    parts += [] if fine is None else [_FINE.format(size=_size(fine), spacing=fine.spacing_mm[0])]
    return CardText(
        networks="\n\n".join((*parts, _NAMES)),
        risk="it may miss vertebrae, or misname them",
        training=(),
        intervals="Intervals are bootstraps over necks, none of which had a part in training.",
    )


def _size(spec: VolumeSpec) -> str:
    return " x ".join(str(side) for side in spec.size)
