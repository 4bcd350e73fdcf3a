from pathlib import Path

import pytest

from cspine.cli import Exit, main
from cspine.errors import UsageError
from cspine.reporting import FORMATS, chosen, format_of
from tests.not_installed import without


def test_json_comes_first_and_always_and_nothing_twice() -> None:
    assert chosen("png, json,png") == ("json", "png")
    assert chosen("") == ("json",)


def test_a_report_brings_the_segmentation_to_which_it_refers() -> None:
    pytest.importorskip("highdicom")

    assert chosen("sr") == ("json", "sr", "seg")
    assert chosen("seg,sr") == ("json", "seg", "sr")


def test_an_unknown_format_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"--format takes json, png, .*, separated by commas\. Received: png,fax"):
        chosen("png,fax")


def test_no_two_formats_write_the_same_file() -> None:
    pytest.importorskip("highdicom")
    files = [file for name in FORMATS for file in format_of(name).FILES]

    assert len(set(files)) == len(files)


@pytest.mark.parametrize("name", ["sr", "seg", "sc"])
def test_without_the_extra_one_line_says_what_to_install(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with without("highdicom", "cspine.reporting.dicom"):
        code = main(["detect", "nowhere", "-o", str(tmp_path / "out"), "--format", name])

    assert code == Exit.WRONG_INPUT
    assert capsys.readouterr().err == ("cspine detect: highdicom is needed and not installed. Run: pip install 'cspine[dicom]'\n")
