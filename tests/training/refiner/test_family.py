from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.errors import TrainingError
from cspine.networks.loading import load_network
from cspine.training.core.loop import train_network
from cspine.training.core.runs import CHECKPOINT, LAST, LOG
from cspine.training.localiser.pool import PoolPart, fill_pool
from cspine.training.localiser.scoring import score_crops
from cspine.training.refiner.crops import sample_strip
from cspine.training.refiner.family import refiner_task
from cspine.training.refiner.settings import RefinerRecipe
from tests.training.refiner.small import RECIPE, SPEC
from tests.training.synthetic import Silent, assert_resumes_exactly

pytestmark = pytest.mark.usefixtures("untraced")

Pool = dict[PoolPart, list[Path]]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    counts = {PoolPart.TRAIN: RECIPE.pool.necks, PoolPart.VALIDATE: RECIPE.pool.held_out}
    return fill_pool(tmp_path_factory.mktemp("strips"), partial(sample_strip, RECIPE.pool, SPEC), counts, 1, lambda _: None)


def fit(recipe: RefinerRecipe, pool: Pool, home: Path, reporter: Silent) -> None:
    task = refiner_task(recipe, pool[PoolPart.TRAIN], pool[PoolPart.VALIDATE])
    train_network(task, recipe.fit, recipe.seed, home, reporter)


SAVING = replace(RECIPE, fit=replace(RECIPE.fit, batches=2, checkpoint_minutes=0.0))


@pytest.fixture(scope="module")
def uninterrupted(untraced: None, pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains a run from its beginning to its end."""
    home = tmp_path_factory.mktemp("uninterrupted")
    fit(SAVING, pool, home, Silent())
    return home


@pytest.mark.parametrize("after", [1, 3])
def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    uninterrupted: Path, pool: Pool, tmp_path: Path, after: int
) -> None:
    assert_resumes_exactly(lambda home, reporter: fit(SAVING, pool, home, reporter), uninterrupted, tmp_path, after)


def test_it_leaves_a_network_and_a_log(uninterrupted: Path) -> None:
    header, *rows = (uninterrupted / LOG).read_text().splitlines()
    assert header == "epoch,loss,dice,dice_p10,off_mm,learning_rate,seconds"
    assert len(rows) == RECIPE.fit.epochs
    network = load_network(uninterrupted / LAST)
    assert network.input_shape == (None, *SPEC.size, 3)
    assert network.output["vertebra"].shape == (None, *SPEC.size, 3)


def test_a_checkpoint_of_another_kind_is_refused(uninterrupted: Path, pool: Pool, tmp_path: Path) -> None:
    with np.load(uninterrupted / CHECKPOINT) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(tmp_path / CHECKPOINT, **arrays | {"progress": np.array('{"epoch": 1, "batch": 0, "records": [{"auroc": 1}]}')})

    with pytest.raises(TrainingError, match="does not fit this run or is damaged"):
        fit(RECIPE, pool, tmp_path, Silent())


def predicting(mask: np.ndarray) -> keras.Model:
    """Returns a network that predicts the same whatever it sees."""
    crop = keras.Input((*SPEC.size, 3))
    fixed = keras.ops.one_hot(mask.astype(int), 3)[None]
    return keras.Model(crop, {"vertebra": keras.layers.Lambda(lambda x: fixed + 0 * x)(crop)})


def test_who_says_what_is_there_is_right_and_who_is_off_is_so_far_off() -> None:
    classes = np.zeros(SPEC.size, np.uint8)
    classes[4:10, 4:12, 4:12] = 1
    classes[10:12] = 2
    crops = [(np.zeros((*SPEC.size, 3), np.float32), classes), (np.zeros((*SPEC.size, 3), np.float32), 0 * classes)]

    right = score_crops(predicting(classes), crops, SPEC)
    wrong = score_crops(predicting(np.roll(classes, 2, axis=1)), crops, SPEC)

    assert (right.dice, right.dice_p10, right.off_mm) == (1, 1, 0)
    assert wrong.dice == wrong.dice_p10 == pytest.approx(0.75)
    assert wrong.off_mm == pytest.approx(2 * SPEC.spacing_mm[1])
