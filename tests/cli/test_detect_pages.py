from pathlib import Path

import pytest

from cspine.anatomy import Level
from cspine.cli import Exit, main
from tests.coded import asked, coded_volume, write_dicom, write_nifti


def _detect(*arguments: str | Path, package: Path, out: Path) -> int:
    return main(["detect", *map(str, arguments), "-o", str(out), *asked(package)])


@pytest.fixture(scope="module")
def necks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("necks")
    write_nifti(coded_volume(), folder / "intact.nii.gz")
    write_dicom(coded_volume(fractured=[Level.C3]), folder / "broken")
    return folder


def test_a_batch_gets_pages_and_an_overview_with_the_broken_neck_first(
    necks: Path, tmp_path: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing"
    assert _detect(necks, missing, "--format", "html", package=coded_package, out=tmp_path / "out") == Exit.SOME_FAILED

    overview = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert overview.index('href="broken/result.html"') < overview.index('href="intact/result.html"')
    assert "missing" in overview.split("Without a result")[1]
    assert "Fracture suspected" in (tmp_path / "out" / "broken" / "result.html").read_text(encoding="utf-8")
    assert f"Wrote {tmp_path / 'out' / 'index.html'}" in capsys.readouterr().out


def test_identifiers_are_in_no_page_that_was_not_asked_for_them(necks: Path, tmp_path: Path, coded_package: Path) -> None:
    for format_name in ("html", "html-uids"):
        _detect(necks / "broken", "--format", format_name, package=coded_package, out=tmp_path / format_name)

    plain = (tmp_path / "html" / "broken" / "result.html").read_text(encoding="utf-8")
    asked = (tmp_path / "html-uids" / "broken" / "result-uids.html").read_text(encoding="utf-8")
    overview = (tmp_path / "html-uids" / "index.html").read_text(encoding="utf-8")
    assert "1.2.3.1" not in plain
    assert "1.2.3.1" in asked
    assert 'href="broken/result-uids.html"' in overview


def test_without_pages_there_is_no_overview(necks: Path, tmp_path: Path, coded_package: Path) -> None:
    _detect(necks / "intact.nii.gz", "--format", "json", package=coded_package, out=tmp_path)

    assert not (tmp_path / "index.html").exists()
