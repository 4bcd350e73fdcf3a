"""A command whose library is not installed."""

import pytest

from cspine.cli import Exit, main
from tests.not_installed import without


def test_a_missing_extra_is_named_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with without("keras", "cspine.cli.train", "cspine.training"):
        code = main(["train", "custom_cnn", "--data", "nowhere", "-o", "nowhere"])

    assert code == Exit.WRONG_INPUT
    assert "keras is needed and not installed. Run: pip install 'cspine[train]'" in capsys.readouterr().err
