import pytest

from cspine.errors import UsageError
from cspine.networks.settings import CustomCNNSettings
from cspine.recipes import load_recipe, load_slice_recipe, recipe_names
from cspine.training.core.settings import BoxUse, as_started, parse_assignments, settings, with_settings

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
    assert changed.labels.boxes is BoxUse.IGNORE
    assert RECIPE.fit.epochs != 3


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("fit.epoch", "3", r"has no setting fit\.epoch\. Did you mean fit\.epochs\? `cspine recipes custom_cnn` lists all"),
        ("name", "other", "has no setting name"),
        ("fit.epochs", "many", "fit.epochs of custom_cnn cannot be 'many'"),
        ("input.size", "64", "2 values with commas"),
        ("labels.boxes", "maybe", "one of label, ignore is needed"),
        ("fit.epochs", "0", "fit needs positive epochs"),
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
