from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.errors import TrainingError
from cspine.networks.loading import load_network
from cspine.training.core.loop import train_network
from cspine.training.core.runs import CHECKPOINT, LAST, LOG
from cspine.training.localiser.batches import Sources, fixed_windows
from cspine.training.localiser.family import localiser_task
from cspine.training.localiser.pool import UNKNOWN_CLASS, UNNAMED_CLASS, PoolPart, make_pool
from cspine.training.localiser.scoring import score_windows
from cspine.training.localiser.settings import LocaliserRecipe
from tests.training.localiser.small import RECIPE, SPEC
from tests.training.synthetic import Silent, assert_resumes_exactly

pytestmark = pytest.mark.usefixtures("untraced")

Pool = dict[PoolPart, list[Path]]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return make_pool(tmp_path_factory.mktemp("necks"), RECIPE, tuple(PoolPart), 1, lambda _: None)


def fit(recipe: LocaliserRecipe, pool: Pool, home: Path, reporter: Silent) -> None:
    task = localiser_task(recipe, Sources(pool[PoolPart.TRAIN]), lambda: fixed_windows(pool[PoolPart.VALIDATE], recipe))
    train_network(task, recipe.fit, recipe.seed, home, reporter)


SAVING = replace(RECIPE, fit=replace(RECIPE.fit, batches=2, checkpoint_minutes=0.0))


@pytest.fixture(scope="module")
def uninterrupted(untraced: None, pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains a run from its beginning to its end."""
    home = tmp_path_factory.mktemp("uninterrupted")
    fit(SAVING, pool, home, Silent())
    return home


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    uninterrupted: Path, pool: Pool, tmp_path: Path, after: int
) -> None:
    assert_resumes_exactly(lambda home, reporter: fit(SAVING, pool, home, reporter), uninterrupted, tmp_path, after)


def test_it_leaves_a_network_and_a_log(uninterrupted: Path) -> None:
    header, *rows = (uninterrupted / LOG).read_text().splitlines()
    assert header.split(",")[:5] == ["epoch", "loss", "dice", "right", "wrong"]
    assert len(rows) == RECIPE.fit.epochs
    assert load_network(uninterrupted / LAST).output["levels"].shape == (None, *SPEC.size, 10)


def test_a_checkpoint_of_another_kind_is_refused(pool: Pool, tmp_path: Path) -> None:
    np.savez(tmp_path / CHECKPOINT, progress=np.array("{}"))

    with pytest.raises(TrainingError, match="does not fit"):
        fit(RECIPE, pool, tmp_path, Silent())


def predicting(classes: np.ndarray) -> keras.Model:
    """Returns a network that predicts the same whatever it sees."""
    window = keras.Input((*SPEC.size, 1))
    fixed = keras.ops.one_hot(classes.astype(int), 10)[None]
    return keras.Model(window, {"levels": keras.layers.Lambda(lambda x: fixed + 0 * x)(window)})


def test_who_says_what_is_there_is_right_and_who_is_one_off_is_wrong() -> None:
    classes = np.zeros(SPEC.size, np.uint8)
    for level in range(1, 7):
        classes[2 * level : 2 * level + 2, 4:12, 4:12] = level
    shifted = np.where(classes > 0, classes + 1, 0)
    windows = [(np.zeros(SPEC.size, np.float32), classes)]

    right, wrong, nothing = (score_windows(predicting(predicted), windows, SPEC) for predicted in (classes, shifted, 0 * classes))

    assert (right.dice, right.right, right.wrong, right.invented) == (1, 1, 0, 0)
    assert (wrong.dice, wrong.right, wrong.wrong) == (0, 0, 1)
    assert (nothing.right, nothing.wrong) == (0, 0)
    assert score_windows(predicting(classes), [(windows[0][0], 0 * classes), *windows], SPEC).invented > 0


def test_what_is_said_where_nothing_is_known_is_neither_right_nor_invented() -> None:
    classes = np.zeros(SPEC.size, np.uint8)
    classes[4:8, 4:12, 4:12] = 3
    predicted = classes.copy()
    predicted[8:12, 4:12, 4:12] = 3
    unknown, unnamed = classes.copy(), classes.copy()
    unknown[8:12], unnamed[8:12] = UNKNOWN_CLASS, UNNAMED_CLASS

    forgiven, invented = (
        score_windows(predicting(predicted), [(np.zeros(SPEC.size, np.float32), one)], SPEC) for one in (unknown, unnamed)
    )

    assert (forgiven.dice, forgiven.right, forgiven.invented) == (1, 1, 0)
    assert invented.dice < 1
    assert invented.invented == pytest.approx(4 * 8 * 8 * 8**3 / 1e6)
