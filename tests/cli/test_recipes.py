import subprocess
import sys

import pytest

from cspine.cli import main
from cspine.recipes import recipe_names


def test_every_recipe_is_listed_with_its_first_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(recipe_names())
    assert all(len(line.split()) > 3 for line in lines)


def test_a_recipe_tells_its_command_and_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "custom_cnn"]) == 0

    text = capsys.readouterr().out
    assert "cspine train custom_cnn" in text
    assert "fit.epochs = 12\n" in text
    assert "losses.maps = 0.5  (does nothing: the network has no output maps)" in text


def test_recipes_are_listed_without_a_deep_learning_framework() -> None:
    code = "import sys; from cspine.cli import main; main(['recipes', 'custom_cnn']); sys.exit('keras' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
