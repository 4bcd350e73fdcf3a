import re

import pytest

from cspine.errors import TrainingError, UsageError
from cspine.networks.settings import CustomCNNSettings
from cspine.recipes import load_recipe, load_slice_recipe, recipe_names
from cspine.training.core.settings import AnnotationUse, as_started, parse_assignments, settings, with_settings

RECIPE = load_slice_recipe("custom_cnn")


@pytest.mark.parametrize("name", recipe_names())
def test_the_settings_of_a_recipe_as_text_give_the_recipe_again(name: str) -> None:
    recipe = load_recipe(name)

    assert as_started(recipe, settings(recipe)) == recipe


def test_settings_are_read_by_their_types() -> None:
    changed = with_settings(
        RECIPE,
        {
            "fit.epochs": "3",
            "fit.learning_rate": "1e-4",
            "input.size": "64,96",
            "network.widths": "4, 8,8,8,8",
            "labels.boxes": "ignore",
        },
    )

    assert changed.fit.epochs == 3
    assert changed.fit.learning_rate == 1e-4
    assert changed.input.size == (64, 96)
    assert changed.network == CustomCNNSettings(widths=(4, 8, 8, 8, 8))
    assert changed.labels.boxes is AnnotationUse.IGNORE
    assert RECIPE.fit.epochs != 3


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("fit.epoch", "3", r"has no setting fit\.epoch\. Did you mean fit\.epochs\? `cspine recipes custom_cnn` lists all"),
        ("name", "other", "has no setting name"),
        ("fit.epochs", "many", "fit.epochs of custom_cnn cannot be 'many'"),
        ("input.size", "64", "2 values with commas"),
        ("labels.boxes", "maybe", "one of label, ignore is needed"),
        ("fit.epochs", "0", r"fit\.epochs must be 1 or more\. Received: 0"),
        ("fit.learning_rate", "nan", "a finite number is needed"),
        ("fit.learning_rate", "inf", "a finite number is needed"),
        ("input.window_hu", "5,1", "cannot be '5,1'.*rising window"),
    ],
)
def test_a_wrong_setting_is_refused(key: str, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_settings(RECIPE, {key: text})


def test_settings_that_are_right_only_together_are_changed_together_in_any_order() -> None:
    recipe = load_recipe("vertebra_mil")
    changes = {"input.depth": "8", "input.slices": "4", "input.neighbours": "1", "network.widths": "4,4,4,4"}

    changed = [with_settings(recipe, dict(order)) for order in (list(changes.items()), list(changes.items())[::-1])]

    assert changed[0] == changed[1]
    assert "'input.depth': '8'" in str(settings(changed[0]))
    with pytest.raises(UsageError, match=r"input\.depth of vertebra_mil cannot be '8': .* cuts all slices"):
        with_settings(recipe, {"input.depth": "8", "fit.epochs": "1"})


def test_an_assignment_needs_an_equals_sign() -> None:
    assert parse_assignments(["fit.epochs=3", "seed = 4"]) == {"fit.epochs": "3", "seed": "4"}
    with pytest.raises(UsageError, match=r"key=value\. Received: fit.epochs"):
        parse_assignments(["seed=1", "fit.epochs"])


@pytest.mark.parametrize(
    ("recipe", "wrong", "nearest"),
    [
        ("custom_cnn", "fit.epoch", "fit.epochs"),
        ("custom_cnn", "epochs", "fit.epochs"),
        ("custom_cnn", "fit.lerning_rate", "fit.learning_rate"),
        ("custom_cnn", "augmentation.shift", "augmentation.shift_mm"),
        ("custom_cnn", "sampling.batches", "patches.batches"),
        ("localiser", "augment.turn_deg", "augmentation.turn_deg"),
        ("vertebra_mil", "patch.epochs", "patches.epochs"),
        ("refiner", "pool.neck", "pool.necks"),
    ],
)
def test_an_unknown_setting_is_answered_with_the_nearest_and_not_with_all(recipe: str, wrong: str, nearest: str) -> None:
    with pytest.raises(UsageError) as told:
        with_settings(load_recipe(recipe), {wrong: "1"})

    assert f"has no setting {wrong}. Did you mean {nearest}? `cspine recipes {recipe}` lists all." in str(told.value)
    assert len(str(told.value)) < 150


def test_a_name_that_is_like_no_setting_is_told_where_all_are_listed() -> None:
    with pytest.raises(UsageError, match=r"has no setting zzz\. `cspine recipes custom_cnn` lists all"):
        with_settings(RECIPE, {"zzz": "1"})


@pytest.mark.parametrize(
    ("recipe", "changes", "idle", "on_data"),
    [
        ("custom_cnn", {"losses.maps": "2"}, "losses.maps", True),
        ("custom_cnn", {"losses.fracture_map": "2"}, "losses.fracture_map", True),
        ("densenet121", {"network.weights": "none", "network.head_epochs": "2"}, "network.head_epochs", True),
        ("unet_transfer", {"network.weights": "none", "network.tuned_rate": "2"}, "network.tuned_rate", True),
        ("leaky_protocol", {"labels.boxes": "ignore"}, "labels.boxes", True),
        ("custom_cnn", {"augmentation.warp_share": "0", "augmentation.turn_deg": "5"}, "augmentation.turn_deg", True),
        ("vertebra_mil", {"patches.epochs": "0", "patches.batch": "5"}, "patches.batch", True),
        ("vertebra_mil", {"patches.epochs": "0", "heads.epochs": "5"}, "heads.epochs", True),
        ("vertebra_mil", {"heads.epochs": "0", "heads.learning_rate": "1e-3"}, "heads.learning_rate", True),
        ("vertebra_mil", {"initial_weights": "a.keras", "patches.epochs": "5"}, "patches.epochs", True),
        ("vertebra_mil", {"network.mixers": "0", "network.heads": "2"}, "network.heads", True),
        ("vertebra_mil", {"augmentation.coarse_share": "0", "augmentation.coarse_mm": "2,1"}, "augmentation.coarse_mm", True),
        (
            "vertebra_mil",
            {"augmentation.kernel_share": "0", "augmentation.sharpness_gain": "1"},
            "augmentation.sharpness_gain",
            True,
        ),
        ("vertebra_mil", {"augmentation.noise_hu": "0", "augmentation.grain_mm": "1"}, "augmentation.grain_mm", True),
        ("vertebra_mil", {"augmentation.streak_share": "0", "augmentation.streak_hu": "9"}, "augmentation.streak_hu", True),
        ("localiser", {"masked.share": "0.3"}, "masked.share", False),
        ("localiser", {"split.folds": "3"}, "split.folds", False),
        ("localiser", {"masked.share": "1", "pool.necks": "3"}, "pool.necks", True),
        ("localiser", {"pool.held_out": "3"}, "pool.held_out", True),
        ("refiner", {"guide.swap_share": "0", "guide.drop_share": "0.1"}, "guide.drop_share", True),
    ],
)
def test_a_setting_that_does_nothing_is_refused_with_its_reason(
    recipe: str, changes: dict[str, str], idle: str, on_data: bool
) -> None:
    with pytest.raises(UsageError, match=rf"{re.escape(idle)} of {recipe} does nothing here: .*\. Leave it out"):
        with_settings(load_recipe(recipe), changes, on_data=on_data)

    rest = {key: value for key, value in changes.items() if key != idle}
    assert with_settings(load_recipe(recipe), rest, on_data=on_data) is not None


@pytest.mark.parametrize("recipe", ["localiser", "refiner", "vertebra_mil"])
@pytest.mark.parametrize("other", ["fit.fracture_weight", "fit.positive_weight", "split.slices_kept", "losses.level_map"])
def test_settings_of_other_families_are_no_settings_here(recipe: str, other: str) -> None:
    with pytest.raises(UsageError, match="has no setting"):
        with_settings(load_recipe(recipe), {other: "1"})


@pytest.mark.parametrize("name", recipe_names())
def test_what_a_recipe_calls_idle_is_a_setting_of_it(name: str) -> None:
    recipe = load_recipe(name)

    assert {key for on_data in (True, False) for key in recipe.idle(on_data=on_data)} <= set(settings(recipe))


def test_a_run_of_another_version_is_told() -> None:
    stored = settings(RECIPE)
    for wrong in (stored | {"fit.gone": "1"}, {key: text for key, text in stored.items() if key != "fit.batch"}):
        with pytest.raises(TrainingError, match=r"needs the settings of this version of custom_cnn\. fit\.\w+ is .*train it again"):
            as_started(RECIPE, wrong)
    with pytest.raises(TrainingError, match=r"fit\.epochs of custom_cnn cannot be 'many'"):
        as_started(RECIPE, stored | {"fit.epochs": "many"})


@pytest.mark.parametrize("name", ["fit." + "x" * 5000, "fit.th\udcffreads", "fit.\nthreads"])
def test_a_damaged_setting_of_a_run_is_told_on_a_line_that_can_be_printed(name: str) -> None:
    stored = settings(RECIPE)
    with pytest.raises(TrainingError) as unknown:
        as_started(RECIPE, stored | {name: "1"})
    with pytest.raises(TrainingError) as wrong:
        as_started(RECIPE, stored | {"fit.threads": name})

    for caught in (unknown, wrong):
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500
