from pathlib import Path

import pytest

from cspine.cli import Exit, main


def test_a_package_is_told_in_facts(coded_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", str(coded_package)]) == Exit.DONE

    output = capsys.readouterr().out
    assert output.startswith("coded 3\n")
    assert "AUROC on blocks: 1.000 (0.900 to 1.000)" in output
    assert "balanced (default), rule_out" in output
    assert "necks of blocks" in output


def test_the_card_is_printed_on_request(coded_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--card", str(coded_package)]) == Exit.DONE

    assert "Knows blocks only." in capsys.readouterr().out


def test_without_a_name_the_shipped_packages_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == Exit.DONE

    output = capsys.readouterr().out
    assert "No model package ships" in output or "phantoms" in output


def test_a_missing_package_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "nowhere"]) == Exit.WRONG_INPUT

    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    assert "Received: nowhere" in output.err
