"""A command whose library is not installed."""

import sys

import pytest

from cspine.cli import Exit, main


def test_a_missing_extra_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == "keras" or name.startswith(("cspine.cli.train", "cspine.training")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "keras", None)  # Python raises ModuleNotFoundError for a module that is None

    code = main(["train", "custom_cnn", "--data", "nowhere", "-o", "nowhere"])

    assert code == Exit.WRONG_INPUT
    assert "keras is needed and not installed. Run: pip install 'cspine[train]'" in capsys.readouterr().err
