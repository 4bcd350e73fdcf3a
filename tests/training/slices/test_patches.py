"""Patches of slices: half of them on a fracture, the rest on bone that is known to be intact."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import UsageError
from cspine.networks.loading import load_network
from cspine.networks.settings import CustomCNNSettings
from cspine.training.core.marks import BOX_BIT, UNKNOWN
from cspine.training.core.part_settings import HeadSettings, PatchSettings
from cspine.training.core.parts import HEADS, PATCHES
from cspine.training.core.patches import hardest, sample_patch
from cspine.training.core.runs import BEST, LAST, LOG
from cspine.training.core.settings import AnnotationUse, FitSettings, settings, with_settings
from cspine.training.slices.batches import TrainingStudy
from cspine.training.slices.family import SliceFold, train_slices
from cspine.training.slices.patches import find_slice_patches
from cspine.training.slices.settings import SliceAugmentation, SliceRecipe
from tests.training.synthetic import (
    KilledError,
    KillingReporter,
    Silent,
    assert_same_checkpoints,
    fold_data,
    recipe,
    stack,
)

pytestmark = pytest.mark.usefixtures("untraced")

STILL = SliceAugmentation(**dict.fromkeys(SliceAugmentation.__dataclass_fields__, 0.0))
SMALL = PatchSettings(size=(32, 32), batch=6, batches=2, epochs=2, held_out=40, shift_px=2, mined=30, hard_share=0.5)
RECIPE = replace(
    recipe(epochs=1, batches=2, checkpoint_minutes=0.0),
    network=CustomCNNSettings(widths=(4, 4, 4, 4, 4), head_width=6, dropout=0.0),
    patches=SMALL,
    heads=HeadSettings(epochs=1, learning_rate=0.01),
)


def source(studies: list[tuple[int, int | None]], settings: SliceRecipe = RECIPE, **how: bool):  # type: ignore[no-untyped-def]
    return find_slice_patches([TrainingStudy.of(stack(n, broken, **how), settings) for n, broken in studies], settings)


def test_patches_lie_on_known_fractures_and_on_bone_that_is_known_to_be_intact() -> None:
    found = source([(0, 2), (1, None)])

    marks = [found.studies[study].stack.marks[place] for study, *at in found.fractured for place in [tuple(at)]]
    assert set(marks) == {3 + BOX_BIT}
    intact = [(study, found.studies[study].stack.marks[tuple(at)]) for study, *at in found.intact]
    assert {study for study, _ in intact} == {0, 1}
    assert all(1 <= mark % BOX_BIT <= 7 and not (study == 0 and mark == 3 + BOX_BIT) for study, mark in intact)


def test_bone_of_a_level_that_is_fractured_nobody_knows_where_is_neither() -> None:
    blind = replace(RECIPE, labels=replace(RECIPE.labels, boxes=AnnotationUse.IGNORE))
    found = source([(0, 2)], blind)

    assert not len(found.fractured)
    assert {int(found.studies[0].stack.marks[tuple(at)]) % BOX_BIT for _, *at in found.intact} == {1, 2, 4, 5, 6, 7}
    place = np.argwhere(found.studies[0].stack.marks % BOX_BIT == 3)[0]
    _, cells = found.cut(np.random.default_rng(0), np.array([0, *place], np.int32))
    assert (cells == UNKNOWN).any()
    assert set(np.unique(cells)) == {UNKNOWN, 0.0}


def test_studies_without_masks_have_no_patches() -> None:
    assert not len(source([(0, 2)], mask=False).intact)


@pytest.mark.parametrize("mirrored", [0.0, 1.0])
def test_a_cell_of_a_patch_is_fractured_where_the_gap_is(mirrored: float) -> None:
    still = replace(RECIPE, augmentation=replace(STILL, flip_share=mirrored), patches=replace(SMALL, fractured_share=1.0))
    found = source([(0, 2)], still)

    for number in range(12):
        image, cells = sample_patch(np.random.default_rng(number), found, still.patches)

        assert image.shape == (32, 32, 3)
        gap = (image[..., 1] < 0.1) & (image[..., 1] > 0)  # darker than tissue, brighter than air
        shown = gap.reshape(4, 8, 4, 8).any(axis=(1, 3))
        assert cells.any()
        assert np.count_nonzero(shown & (cells > 0)) > 0


def test_a_patch_lies_around_its_centre() -> None:
    still = replace(RECIPE, augmentation=STILL, patches=replace(SMALL, shift_px=0, size=(32, 32)))
    wide = [TrainingStudy.of(stack(0, 2), still)]
    found = find_slice_patches(wide, still)
    whole = wide[0].stack.input(still.input, 5, 6)[0]

    image, _ = found.cut(np.random.default_rng(0), np.array([0, 5, 12, 20], np.int32))

    np.testing.assert_allclose(image[4 : 4 + 24, 0:20], whole[0:24, 4:24], atol=1e-6)


@pytest.fixture(scope="module")
def uninterrupted(untraced: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains a run from its beginning to its end, through patches and heads."""
    home = tmp_path_factory.mktemp("uninterrupted")
    train_slices(RECIPE, fold_data(), home, Silent())
    return home


def test_a_slice_network_learns_from_patches_then_its_heads_then_all(uninterrupted: Path) -> None:
    patches = load_network(uninterrupted / PATCHES / LAST)
    heads, after = load_network(uninterrupted / HEADS / LAST), load_network(uninterrupted / BEST)

    backbone = [layer.name for layer in patches.layers if layer.weights]
    assert "evidence" in backbone
    assert "context_convolution" not in backbone
    for name in backbone:
        given, kept, tuned = (one.get_layer(name).get_weights() for one in (patches, heads, after))
        for one, other in zip(given, kept, strict=True):
            np.testing.assert_array_equal(one, other)
        assert any(not np.array_equal(one, other) for one, other in zip(kept, tuned, strict=True))
    fresh = RECIPE.network.build(RECIPE.input, RECIPE.seed * 100)
    for name in ("level_map_logits", "context_convolution"):
        before, now = (one.get_layer(name).get_weights()[0] for one in (fresh, heads))
        assert not np.array_equal(before, now)
    with (uninterrupted / PATCHES / LOG).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert {"auroc_cells", "auroc_patches"} <= set(rows[0])


class KilledBeforeHeads(Silent):
    """Ends training when patches have been learnt."""

    def begins(self, home: Path, epoch: int, settings: FitSettings) -> None:
        if home.name == HEADS:
            raise KilledError


def test_a_run_that_was_killed_over_patches_learns_from_them_as_one_that_was_not(uninterrupted: Path, tmp_path: Path) -> None:
    for reporter in (KillingReporter(3), KilledBeforeHeads()):
        with pytest.raises(KilledError):
            train_slices(RECIPE, fold_data(), tmp_path, reporter)

    assert_same_checkpoints(uninterrupted / PATCHES, tmp_path / PATCHES)
    assert {path.name for path in (tmp_path / PATCHES).glob("hard-*")} == {"hard-1.npz", "hard-2.npz"}


def test_a_run_that_was_killed_over_its_heads_ends_with_the_weights_of_one_that_was_not(
    uninterrupted: Path, tmp_path: Path
) -> None:
    shutil.copytree(uninterrupted / PATCHES, tmp_path / PATCHES)  # what has ended is not learnt again
    with pytest.raises(KilledError):
        train_slices(RECIPE, fold_data(), tmp_path, KillingReporter(1))
    train_slices(RECIPE, fold_data(), tmp_path, Silent())

    for part in (HEADS, "."):
        assert_same_checkpoints(uninterrupted / part, tmp_path / part)


def test_hard_negatives_are_the_intact_patches_that_look_most_fractured(uninterrupted: Path) -> None:
    model = load_network(uninterrupted / PATCHES / LAST)
    still = replace(RECIPE, augmentation=STILL, patches=replace(SMALL, shift_px=0, mined=40))
    found = source([(0, 2), (1, None), (2, 4)], still)

    hard = hardest(model, found, still.patches, np.random.default_rng(7))

    assert len(hard) == 4
    rng = np.random.default_rng(7)
    tried = found.intact[rng.integers(len(found.intact), size=40)]
    cut = [found.cut(rng, centre) for centre in tried]
    seen = np.asarray(model.predict_on_batch(np.stack([image for image, _ in cut])))[..., 0].max(axis=(1, 2))
    counted = np.array([-1.0 if (cells > 0).any() else value for value, (_, cells) in zip(seen, cut, strict=True)])
    assert set(map(tuple, hard)) == set(map(tuple, tried[np.argsort(-counted, kind="stable")[:4]]))


def test_a_data_set_that_does_not_say_where_is_trained_on_whole_slices(tmp_path: Path) -> None:
    warned: list[str] = []

    class Warned(Silent):
        def warn(self, text: str) -> None:
            warned.append(text)

    data = SliceFold(0, [stack(i, i % 7 if i % 2 else None, boxes=False) for i in range(4)], [stack(8, None), stack(9, 2)])

    train_slices(RECIPE, data, tmp_path, Warned())

    assert warned == ["no study says where it is fractured, so patches are not used"]
    assert (tmp_path / BEST).is_file()
    assert not (tmp_path / PATCHES).exists()


def test_settings_of_parts_that_do_nothing_are_refused() -> None:
    without = replace(RECIPE, patches=replace(SMALL, epochs=0))

    with pytest.raises(UsageError, match=r"heads\.epochs of custom_cnn does nothing here: patches\.epochs is 0"):
        with_settings(without, {"heads.epochs": "2"})
    with pytest.raises(UsageError, match=r"patches\.hard_share of custom_cnn does nothing here: patches\.mined is 0"):
        with_settings(RECIPE, {"patches.hard_share": "0.4", "patches.mined": "0"})
    assert settings(with_settings(without, {"patches.epochs": "3"}))["patches.epochs"] == "3"
