"""``cspine info`` says what is there without naming anybody."""

import json
from pathlib import Path

import pytest

from cspine.cli import Exit, main
from cspine.reading import read_study
from tests.reading.scans import SAGITTAL, Scan, body, setting


def _study(folder: Path) -> Path:
    named = setting(
        PatientName="Doe^Jane",
        PatientID="4711",
        PatientBirthDate="19700101",
        SeriesDescription="Neck of Jane",
        ConvolutionKernel="BONE",
    )
    Scan(series_uid="1.2.1", change=named).write(folder / "axial")
    Scan(series_uid="1.2.2", directions=SAGITTAL, hu=body(9)).write(folder / "sagittal")
    Scan(series_uid="1.2.3", hu=body(1), change=setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])).write(folder / "scout")
    return folder


def test_the_table_shows_every_series_and_which_would_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(_study(tmp_path))]) == Exit.DONE

    lines = capsys.readouterr().out.splitlines()
    assert f"{tmp_path}: 3 series" in lines
    row = "1 yes axial 6 x 12 x 10 1.25 x 0.50 x 0.75 8 x 6 x 8 6 BONE Explicit VR Little Endian"
    assert row in [" ".join(line.split()) for line in lines]
    assert "  1  1.2.1: used" in lines
    assert "  2  1.2.2: another is preferred: axial before reformatted" in lines
    assert any(line.startswith("  3  1.2.3: Cross-sections are needed; series 1.2.3 is a localizer.") for line in lines)


def test_no_patient_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _study(tmp_path)

    for form in ([], ["--json"]):
        main(["info", str(tmp_path), *form])
        output = capsys.readouterr()
        assert not any(word in output.out + output.err for word in ("Jane", "Doe", "4711", "1970"))


def test_json_says_the_same_to_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["info", str(_study(tmp_path)), "--json"])

    output = json.loads(capsys.readouterr().out)
    assert output["path"] == str(tmp_path)
    assert [(series["series_uid"], series["chosen"], series["orientation"]) for series in output["series"]] == [
        ("1.2.1", True, "axial"),
        ("1.2.2", False, "sagittal"),
        ("1.2.3", False, ""),
    ]
    assert output["series"][0]["shape"] == [6, 12, 10]
    assert output["series"][0]["spacing_mm"] == [1.25, 0.5, 0.75]
    assert [problem["code"] for problem in output["series"][2]["problems"]] == ["refused"]


def test_problems_of_a_series_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Scan(directions=(1, 0, 0, 0, 0.9483237, -0.3173047), positions=[[0, 0, z] for z in (0, 1, 2, 3, 4, 6)]).write(tmp_path)  # type: ignore[arg-type]

    main(["info", str(tmp_path)])

    output = capsys.readouterr().out
    assert "gantry_tilt: The stack is sheared by 18.5 degrees" in output
    assert "missing_slices: 1 slices are missing" in output


def test_a_folder_of_studies_is_shown_study_by_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Scan(study_uid="1.1", series_uid="1.1.1").write(tmp_path / "a")
    Scan(study_uid="1.2", series_uid="1.2.1").write(tmp_path / "b")
    (tmp_path / "c.nii").write_bytes(b"nothing")

    main(["info", str(tmp_path)])

    output = capsys.readouterr().out
    assert f"{tmp_path / 'a'}: 1 series" in output
    assert f"{tmp_path / 'b'}: 1 series" in output
    assert "c.nii cannot be read as NIfTI" in output


@pytest.mark.parametrize("content", [None, b"This is no scan. " * 50])
def test_what_is_no_scan_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.dcm").write_bytes(content)

    assert main(["info", str(tmp_path)]) == Exit.WRONG_INPUT

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("cspine info: There is no DICOM image in")
    assert output.err.count("\n") == 1


def test_stacks_of_one_series_have_names_that_detect_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Scan(series_uid="1.2.1", change=setting(ConvolutionKernel="BONE")).write(tmp_path / "a")
    Scan(series_uid="1.2.1", hu=body(4, 14, 14)).write(tmp_path / "b")

    main(["info", str(tmp_path)])

    lines = capsys.readouterr().out.splitlines()
    assert f"{tmp_path}: 2 series" in lines
    assert any(line.startswith("  1  1.2.1#1: used") for line in lines)
    assert any(line.startswith("  2  1.2.1#2: another is preferred: bone kernel") for line in lines)
    assert read_study(tmp_path, "1.2.1#2").volume.hu.shape == (4, 14, 14)
