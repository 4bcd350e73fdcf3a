from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from cspine.networks.backbones import NAME
from cspine.networks.layers import EvidencePooling, LevelAreas
from cspine.networks.options import Learning, LearningStage
from cspine.specs import SliceSpec
from cspine.training.core.checkpoint import EpochRecord, Progress
from cspine.training.core.loop import TrainingTask, advanced, compiled, enter_stage, stage_at
from cspine.training.core.runs import HELD_OUT
from cspine.training.core.settings import Precision
from cspine.training.slices.family import slice_task
from cspine.training.slices.settings import SliceRecipe
from tests.training.synthetic import (
    KilledError,
    KillingReporter,
    Silent,
    assert_same_checkpoints,
    fit,
    fold_data,
    recipe,
    stored_arrays,
)

pytestmark = pytest.mark.usefixtures("untraced")


@dataclass(frozen=True)
class TwoStages:
    """A network of two convolutions that counts as pretrained, under small heads."""

    head_epochs: int = 1
    outputs: tuple[str, ...] = ("fracture", "visible", "level_map")

    @property
    def stages(self) -> tuple[LearningStage, ...]:
        """Returns the stages: the heads first, then the second convolution with them."""
        return (
            LearningStage(Learning.HEADS, epochs=self.head_epochs),
            LearningStage(Learning.TUNING, rate=0.1, tuned_from="second"),
        )

    def check(self, spec: SliceSpec) -> None:
        """Accepts every input."""

    def build(self, spec: SliceSpec, seed: int) -> keras.Model:
        """Returns the network."""
        keras.utils.set_random_seed(seed)
        inner = keras.Input((*spec.size, spec.channels))
        x = layers.BatchNormalization(name="first_normalisation")(layers.Conv2D(4, 3, 4, padding="same", name="first")(inner))
        x = layers.BatchNormalization(name="second_normalisation")(layers.Conv2D(4, 3, 2, padding="same", name="second")(x))
        image = keras.Input((*spec.size, spec.channels))
        cells = layers.SpatialDropout2D(0.2, seed=seed)(keras.Model(inner, x, name=NAME)(image))
        where = layers.Conv2D(8, 1, activation="softmax", name="level_map_logits")(cells)
        broken = EvidencePooling(name="pooling")([layers.Conv2D(1, 1, name="evidence")(cells), where])
        outputs = {
            "fracture": layers.Activation("sigmoid", name="fracture")(broken),
            "visible": layers.Activation("sigmoid", name="visible")(LevelAreas()(where)),
            "level_map": where,
        }
        return keras.Model(image, outputs)

    def fetch(self) -> None:
        """Does nothing: there are no pretrained weights."""

    def idle(self) -> dict[str, str]:
        """Says that every setting does something."""
        return {}

    def pretrain(self, model: keras.Model) -> None:
        """Adds what fresh weights do not have."""
        kernel, bias = model.get_layer(NAME).get_layer("first").get_weights()
        model.get_layer(NAME).get_layer("first").set_weights([kernel, bias + 0.125])


def two_stages(**fit: Any) -> SliceRecipe:
    return replace(recipe(**{"epochs": 3, "batches": 2, "checkpoint_minutes": 0.0} | fit), network=TwoStages())


class KilledBetweenEpochs(KillingReporter):
    """Ends training after some batches, or when an epoch ends with the last of them."""

    def epoch(self, record: EpochRecord, of: int, home: Path) -> None:
        super().epoch(record, of, home)
        if self.left == 0:
            raise KilledError


@pytest.fixture(scope="module")
def uninterrupted(untraced: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains a run from its beginning to its end."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    fit(two_stages(), fold_data(), folder, Silent())
    return folder


@pytest.mark.parametrize("killed_after", [1, 2, 5], ids=["in the first stage", "between the stages", "in the second stage"])
def test_a_run_that_was_killed_in_any_stage_ends_with_the_weights_of_one_that_was_not(
    uninterrupted: Path, tmp_path: Path, killed_after: int
) -> None:
    settings, data = two_stages(), fold_data()

    with pytest.raises(KilledError):
        fit(settings, data, tmp_path, KilledBetweenEpochs(killed_after))
    fit(settings, data, tmp_path, Silent())

    assert_same_checkpoints(uninterrupted, tmp_path)
    assert (uninterrupted / HELD_OUT).read_text() == (tmp_path / HELD_OUT).read_text()


def test_pretrained_weights_are_where_training_begins_and_stay_until_they_are_tuned(uninterrupted: Path, tmp_path: Path) -> None:
    settings = two_stages()
    fresh = settings.network.build(settings.input, seed=settings.seed * 100)
    settings.network.pretrain(fresh)

    with pytest.raises(KilledError):
        fit(settings, fold_data(), tmp_path, KilledBetweenEpochs(2))

    for folder, tuned in ((tmp_path, set()), (uninterrupted, {"second"})):
        changed = set()
        for number, variable in enumerate(fresh.variables):
            if not np.array_equal(stored_arrays(folder)[f"model{number}"], keras.ops.convert_to_numpy(variable.value)):
                changed.add(variable.path.split("/")[0 if NAME not in variable.path else 1])
        assert changed >= {"evidence", "level_map_logits"} | tuned
        assert not changed & ({"first", "second", "first_normalisation", "second_normalisation"} - tuned)


def test_each_stage_has_its_own_rate() -> None:
    settings = two_stages(learning_rate=0.01)
    task = task_of(settings)
    model = compiled(task, settings.fit)

    rates = []
    for number in (0, 1):
        enter_stage(model, task, settings.fit, number)
        rates.append(max(float(model.optimizer._learning_rate(step)) for step in range(15)))

    assert rates == pytest.approx([0.01, 0.001], rel=0.05)


def test_an_epoch_belongs_to_one_stage_and_the_last_takes_what_is_left() -> None:
    settings = replace(two_stages(epochs=6), network=TwoStages(head_epochs=2))

    assert [stage_at(task_of(settings), settings.fit, epoch) for epoch in range(7)] == [0, 0, 1, 1, 1, 1, 1]
    assert [stage_at(task_of(recipe()), recipe(epochs=2).fit, epoch) for epoch in range(3)] == [0, 0, 0]


def test_a_first_stage_that_takes_all_epochs_is_the_only_one(tmp_path: Path) -> None:
    settings = replace(two_stages(epochs=1), network=TwoStages(head_epochs=1))

    fit(settings, fold_data(), tmp_path, Silent())
    again = Silent()
    fit(settings, fold_data(), tmp_path, again)

    assert again.epochs == 0


def test_patience_is_counted_in_the_last_stage() -> None:
    settings, progress = replace(two_stages(epochs=9, patience=2), network=TwoStages(head_epochs=4)), Progress()

    ended = []
    for epoch in range(1, 8):
        progress = advanced(progress, record(epoch, score=0.9 - 0.1 * epoch), task_of(settings), settings.fit)
        ended.append(progress.done)

    assert ended == [False] * 5 + [True] * 2


def record(epoch: int, score: float) -> EpochRecord:
    return EpochRecord(epoch, 1.0, {}, {}, score, 0.1, 1.0)


def task_of(settings: SliceRecipe) -> TrainingTask[Any]:
    return slice_task(settings, fold_data(), Silent())


@pytest.mark.parametrize("precision", [Precision.MIXED_BFLOAT16, Precision.MIXED_FLOAT16])
def test_a_network_in_mixed_precision_keeps_its_weights_and_its_best_in_float32(tmp_path: Path, precision: Precision) -> None:
    settings = recipe(epochs=1, batches=2, checkpoint_minutes=0.0)
    settings = replace(settings, fit=replace(settings.fit, precision=precision))

    fit(settings, fold_data(), tmp_path, Silent())

    assert compiled(task_of(settings), settings.fit).get_layer("neck_convolution").compute_dtype == precision.value.removeprefix(
        "mixed_"
    )
    assert {
        values.dtype for name, values in stored_arrays(tmp_path).items() if name.startswith("model") and values.dtype.kind == "f"
    } == {np.dtype(np.float32)}
    best = keras.saving.load_model(tmp_path / "best.keras", compile=False)
    assert {layer.compute_dtype for layer in best.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
