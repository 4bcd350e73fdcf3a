import csv
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import TrainingError
from cspine.networks.loading import load_network
from cspine.training.core.parts import HEADS, PATCHES
from cspine.training.core.runs import CHECKPOINT, HELD_OUT, LAST, LOG
from cspine.training.vertebrae.family import VertebraFold, train_vertebrae, vertebra_task
from cspine.training.vertebrae.prediction import predict_studies, scores_of
from tests.training.synthetic import KilledError, KillingReporter, Silent, assert_same_checkpoints
from tests.training.vertebrae.small import RECIPE, SPEC, study

pytestmark = pytest.mark.usefixtures("untraced")

FOLD = VertebraFold(1, [study(i, i if i % 2 else None) for i in range(5)], [study(10, 2), study(11), study(12, 4)])

SAVING = replace(
    RECIPE,
    patches=replace(RECIPE.patches, epochs=1, batches=2),
    heads=replace(RECIPE.heads, epochs=1),
    fit=replace(RECIPE.fit, batches=2, checkpoint_minutes=0.0),
)


@pytest.fixture(scope="module")
def uninterrupted(untraced: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains a run from its beginning to its end, through patches and heads."""
    home = tmp_path_factory.mktemp("uninterrupted")
    train_vertebrae(SAVING, FOLD, home, Silent())
    return home


def test_it_leaves_networks_logs_and_scores_of_the_held_out(uninterrupted: Path) -> None:
    header, *rows = (uninterrupted / LOG).read_text().splitlines()
    assert header == (
        "epoch,loss,fracture_loss,fracture_map_loss,overall_loss,slices_loss,auroc_overall,auroc_levels,learning_rate,seconds"
    )
    assert len(rows) == 2
    assert (uninterrupted / PATCHES / LOG).read_text().startswith("epoch,loss,auroc_cells,auroc_patches,learning_rate,seconds\n1,")
    network = load_network(uninterrupted / LAST)
    assert network.input_shape == (None, *SPEC.shape)
    with (uninterrupted / HELD_OUT).open() as file:
        scored = list(csv.DictReader(file))
    assert [row["study_uid"] for row in scored] == ["1.2.10", "1.2.11", "1.2.12"]
    again = scores_of(FOLD.held_out, predict_studies(network, FOLD.held_out, SAVING))
    np.testing.assert_array_equal(again.truth[:, 0], [True, False, True])
    assert 0 < again.scores.min() <= again.scores.max() < 1


def test_the_heads_learn_with_the_backbone_as_patches_left_it_and_then_all_learns(uninterrupted: Path) -> None:
    patches = load_network(uninterrupted / PATCHES / LAST)

    heads, after = load_network(uninterrupted / HEADS / LAST), load_network(uninterrupted / LAST)

    backbone = [layer.name for layer in patches.layers if layer.weights]
    assert "neck_normalisation" in backbone
    for name in backbone:
        for given, kept, tuned in zip(*(one.get_layer(name).get_weights() for one in (patches, heads, after)), strict=True):
            np.testing.assert_array_equal(given, kept)
            assert not np.array_equal(kept, tuned)
    fresh = SAVING.network.build(SPEC, SAVING.seed * 100 + 1).get_layer("level").get_weights()
    assert not np.array_equal(fresh[0], heads.get_layer("level").get_weights()[0])
    assert len((uninterrupted / HEADS / LOG).read_text().splitlines()) == 2


def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(uninterrupted: Path, tmp_path: Path) -> None:
    for part in (PATCHES, HEADS):  # what has ended is not learnt again
        shutil.copytree(uninterrupted / part, tmp_path / part)
    with pytest.raises(KilledError):
        train_vertebrae(SAVING, FOLD, tmp_path, KillingReporter(3))
    assert (tmp_path / CHECKPOINT).exists()
    assert not (tmp_path / HELD_OUT).exists()
    train_vertebrae(SAVING, FOLD, tmp_path, Silent())

    assert_same_checkpoints(uninterrupted, tmp_path)
    assert (uninterrupted / HELD_OUT).read_text() == (tmp_path / HELD_OUT).read_text()


def test_a_level_that_is_not_in_the_scan_scores_nothing() -> None:
    network = RECIPE.network.build(SPEC, seed=0)
    partly = replace(study(1, 2), heights_mm=np.array([0.0, 0.0, *[12.0] * 5]))
    nothing = replace(study(2), heights_mm=np.zeros(7))

    found = scores_of([partly, nothing], predict_studies(network, [partly, nothing], RECIPE))

    assert np.all((found.scores[0] > 0) == [True, False, False, *[True] * 5])
    assert not found.scores[1].any()


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / CHECKPOINT, progress=np.array("{}"))

    with pytest.raises(TrainingError, match="does not fit"):
        train_vertebrae(RECIPE, FOLD, tmp_path, Silent())


def test_an_epoch_is_scored_by_what_can_be_told() -> None:
    network, held_out = RECIPE.network.build(SPEC, seed=0), [study(1, 2), study(2), study(3, 4)]

    mixed, alike = (vertebra_task(RECIPE, FOLD, list).validate(network, studies) for studies in (held_out, held_out[1:2]))

    assert mixed.score == pytest.approx(np.nanmean(list(mixed.metrics.values())))
    assert math.isnan(alike.score)


def test_a_run_goes_on_from_a_trained_network(uninterrupted: Path, tmp_path: Path) -> None:
    still = replace(SAVING, initial_weights=str(uninterrupted / LAST), fit=replace(SAVING.fit, epochs=1, learning_rate=1e-12))

    train_vertebrae(still, FOLD, tmp_path, Silent())

    assert not (tmp_path / PATCHES).exists()
    assert not (tmp_path / HEADS).exists()
    given, after = load_network(uninterrupted / LAST), load_network(tmp_path / LAST)
    for one, other in zip(given.trainable_weights, after.trainable_weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


def test_a_network_of_other_layers_is_nothing_to_begin_with(uninterrupted: Path, tmp_path: Path) -> None:
    wider = replace(RECIPE, initial_weights=str(uninterrupted / LAST), network=replace(RECIPE.network, width=16))

    with pytest.raises(TrainingError, match="Initial weights need a network of the same layers"):
        train_vertebrae(wider, FOLD, tmp_path, Silent())
    with pytest.raises(TrainingError, match="cannot be read"):
        train_vertebrae(replace(RECIPE, initial_weights=str(tmp_path / "nothing.keras")), FOLD, tmp_path, Silent())
