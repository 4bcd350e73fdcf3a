"""Networks that classify vertebra by vertebra, as the core trains, evaluates and packs them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.datasets import Case
from cspine.errors import UsageError
from cspine.evaluation.leaky import LeakyAccuracy
from cspine.evaluation.metrics import auroc, mean_level_auroc
from cspine.imaging.appearance import appearance_of
from cspine.modelpack import AppearanceLimits, NetworkFile, Samples, VertebraManifest
from cspine.networks.loading import load_network
from cspine.training.core.backend import buildable
from cspine.training.core.ensemble import PackagedFolds, served_network
from cspine.training.core.family import Fold, Predictions, TrainingPlace
from cspine.training.core.finding import Finder
from cspine.training.core.layer_weights import Build
from cspine.training.core.log import Reporter
from cspine.training.core.loop import TrainingTask, Validation
from cspine.training.core.losses import KnownBinaryCrossentropy
from cspine.training.core.packages import CardText, PackageContents, PackagedNetwork, PackageRequest
from cspine.training.core.parts import NO_PATCHES, PATCHES, Parts, train_in_parts
from cspine.training.core.runs import Run, begin_on_cases, same_cases
from cspine.training.vertebrae.augmentation import StudyChange, sample_voxels, unchanged
from cspine.training.vertebrae.batches import VertebraBatches, study_input
from cspine.training.vertebrae.crops import Cutting, StudyCrops, prepare_crops
from cspine.training.vertebrae.packaged_weights import with_initial_weights
from cspine.training.vertebrae.patches import find_patch_centres, patch_task
from cspine.training.vertebrae.prediction import TTA_PASSES, localise_fractures, predict_studies, predict_study, scores_of
from cspine.training.vertebrae.settings import VertebraRecipe

SERVED = ("overall", "fracture", "fracture_map", "attention")
"""Outputs that a package has."""

TOLERANCES = {"f32": 1e-3, "bf16": 0.05}
"""By how much any output may change by export, by precision: bf16 keeps three digits."""

_CELL_POSITIVE = 3.0
"""How much more a fractured cell counts than an intact one: one in a hundred is fractured."""

_CHECKED = 30
"""Held-out studies, of seven crops each, on which the exported network must agree with the trained one."""

_SEVERAL = 2
_BEYOND = 0.25
_STORED = ((0, 1), (5, 6))
"""Levels that stored samples show: few, so that they take little room."""

_PASSES = {
    1: "There is no test-time augmentation.",
    2: "Test-time augmentation takes 2 passes: as it is, and mirrored on the next slices; the mean of the logits counts.",
}
_USE = (
    "Research on finding fractures of the cervical spine (C1 to C7) on CT. Not a medical device, not for diagnosis, not for any "
    "decision about a patient."
)


@dataclass(frozen=True, eq=False)
class VertebraFold:
    """The studies of one fold.

    Attributes:
        number: Which patients are held out.
        training_set: The others; each as often as it was cut.
        held_out: These.
    """

    number: int
    training_set: Sequence[StudyCrops]
    held_out: Sequence[StudyCrops]


@dataclass(frozen=True)
class VertebraFamily:
    """A :class:`cspine.training.core.family.Classifying` family.

    Attributes:
        recipe: What is trained.
        finder: What finds the vertebrae of studies that are predicted; by default as in service.
    """

    recipe: VertebraRecipe
    finder: Finder = Finder.LOCALISER

    @property
    def finds_fractures(self) -> bool:
        """Returns true: it classifies."""
        return True

    def check(self) -> None:
        """See :class:`cspine.training.core.family.Family`."""
        recipe = self.recipe
        recipe.network.check(recipe.input)
        if not recipe.initial_weights:
            recipe.network.fetch()
        with buildable(recipe.name):
            network = recipe.network.build(recipe.input, seed=0)
            if recipe.patches.epochs:
                network.on_slices(recipe.patches.size)
        if recipe.initial_weights:
            with_initial_weights(lambda: network, recipe.initial_weights)

    def begin(self, place: TrainingPlace, folder: Path, reporter: Reporter, *, skip_broken: bool) -> Run:
        """See :class:`cspine.training.core.family.Family`."""
        return begin_on_cases(self.recipe, place.data, place.cache, folder, reporter, skip_broken=skip_broken)

    def prepare(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> None:
        """Prepares nothing: studies of the training set are cut otherwise than those that are held out."""

    def fill_cache(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> None:
        """See :class:`cspine.training.core.family.FillsCache`."""
        everybody = Fold(0, place.cache, cases, cases)
        self._training_crops(everybody, place, reporter)
        self._held_out_crops(everybody, place, reporter)

    def train(self, prepared: None, fold: Fold, place: TrainingPlace, reporter: Reporter) -> None:  # noqa: ARG002
        """See :class:`cspine.training.core.family.Family`."""
        data = VertebraFold(fold.number, self._training_crops(fold, place, reporter), self._held_out_crops(fold, place, reporter))
        train_vertebrae(self.recipe, data, fold.home, reporter)

    def trial_task(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> TrainingTask[Any]:
        """See :class:`cspine.training.core.batch_size.TriesBatches`."""
        crops = prepare_crops(cases, Cutting(self.recipe, Finder.MASK, 1), place.cache, reporter.say)
        return vertebra_task(self.recipe, VertebraFold(0, crops, ()), partial(_fresh, self.recipe, 0))

    def predict(self, network: Path, cases: Sequence[Case], cache: Path, reporter: Reporter, *, localise: bool) -> Predictions:
        """See :class:`cspine.training.core.family.Classifying`."""
        model = load_network(network)
        studies = prepare_crops(cases, Cutting(self.recipe, self.finder), cache, reporter.say)
        predictions, found = [], []
        for number, study in enumerate(studies, 1):
            reporter.say(f"predicting study {number} of {len(studies)}")
            predictions.append(predict_study(model, study, self.recipe))
            if localise:
                found.append(localise_fractures(study, predictions[-1], self.recipe))
        return Predictions(scores_of(studies, predictions), tuple(found))

    def leaky_accuracy(self, network: Path, training_set: Sequence[Case], cache: Path, reporter: Reporter) -> LeakyAccuracy | None:
        """Returns nothing: no recipe of this family holds slices back."""

    def package(
        self, run: Run, request: PackageRequest, facts: dict[str, Any], place: TrainingPlace, reporter: Reporter
    ) -> PackageContents:
        """See :class:`cspine.training.core.family.Family`."""
        if place.data is None:
            raise UsageError("A vertebra classifier is exported with --data DIR, the data set of its run.")
        cases = [case for case in same_cases(run, place.data) if run.facts.folds[case.study_uid] in request.folds]
        studies = prepare_crops(cases[:_CHECKED], Cutting(self.recipe, Finder.MASK), place.cache, reporter.say)
        network = served_network(run, request.folds, SERVED)
        stored = np.stack([_only(_crops(study, self.recipe), shown) for study, shown in zip(studies, _STORED, strict=False)])
        packed = PackagedNetwork(
            VertebraManifest.KIND, network, _predicted(network, stored), _several(network, studies, self.recipe), TOLERANCES
        )
        folds = PackagedFolds.of(run, request.folds)

        def manifest(networks: tuple[NetworkFile, ...]) -> VertebraManifest:
            return VertebraManifest(
                **facts,
                kind=VertebraManifest.KIND,
                spec=self.recipe.input,
                networks=networks,
                intended_use=_USE,
                tta_passes=TTA_PASSES,
                appearance=AppearanceLimits(seen=_seen(studies, self.recipe)),
            )

        return PackageContents((packed,), manifest, partial(_card_text, folds))

    def _training_crops(self, fold: Fold, place: TrainingPlace, reporter: Reporter) -> list[StudyCrops]:
        """Returns the training set, each study as often as it is cut."""
        recipe, cases = self.recipe, fold.training_set
        found = [
            study
            for turn in range(1, recipe.crops.turns + 1)
            for study in prepare_crops(cases, Cutting(recipe, Finder.MASK, turn), place.cache, reporter.say)
        ]
        if recipe.crops.found:
            masked = [case for case in cases if case.mask is not None]
            found += prepare_crops(masked, Cutting(recipe, Finder.LOCALISER), place.cache, reporter.say)
        return found

    def _held_out_crops(self, fold: Fold, place: TrainingPlace, reporter: Reporter) -> list[StudyCrops]:
        finder = Finder.LOCALISER if self.recipe.crops.found else Finder.MASK
        return prepare_crops(fold.held_out, Cutting(self.recipe, finder), place.cache, reporter.say)


def train_vertebrae(recipe: VertebraRecipe, data: VertebraFold, home: Path, reporter: Reporter) -> None:
    """Trains one network in up to three parts, each from its checkpoint on where there is one.

    Raises:
        TrainingError: A checkpoint does not fit, or the loss is NaN.
        OutputError: ``home`` cannot be written.
    """
    build = partial(_fresh, recipe, data.number)
    if recipe.initial_weights:
        build = partial(with_initial_weights, build, recipe.initial_weights)
    patches = _patch_part(recipe, data, home / PATCHES, reporter)
    from_photographs = patches is None and not recipe.initial_weights
    pretrain = recipe.network.pretrain if from_photographs else _as_it_is

    def whole(build: Build) -> TrainingTask[Sequence[StudyCrops]]:
        return replace(vertebra_task(recipe, data, build), pretrain=pretrain)

    train_in_parts(recipe, Parts(build, patches, whole), home, reporter)


def _as_it_is(model: keras.Model) -> None:
    """Leaves the weights that patches or another training gave."""


def vertebra_task(recipe: VertebraRecipe, data: VertebraFold, build: Build) -> TrainingTask[Sequence[StudyCrops]]:
    """Returns what a network learns from whole studies, and how it is validated on others."""
    weights = recipe.losses
    losses: dict[str, keras.losses.Loss] = {
        name: KnownBinaryCrossentropy(weights.positive) for name in ("fracture", "overall", "slices")
    }

    def validate(model: keras.Model, held_out: Sequence[StudyCrops]) -> Validation:
        scores = scores_of(held_out, predict_studies(model, held_out, recipe))
        metrics = {
            "auroc_overall": auroc(scores.truth[:, 0], scores.scores[:, 0]),
            "auroc_levels": mean_level_auroc(scores.truth, scores.scores),
        }
        known = [value for value in metrics.values() if math.isfinite(value)]
        return Validation(metrics, float(np.mean(known)) if known else math.nan, scores.to_csv())

    return TrainingTask(
        build=build,
        batches=partial(VertebraBatches, data.training_set, recipe, data.number),
        losses={**losses, "fracture_map": KnownBinaryCrossentropy(_CELL_POSITIVE)},
        weights={
            "fracture": weights.fracture,
            "overall": weights.overall,
            "slices": weights.slices,
            "fracture_map": weights.fracture_map,
        },
        held_out=lambda: data.held_out,
        validate=validate,
    )


def _patch_part(recipe: VertebraRecipe, data: VertebraFold, home: Path, reporter: Reporter) -> TrainingTask[Any] | None:
    """Returns what the backbone learns from patches; ``None`` where this part is left out."""
    if not recipe.patches.epochs or recipe.initial_weights:
        return None
    centres = find_patch_centres(data.training_set, recipe)
    if not len(centres.fractured) or not len(centres.intact):
        reporter.warn(NO_PATCHES)
        return None
    return replace(patch_task(recipe, data.number, centres, data.held_out, home), pretrain=recipe.network.pretrain)


def _fresh(recipe: VertebraRecipe, fold: int) -> keras.Model:
    return recipe.network.build(recipe.input, recipe.seed * 100 + fold)


def _several(network: keras.Model, studies: Sequence[StudyCrops], recipe: VertebraRecipe) -> Iterator[Samples]:
    """Gives what a network predicts for some studies together, and for each."""
    yield _predicted(network, np.stack([_crops(study, recipe) for study in studies[:_SEVERAL]]))
    for study in studies:
        yield _predicted(network, _crops(study, recipe)[None])


def _seen(studies: Sequence[StudyCrops], recipe: VertebraRecipe) -> dict[str, tuple[float, float]]:
    """Returns between which values the studies look like one another, as they are and as coarser scans, and a quarter beyond."""
    rng = np.random.default_rng(recipe.seed)
    images = (study_input(study, one, recipe)[0] for study in studies for one in _ways(rng, recipe))
    found = [appearance.values() for crops in images if (appearance := appearance_of(crops, recipe.input)) is not None]
    ranges = {name: (min(one[name] for one in found), max(one[name] for one in found)) for name in found[0]} if found else {}
    return {name: (low - _BEYOND * (high - low), high + _BEYOND * (high - low)) for name, (low, high) in ranges.items()}


def _ways(rng: np.random.Generator, recipe: VertebraRecipe) -> tuple[StudyChange, StudyChange]:
    return unchanged(), replace(unchanged(), voxels=sample_voxels(rng, recipe.augmentation))


def _crops(study: StudyCrops, recipe: VertebraRecipe) -> NDArray[np.float32]:
    return study_input(study, unchanged(), recipe)[0]


def _only(crops: NDArray[np.float32], shown: Sequence[int]) -> NDArray[np.float32]:
    """Returns a study that shows some levels alone, in the steps of grey that compress well."""
    kept = np.zeros_like(crops)
    kept[list(shown)] = crops[list(shown)]
    kept[..., -1] = np.rint(kept[..., -1] * 16) / 16
    return kept


def _predicted(network: keras.Model, crops: NDArray[np.float32]) -> Samples:
    outputs = network.predict_on_batch(crops)
    return Samples(crops, {name: np.asarray(outputs[name], np.float32) for name in SERVED})


_NETWORK = """\
A `{recipe}` network. Around each of C1 to C7 that the localiser finds it sees {slices} slices across the spine, spread over the
height of the vertebra: {rows} x {columns} pixels of {y:g} x {x:g} mm, {low:g} to {high:g} HU, each with {neighbours} neighbour(s)
{z:g} mm above and below and the mask of the vertebra. Attention weighs the slices; then the seven vertebrae and the study are
classified together. A map of cells of 4 mm says where the network sees a fracture.
{passes} Scores become probabilities by a line through their logits (Platt, 1999)."""
_LABELS = """\
Labels: the label of the study for a level; where boxes or, in a phantom, fracture masks are known, also in which slices and
  cells of it. A level of which less than three tenths is in view is left out."""
_FAILURES = """\
`docs/benchmarks.md` has tables by kind and severity of the fracture, and of false positives on look-alikes. Levels that the
localiser misnames or misses are classified wrongly or not at all."""


def _card_text(folds: PackagedFolds, manifest: VertebraManifest) -> CardText:
    spec, training = manifest.spec, manifest.training
    (z, y, x), (low, high), (rows, columns) = spec.spacing_mm, spec.window_hu, spec.size
    shown = {"rows": rows, "columns": columns, "z": z, "y": y, "x": x, "low": low, "high": high, "neighbours": spec.neighbours}
    return CardText(
        networks=_NETWORK.format(recipe=training.recipe, slices=spec.slices, passes=_PASSES[manifest.tta_passes], **shown),
        risk="it may miss every fracture and find fractures where there are none",
        training=(
            *folds.lines(training.patients, "were held out"),
            _LABELS,
        ),
        intervals="Intervals are bootstraps over patients.",
        use="It must not be used to rule a fracture in or out, to order a worklist, or on levels that it does not assess.",
        failures=_FAILURES,
    )
