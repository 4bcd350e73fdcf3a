"""Objects for archives from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("highdicom")

from highdicom.sr import srread
from pydicom import dcmread

from cspine.anatomy import Level
from cspine.cli import Exit, main
from tests.coded import asked, coded_volume, write_dicom, write_nifti


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Returns a broken neck as DICOM, and one that is no DICOM."""
    write_dicom(coded_volume(fractured=[Level.C4]), tmp_path / "studies" / "archived")
    write_nifti(coded_volume(), tmp_path / "studies" / "loose.nii")
    return tmp_path / "studies"


def _cases(out: Path) -> dict[str, Any]:
    return {case["name"]: case for case in json.loads((out / "run.json").read_text())["cases"]}


def test_a_batch_writes_what_each_study_allows_and_says_what_it_leaves_out(
    mixed: Path, tmp_path: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["detect", str(mixed), "-o", str(tmp_path / "out"), *asked(coded_package), "--format", "sr,sc,nifti"]

    code = main(arguments)

    cases, errors = _cases(tmp_path / "out"), capsys.readouterr().err
    assert code == Exit.DONE
    assert set(cases["archived"]["files"]) == {"result.json", "result_sr.dcm", "result_seg.dcm", "result_sc.dcm", "labels.nii.gz"}
    assert cases["loose"]["files"] == ["result.json", "labels.nii.gz"]
    notes = cases["archived"]["notes"]
    assert any(note.startswith("The source lacks attributes that sr, seg and sc must have") for note in notes)
    assert any(note.startswith("sr, seg and sc cite the images of a DICOM study") for note in cases["loose"]["notes"])
    assert "cspine detect: 1 of 2 studies: sr, seg and sc cite the images of a DICOM study." in errors
    (region,) = srread(tmp_path / "out" / "archived" / "result_sr.dcm").content.get_planar_roi_measurement_groups()
    assert region.tracking_identifier == "C4, image to open first"

    before = (tmp_path / "out" / "archived" / "result_sr.dcm").stat().st_mtime_ns
    assert main([*arguments, "--resume"]) == Exit.DONE
    assert (tmp_path / "out" / "archived" / "result_sr.dcm").stat().st_mtime_ns == before
    assert _cases(tmp_path / "out") == cases


def test_predicting_again_gives_the_same_identifiers(mixed: Path, tmp_path: Path, coded_package: Path) -> None:
    found = []
    for run in ("first", "second"):
        out = tmp_path / run
        main(["detect", str(mixed / "archived"), "-o", str(out), *asked(coded_package), "--format", "sr,sc"])
        files = (out / "archived" / name for name in ("result_sr.dcm", "result_sc.dcm"))
        found.append([dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in files])

    assert found[0] == found[1]
