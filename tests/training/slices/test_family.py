from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.training.core.checkpoint import EpochRecord, Progress
from cspine.training.core.loop import advanced, compiled
from cspine.training.core.runs import BEST, CHECKPOINT, HELD_OUT, LOG
from cspine.training.slices.family import slice_task
from cspine.training.slices.prediction import all_slice_outputs, study_scores
from tests.training.synthetic import (
    KilledError,
    KillingReporter,
    Silent,
    assert_same_checkpoints,
    fit,
    fold_data,
    recipe,
)

pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture(scope="module")
def uninterrupted(untraced: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains a run from its beginning to its end."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    settings = recipe(batches=2, checkpoint_minutes=0.0)
    fit(settings, fold_data(), folder, Silent())
    return folder


@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_run_that_was_killed_and_resumed_ends_with_the_weights_of_one_that_was_not(
    uninterrupted: Path, tmp_path: Path, killed_after: int
) -> None:
    settings = recipe(batches=2, checkpoint_minutes=0.0)
    data = fold_data()

    with pytest.raises(KilledError):
        fit(settings, data, tmp_path, KillingReporter(killed_after))
    again = Silent()
    fit(settings, data, tmp_path, again)

    assert again.epochs == (2 if killed_after < 2 else 1)
    assert_same_checkpoints(uninterrupted, tmp_path)
    assert (uninterrupted / HELD_OUT).read_text() == (tmp_path / HELD_OUT).read_text()


def test_a_run_leaves_its_best_network_a_log_and_scores_of_held_out_patients(uninterrupted: Path) -> None:
    assert set(keras.saving.load_model(uninterrupted / BEST, compile=False).output) == {"fracture", "visible", "level_map"}
    assert len((uninterrupted / LOG).read_text().splitlines()) == 1 + recipe().fit.epochs
    scores = StudyScores.from_csv(uninterrupted / HELD_OUT)
    assert scores.study_uids == ("1.2.6", "1.2.7", "1.2.8", "1.2.9")
    assert scores.truth[:, 0].tolist() == [False, True, False, True]


def test_the_scores_of_held_out_patients_are_those_of_the_best_network(uninterrupted: Path) -> None:
    held_out, network = fold_data().held_out, keras.saving.load_model(uninterrupted / BEST, compile=False)

    predicted = study_scores(held_out, all_slice_outputs(network, held_out, recipe().input))

    found = StudyScores.from_csv(uninterrupted / HELD_OUT)
    assert found.study_uids == predicted.study_uids
    assert np.array_equal(found.truth, predicted.truth)
    np.testing.assert_allclose(found.scores, predicted.scores, rtol=1e-7)  # some processors sum in another order
    assert len(list(uninterrupted.glob("*.csv"))) == 2


@pytest.mark.parametrize(("aurocs", "ends"), [([0.5, 0.7, 0.6], False), ([0.7, 0.6, 0.6], True), ([0.5, 0.6, 0.7, 0.8], True)])
def test_training_ends_with_the_last_epoch_or_when_held_out_patients_gain_no_more(aurocs: list[float], ends: bool) -> None:
    settings, progress = recipe(epochs=4, patience=2), Progress()
    task = slice_task(settings, fold_data(), Silent())

    for epoch, value in enumerate(aurocs, 1):
        progress = advanced(progress, EpochRecord(epoch, 1.0, {}, {}, value, 0.1, 1.0), task, settings.fit)

    assert progress.done is ends
    assert progress.best is not None
    assert progress.best.score == max(aurocs)


def test_the_loss_of_one_repeated_batch_falls() -> None:
    settings = recipe(learning_rate=0.02)
    task = slice_task(settings, fold_data(), Silent())
    model = compiled(task, settings.fit)
    images, targets = task.batches(0, 0)[0]

    losses = [float(model.train_on_batch(images, targets, return_dict=True)["loss"]) for _ in range(6)]

    assert losses[-1] < 0.8 * losses[0]


def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path: Path) -> None:
    settings = recipe()
    (tmp_path / CHECKPOINT).write_bytes(b"half a file")

    with pytest.raises(TrainingError, match="does not fit this run or is damaged"):
        fit(settings, fold_data(), tmp_path, Silent())
