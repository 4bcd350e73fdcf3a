"""Networks that classify slices, as the core trains, evaluates and packs them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from cspine.datasets import Case
from cspine.errors import UsageError
from cspine.evaluation import StudyScores
from cspine.evaluation.leaky import LeakyAccuracy, entry_accuracy
from cspine.evaluation.metrics import auroc, mean_level_auroc
from cspine.modelpack import NetworkFile, SliceManifest
from cspine.networks.freezing import prepare_heads, set_trainable
from cspine.networks.loading import load_network
from cspine.specs import SliceSpec
from cspine.storage.files import write_text
from cspine.training.core.backend import buildable, calculating_in
from cspine.training.core.ensemble import PackagedFolds, served_network
from cspine.training.core.family import Fold, Predictions, TrainingPlace
from cspine.training.core.finding import Finder, localiser_of
from cspine.training.core.log import Reporter
from cspine.training.core.loop import Keep, Stage, TrainingTask, Validation
from cspine.training.core.losses import KnownBinaryCrossentropy, KnownCellCrossentropy, KnownDiceCrossentropy
from cspine.training.core.packages import PackageContents, PackagedNetwork, PackageRequest
from cspine.training.core.parts import NO_PATCHES, PATCHES, Parts, train_in_parts
from cspine.training.core.runs import BEST, HELD_OUT, Run, begin_on_cases, same_cases
from cspine.training.slices.batches import SliceBatches, TrainingStudy
from cspine.training.slices.located import located_scores, prepare_located
from cspine.training.slices.packing import INTENDED_USE, SAMPLES, SERVED, slice_card, slice_samples
from cspine.training.slices.patches import PatchPlace, find_slice_patches, slice_patch_task
from cspine.training.slices.prediction import (
    all_outputs,
    all_slice_outputs,
    fracture_outputs,
    localise_fractures,
    padded_outputs,
    slice_auroc,
    study_scores,
)
from cspine.training.slices.settings import SliceRecipe
from cspine.training.slices.stacks import SliceStack, prepare_stacks

TOLERANCE = 1e-3
"""By how much a probability may change by export."""

_BOXED = 5.0
"""How much more a boxed cell counts than another: a box covers a few of hundreds of cells."""

_POSITIVE = 0.5


class MaskSource(Protocol):
    """Somebody who gives masks to studies that have none."""

    def check(self) -> None:
        """Checks what can be checked before anything is prepared.

        Raises:
            TrainingError: It cannot be had, or does not fit.
        """
        ...

    def with_masks(
        self, stacks: Sequence[SliceStack], fold: Fold, place: TrainingPlace, reporter: Reporter
    ) -> Sequence[SliceStack]:
        """Returns the studies of a training set, more of them with masks.

        Raises:
            TrainingError: It was trained on patients that are held out.
            OutputError: A folder cannot be written.
        """
        ...


@dataclass(frozen=True)
class SliceFamily:
    """A :class:`cspine.training.core.family.Classifying` family.

    Attributes:
        recipe: What is trained.
        masks: Gives masks to studies that have none.
        finder: Who finds the vertebrae of studies that are predicted; by default as in service.
    """

    recipe: SliceRecipe
    masks: MaskSource
    finder: Finder = Finder.LOCALISER

    @property
    def finds_fractures(self) -> bool:
        """Returns true: it classifies."""
        return True

    def check(self) -> None:
        """See :class:`cspine.training.core.family.Family`."""
        recipe = self.recipe
        recipe.network.check(recipe.input)
        self.masks.check()
        localiser_of(recipe.localiser)
        with buildable(recipe.name):
            recipe.network.check(recipe.training_input)
            recipe.network.build(recipe.training_input, seed=0)
            if recipe.patches.epochs:
                recipe.network.build(replace(recipe.input, size=recipe.patches.size), seed=0)
        recipe.network.fetch()

    def begin(self, place: TrainingPlace, folder: Path, reporter: Reporter, *, skip_broken: bool) -> Run:
        """See :class:`cspine.training.core.family.Family`."""
        return begin_on_cases(self.recipe, place.data, place.cache, folder, reporter, skip_broken=skip_broken)

    def prepare(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> list[SliceStack]:
        """Returns all studies on their slice grids."""
        return prepare_stacks(cases, self.recipe.input, place.cache, reporter.say)

    def fill_cache(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> None:
        """See :class:`cspine.training.core.family.FillsCache`."""
        self.prepare(cases, place, reporter)
        prepare_located(cases, self.recipe, Finder.LOCALISER, place.cache, reporter.say)

    def train(self, prepared: Sequence[SliceStack], fold: Fold, place: TrainingPlace, reporter: Reporter) -> None:
        """See :class:`cspine.training.core.family.Family`."""
        held_out = {case.study_uid for case in fold.held_out}
        rest = [stack for stack in prepared if stack.case.study_uid not in held_out]
        training_set = self.masks.with_masks(rest, fold, place, reporter)
        data = SliceFold(fold.number, training_set, [stack for stack in prepared if stack.case.study_uid in held_out])
        train_slices(self.recipe, data, fold.home, reporter)
        if not (fold.home / HELD_OUT).is_file():  # last of all: it says that training has ended
            served = replace(self, finder=Finder.LOCALISER)
            predicted = served.predict(fold.home / BEST, fold.held_out, place.cache, reporter, localise=False)
            write_text(fold.home / HELD_OUT, predicted.scores.to_csv())

    def trial_task(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> TrainingTask[Any]:
        """See :class:`cspine.training.core.batch_size.TriesBatches`."""
        return slice_task(self.recipe, SliceFold(0, self.prepare(cases, place, reporter), ()), reporter)

    def predict(self, network: Path, cases: Sequence[Case], cache: Path, reporter: Reporter, *, localise: bool) -> Predictions:
        """See :class:`cspine.training.core.family.Classifying`."""
        model, spec = load_network(network), self.recipe.input
        stacks = prepare_located(cases, self.recipe, self.finder, cache, reporter.say)
        fractures, found = [], []
        for number, one in enumerate(stacks, 1):
            reporter.say(f"predicting study {number} of {len(stacks)}")
            if localise:
                outputs = {**all_outputs(model, one.stack, spec), "visible": one.visible.astype(np.float32)}
                found.append(localise_fractures(one.stack, outputs))
            else:
                outputs = padded_outputs(model, one.stack, spec, ["fracture"])
            fractures.append(outputs["fracture"])
        return Predictions(located_scores(stacks, fractures), tuple(found))

    def leaky_accuracy(self, network: Path, training_set: Sequence[Case], cache: Path, reporter: Reporter) -> LeakyAccuracy | None:
        """Returns the accuracy on slices that were held back from training, as a protocol that is known to be wrong reports it.

        Their neighbours were trained on; entries are counted of which five or six of seven are 0 in nearly every slice. See the
        recipe ``leaky_protocol``.
        """
        if not self.recipe.sampling.held_back_share:
            return None
        stacks = prepare_stacks(training_set, self.recipe.input, cache, reporter.say)
        return leaky_accuracy(load_network(network), stacks, self.recipe, reporter)

    def package(
        self, run: Run, request: PackageRequest, facts: dict[str, Any], place: TrainingPlace, reporter: Reporter
    ) -> PackageContents:
        """See :class:`cspine.training.core.family.Family`."""
        if place.data is None or request.precision != "f32":
            raise UsageError(
                "A slice classifier is exported with --data DIR, the data set of its run, in f32, without --precision."
            )
        cases = [case for case in same_cases(run, place.data) if run.facts.folds[case.study_uid] in request.folds]
        located = prepare_located(cases[:SAMPLES], self.recipe, Finder.LOCALISER, place.cache, reporter.say)
        stacks = [one.stack for one in located]
        network = served_network(run, request.folds, SERVED)
        samples = slice_samples(network, stacks, self.recipe.input)
        packed = PackagedFolds.of(run, request.folds)

        def manifest(networks: tuple[NetworkFile, ...]) -> SliceManifest:
            return SliceManifest(
                **facts, kind=SliceManifest.KIND, spec=self.recipe.input, networks=networks, intended_use=INTENDED_USE
            )

        return PackageContents(
            (PackagedNetwork(SliceManifest.KIND, network, samples, (), {"f32": TOLERANCE}),), manifest, partial(slice_card, packed)
        )


@dataclass(frozen=True, eq=False)
class SliceFold:
    """The studies of one fold.

    Attributes:
        number: Which patients are held out.
        training_set: The others.
        held_out: These.
    """

    number: int
    training_set: Sequence[SliceStack]
    held_out: Sequence[SliceStack]


def train_slices(recipe: SliceRecipe, data: SliceFold, home: Path, reporter: Reporter) -> None:
    """Trains one network in up to three parts, each from its checkpoint on where there is one; it leaves no held-out scores.

    Raises:
        TrainingError: A checkpoint does not fit, the label of a study is not known, or the loss is NaN.
        OutputError: ``home`` cannot be written.
    """
    patches = _patch_part(recipe, data, home / PATCHES, reporter)
    task = replace(slice_task(recipe, data, reporter), validate=_without_scores)
    if patches is not None:  # its weights came from photographs already, and its new layers have learnt since
        task = replace(task, pretrain=lambda _: None, stages=task.stages[-1:])
    parts = Parts(
        task.build, patches, lambda build: replace(task, build=build), partial(prepare_heads, stage=recipe.network.stages[-1])
    )
    train_in_parts(recipe, parts, home, reporter)


def _patch_part(recipe: SliceRecipe, data: SliceFold, home: Path, reporter: Reporter) -> TrainingTask[Any] | None:
    """Returns what cells learn from patches; ``None`` where this part is left out."""
    if not recipe.patches.epochs:
        return None
    found = find_slice_patches([TrainingStudy.of(stack, recipe) for stack in data.training_set], recipe)
    if not len(found.fractured) or not len(found.intact):
        reporter.warn(NO_PATCHES)
        return None
    held_out = [TrainingStudy.of(stack, recipe) for stack in data.held_out]
    task = slice_patch_task(recipe, found, held_out, PatchPlace(data.number, home))
    fine_only = getattr(recipe.network, "near", False)
    stages = [Stage(one.epochs, one.rate, partial(set_trainable, stage=one, fine_only=fine_only)) for one in recipe.network.stages]
    return replace(task, stages=stages)


def slice_task(recipe: SliceRecipe, data: SliceFold, reporter: Reporter) -> TrainingTask["HeldOutSlices"]:
    """Returns what a slice network learns from studies, and how it is validated on others.

    Raises:
        TrainingError: The label of a study is not known.
    """
    studies = [TrainingStudy.of(stack, recipe) for stack in data.training_set]
    losses = slice_losses(recipe)

    def fresh(spec: SliceSpec) -> keras.Model:
        return recipe.network.build(spec, seed=recipe.seed * 100 + data.number)

    return TrainingTask(
        build=partial(fresh, recipe.training_input),
        batches=partial(SliceBatches, studies, recipe, data.number),
        losses={name: loss for name, (loss, _) in losses.items()},
        weights={name: weight for name, (_, weight) in losses.items()},
        held_out=lambda: HeldOutSlices(recipe, data.held_out, reporter),
        validate=_validate,
        keep=Keep.BEST,
        stages=[Stage(stage.epochs, stage.rate, partial(set_trainable, stage=stage)) for stage in recipe.network.stages],
        served=(lambda model: model) if recipe.training_input == recipe.input else _Served(recipe, partial(fresh, recipe.input)),
        pretrain=recipe.network.pretrain,
    )


@dataclass(frozen=True, eq=False)
class HeldOutSlices:
    """Studies that a slice network is validated on.

    Attributes:
        recipe: What is trained.
        stacks: The studies.
        reporter: Who wants to know.
    """

    recipe: SliceRecipe
    stacks: Sequence[SliceStack]
    reporter: Reporter

    @cached_property
    def targets(self) -> tuple[Any, Any]:
        """Returns fracture and visibility of the slices that are predicted, ``(n, 7)`` each."""
        targets, step = (
            [TrainingStudy.of(stack, self.recipe).targets for stack in self.stacks],
            self.recipe.sampling.validation_step,
        )
        return np.concatenate([one.fracture[::step] for one in targets]), np.concatenate([one.visible[::step] for one in targets])


class _Served:
    """The network on whole slices, with the weights of one that learns from parts of them."""

    def __init__(self, recipe: SliceRecipe, build: Callable[[], keras.Model]) -> None:
        self._recipe, self._build = recipe, build

    @cached_property
    def _model(self) -> keras.Model:
        with calculating_in(self._recipe.fit.precision.value):
            return self._build()

    def __call__(self, learner: keras.Model) -> keras.Model:
        self._model.set_weights(learner.get_weights())
        return self._model


def _validate(model: keras.Model, held_out: HeldOutSlices) -> Validation:
    recipe = held_out.recipe
    outputs = all_slice_outputs(model, held_out.stacks, recipe.input, recipe.sampling.validation_step, held_out.reporter.say)
    scores: StudyScores = study_scores(held_out.stacks, outputs)
    metrics = {
        "auroc_overall": auroc(scores.truth[:, 0], scores.scores[:, 0]),
        "auroc_levels": mean_level_auroc(scores.truth, scores.scores),
        "auroc_slices": slice_auroc(*held_out.targets, outputs),
    }
    known = [value for value in metrics.values() if math.isfinite(value)]
    return Validation(metrics, float(np.mean(known)) if known else math.nan, scores.to_csv())


def _without_scores(model: keras.Model, held_out: HeldOutSlices) -> Validation:
    """Returns a validation that leaves no scores: held-out patients are predicted as in service when training has ended."""
    return replace(_validate(model, held_out), scores_csv=None)


def slice_losses(recipe: SliceRecipe) -> dict[str, tuple[keras.losses.Loss, float]]:
    """Returns loss and weight of each output of the network."""
    weights = recipe.losses
    known: dict[str, tuple[keras.losses.Loss, float]] = {
        "fracture": (KnownBinaryCrossentropy(weights.positive), weights.fracture),
        "visible": (KnownBinaryCrossentropy(), weights.visible),
        "level_map": (KnownCellCrossentropy(), weights.level_map),
        "maps": (KnownDiceCrossentropy(), weights.maps),
        "fracture_map": (KnownBinaryCrossentropy(_BOXED), weights.fracture_map),
    }
    return {name: known[name] for name in recipe.network.outputs}


def leaky_accuracy(
    model: keras.Model, training_set: Sequence[SliceStack], recipe: SliceRecipe, reporter: Reporter
) -> LeakyAccuracy | None:
    """Returns the accuracy on the slices that were held back; ``None`` where no level of any is known.

    Args:
        model: The network.
        training_set: The patients that it was trained on.
        recipe: What it was trained with.
        reporter: Who wants to know.
    """
    wanted, predicted = [], []
    for number, stack in enumerate(training_set, 1):
        study = TrainingStudy.of(stack, recipe)
        tested = np.flatnonzero(study.held_back & (study.targets.fracture >= 0).all(axis=1))
        if len(tested):
            reporter.say(f"leaky protocol, study {number} of {len(training_set)}")
            wanted.append(study.targets.fracture[tested] >= _POSITIVE)
            predicted.append(fracture_outputs(model, stack, recipe.input, tested.tolist()) >= _POSITIVE)
    return entry_accuracy(np.concatenate(wanted), np.concatenate(predicted)) if wanted else None
