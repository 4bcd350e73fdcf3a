"""Recipes that cspine does not have: of a file, and of an installed package."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from cspine.anatomy import CERVICAL
from cspine.cli import main
from cspine.errors import UsageError
from cspine.recipes import family_named, load_recipe, own
from cspine.recipes.own import offered
from tests.cli.conftest import TinyRun, calibrate_made_up
from tests.documents.pages import pages
from tests.shallow import shallow_applications
from tests.training.coded_necks import neck
from tests.training.folders import write_data_set
from tests.training.untraced import step_by_step

OWN = '''"""A recipe of the custom CNN that somebody wrote."""
from dataclasses import replace
from cspine.recipes import load_slice_recipe
RECIPE = replace(load_slice_recipe("custom_cnn"), name="mine", seed=5)
'''
_SMALL = {
    "network.width": "8",
    "network.weights": "none",
    "input.size": "64,64",
    "input.spacing_mm": "3,2,2",
    "fit.batch": "4",
    "fit.batches": "2",
    "fit.epochs": "1",
    "fit.threads": "1",
    "patches.epochs": "0",
    "split.folds": "2",
}


def recipe_of_the_guide() -> str:
    page = next(page for page in pages() if page.name == "docs/how-to/add-a-model-family.md")
    begin = page.text.index("<!-- recipe -->")
    return page.text[begin:].split("```python\n")[1].split("\n```")[0] + "\n"


def offer(monkeypatch: pytest.MonkeyPatch, text: str, name: str = "mine", module: str = "somebodys_recipe") -> None:
    """Has an installed package offer a recipe."""
    made = ModuleType(module)
    exec(text, made.__dict__)
    monkeypatch.setitem(sys.modules, module, made)
    points = [EntryPoint(name, module, own.FAMILIES)]
    monkeypatch.setattr(own, "entry_points", lambda group: points if group == own.FAMILIES else [])


@pytest.mark.slow
def test_the_efficientnet_of_the_guide_is_trained_exported_and_served(
    coded_localiser: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, data, run, package = (tmp_path / name for name in ("efficientnet.py", "data", "run", "package"))
    file.write_text(recipe_of_the_guide())
    write_data_set(data, [neck(i, CERVICAL[i % 7] if i % 2 else None, mask=True) for i in range(8)])
    settings = [word for key, value in _SMALL.items() for word in ("--set", f"{key}={value}")]

    words = ["train", str(file), "--data", str(data), "-o", str(run), *settings, "--set", f"localiser={coded_localiser}"]
    with step_by_step(), shallow_applications():
        assert main(words) == 0
    calibrate_made_up(run)
    file.unlink()  # the run has its copy
    assert main(["export", str(run), "--data", str(data), "-o", str(package), "--name", "mine"]) == 0
    scan = next((data / "train_images").iterdir())
    assert (
        main(["detect", str(scan), "-o", str(tmp_path / "out"), "--model", str(package), "--localiser", str(coded_localiser)]) == 0
    )

    assert len(recipe_of_the_guide().split("@dataclass")[1].strip().splitlines()) <= 35
    assert "exported mine 1" in capsys.readouterr().out
    assert list((tmp_path / "out").rglob("result.json"))


def test_a_recipe_may_be_a_file_that_a_run_keeps(tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, run = tmp_path / "my_recipe.py", tmp_path / "run"
    file.write_text(OWN)
    small = {"network.widths": "4,4,4,4", "network.head_width": "6", "input.size": "48,48", "input.spacing_mm": "3,2,2"}
    small |= {key: value for key, value in _SMALL.items() if key.startswith(("fit.", "patches.", "split."))} | {
        "localiser": str(tiny_run.localiser)
    }
    settings = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
    train = ["train", str(file), "--data", str(tiny_run.data), "-o", str(run), "--cache", str(tiny_run.cache)]

    with step_by_step():
        assert main([*train, *settings]) == 0
    assert (run / "recipe.py").read_text() == OWN
    assert main([*train, "--resume"]) == 0
    file.write_text(OWN.replace("seed=5", "seed=6"))
    assert main([*train, "--resume"]) == 2
    assert "--resume goes on with mine as it was started" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RECIPE = 1 / 0", r"does not run \(ZeroDivisionError: division by zero\)"),
        ("X = 1", "A recipe is a module with RECIPE"),
        ("def (", r"does not run \(SyntaxError"),
        ("import sys; sys.exit(3)", r"does not run \(SystemExit: 3\)"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_recipe_is_told_in_one_line(text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "my_recipe.py").write_text(text)

    with pytest.raises(UsageError, match=message):
        load_recipe(str(tmp_path / "my_recipe.py"))


def test_a_recipe_of_an_installed_package_is_listed_and_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, OWN)

    assert main(["recipes"]) == 0
    assert "mine" in capsys.readouterr().out.splitlines()[-1]
    assert load_recipe("mine").seed == 5


def test_a_recipe_that_is_not_named_as_its_entry_point_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, OWN, name="yours")

    with pytest.raises(UsageError, match=r"must be named yours, as its entry point. It is named mine"):
        load_recipe("yours")


def test_two_packages_may_not_offer_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("mine", module, own.FAMILIES) for module in ("one", "other")]
    monkeypatch.setattr(own, "entry_points", lambda **_: points)

    with pytest.raises(UsageError, match="one and other both offer mine"):
        offered()


def test_a_package_may_bring_a_kind_of_training_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, OWN + "def family(recipe):\n    return ('mine', recipe)\n")

    made: object = family_named("mine", load_recipe("mine"))

    assert made == ("mine", load_recipe("mine"))
