import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import jsonschema
import pytest

from benchmarks.damage import DAMAGES
from cspine.anatomy import Level
from cspine.cli import Exit
from cspine.reporting import FORMATS
from cspine.reporting.json_result import schema
from tests.cli.detecting import detect, journal, statuses
from tests.coded import coded_volume, write_dicom, write_nifti


def test_a_study_gets_its_folder_a_row_and_a_line_in_the_journal(
    necks: Path, out: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect(necks / "broken.nii.gz", package=coded_package, out=out) == Exit.DONE

    output = capsys.readouterr()
    result = json.loads((out / "broken" / "result.json").read_text())
    assert result["patient_overall"]["positive"] is True
    assert result["timings_s"].keys() == {"read", "check", "locate", "crop", "classify", "calibrate", "write"}
    assert sorted(path.name for path in out.iterdir()) == ["broken", "failures.csv", "run.json"]
    assert sorted(path.name for path in (out / "broken").iterdir()) == ["case.json", "result.json", "result.png"]
    case = journal(out)["cases"][0]
    assert (case["name"], case["status"], case["reason"], case["files"]) == ("broken", "ok", None, ["result.json", "result.png"])
    assert case["seconds"] > 0
    assert output.out.splitlines()[0].split() == ["study", "any", "C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    assert output.out.splitlines()[1].count("*") == 2
    assert f"Wrote {out / 'broken' / 'result.png'}" in output.out
    assert "Not for diagnosis" in output.out
    assert output.err == ""


def test_a_batch_predicts_all_and_one_bad_case_stops_none(
    necks: Path, out: Path, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "note.nii.gz"
    text.write_text("not a scan")

    code = detect(text, necks, "--format", "json", package=coded_package, out=out)

    assert code == Exit.SOME_FAILED
    assert statuses(out) == {"note": "failed", "broken": "ok", "odd": "rejected", "intact": "ok"}
    assert sorted(path.name for path in out.iterdir()) == ["broken", "failures.csv", "intact", "odd", "run.json"]
    output = capsys.readouterr()
    assert output.err.startswith("cspine detect: note: ")
    assert output.err.count("\n") == 1
    assert "rejected: No cervical vertebra was found" in output.out


@pytest.mark.parametrize("studies", [2, 11])
def test_the_terminal_says_what_to_keep_in_mind_of_each_study_or_how_many_there_are(
    studies: int, out: Path, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coarse = write_nifti(coded_volume(spacing_mm=(4.5, 1.5, 1.5)), tmp_path / "coarse.nii")
    fine = [write_nifti(coded_volume(), tmp_path / f"fine-{number}.nii") for number in range(1, studies)]

    assert detect(coarse, *fine, "--format", "json", package=coded_package, out=out) == Exit.DONE

    told = [line for line in capsys.readouterr().out.splitlines() if "Voxels are 4.50 x 1.50 x 1.50 mm." in line]
    assert [line.split(" Voxels")[0] for line in told] == ["coarse:" if studies == 2 else "1 of 11 studies, coarse; coarse:"]


def test_studies_of_one_name_do_not_overwrite_each_other(necks: Path, out: Path, coded_package: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_nifti(coded_volume(), tmp_path / folder / "neck.nii")

    code = detect(
        *(tmp_path / folder / "neck.nii" for folder in ("a", "b", "a")), "--format", "json", package=coded_package, out=out
    )

    assert code == Exit.DONE
    assert statuses(out) == {"neck": "ok", "neck-2": "ok"}


def test_only_rejected_studies_have_an_exit_code_of_their_own(necks: Path, out: Path, coded_package: Path) -> None:
    assert detect(necks / "odd.nii.gz", package=coded_package, out=out) == Exit.ALL_REJECTED

    assert json.loads((out / "odd" / "result.json").read_text())["reasons"][0]["code"] == "no_cervical_spine"
    assert (out / "odd" / "result.png").is_file()


@pytest.mark.parametrize("scan", ["ct_fullhead/fullhead_HU.nii.gz", "ct_sagittal_whole_spine", "ct_sagittal_whole_spine/unzipped"])
def test_a_real_scan_ends_with_a_result_and_a_picture(
    scan: str, shared_data: Path, out: Path, coded_package: Path, tmp_path: Path
) -> None:
    path = shared_data / scan
    if path.name == "unzipped":
        path = tmp_path / "unzipped"
        ZipFile(next((shared_data / scan).parent.glob("*.zip"))).extractall(path)

    code = detect(path, package=coded_package, out=out)

    (case,) = journal(out)["cases"]
    result = json.loads((out / case["name"] / "result.json").read_text())
    assert code == (Exit.DONE if case["status"] == "ok" else Exit.ALL_REJECTED)
    jsonschema.Draft202012Validator(schema()).validate(result)
    assert result["study"]["orientation"] == ("axial" if "fullhead" in scan else "sagittal")
    assert (out / case["name"] / "result.png").stat().st_size > 50_000


def _empty_folder(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def _text_as_dicom(tmp_path: Path) -> Path:
    (tmp_path / "neck.dcm").write_text("hello")
    return tmp_path / "neck.dcm"


def _truncated_dicom(tmp_path: Path) -> Path:
    folder = write_dicom(coded_volume(), tmp_path / "cut")
    file = sorted(folder.iterdir())[20]
    file.write_bytes(file.read_bytes()[:-1000])
    return folder


def _two_equal_series(tmp_path: Path) -> Path:
    write_dicom(coded_volume(), tmp_path / "two", "1")
    return write_dicom(coded_volume(), tmp_path / "two", "2")


def _nowhere(tmp_path: Path) -> Path:
    return tmp_path / "nowhere"


@pytest.mark.parametrize("bad", [_empty_folder, _text_as_dicom, _truncated_dicom, _two_equal_series, _nowhere])
def test_an_input_that_is_no_scan_is_one_line_and_a_wrong_call(
    bad: Any, out: Path, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect(bad(tmp_path), package=coded_package, out=out) == Exit.WRONG_INPUT

    output = capsys.readouterr()
    assert output.err.startswith("cspine detect: ")
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert sorted(path.name for path in out.iterdir()) == ["failures.csv", "run.json"]
    assert journal(out)["cases"][0]["status"] == "failed"


def test_one_of_two_series_can_be_named(out: Path, coded_package: Path, tmp_path: Path) -> None:
    write_dicom(coded_volume(fractured=[Level.C6]), tmp_path / "two", "1")
    write_dicom(coded_volume(), tmp_path / "two", "2")

    code = detect(tmp_path / "two", "--series", "1.2.3.1", "--format", "json", package=coded_package, out=out)

    result = json.loads((out / "two" / "result.json").read_text())
    key = result["levels"][Level.C6 - 1]["key_slice"]
    assert code == Exit.DONE
    assert result["study"]["series_uid"] == "1.2.3.1"
    assert result["levels"][Level.C6 - 1]["positive"] is True
    assert key["sop_uid"] == f"1.2.3.1.{key['index'] + 1}"


def test_a_missing_package_is_one_line_and_leaves_nothing(necks: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect(necks, package=Path("no_such_model"), out=out) == Exit.WRONG_INPUT

    assert "Received: no_such_model" in capsys.readouterr().err
    assert not out.exists()


def test_an_unwritable_folder_is_one_line(
    necks: Path, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")

    assert detect(necks, package=coded_package, out=tmp_path / "file" / "out") == Exit.WRONG_INPUT

    output = capsys.readouterr().err
    assert "cannot be written: Not a directory. Choose another folder with -o." in output
    assert output.count("\n") == 1


def test_a_folder_that_is_not_ours_is_left_alone(necks: Path, out: Path, coded_package: Path) -> None:
    (out / "broken").mkdir(parents=True)
    (out / "broken" / "thesis.txt").write_text("years of work")

    assert detect(necks / "broken.nii.gz", package=coded_package, out=out) == Exit.WRONG_INPUT

    assert "is in the way: it holds no result.json" in journal(out)["cases"][0]["reason"]
    assert [path.name for path in (out / "broken").iterdir()] == ["thesis.txt"]


def test_an_unknown_format_is_one_line(necks: Path, out: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect(necks, "--format", "json,fax", package=coded_package, out=out) == Exit.WRONG_INPUT

    assert f"--format takes {', '.join(FORMATS)}, separated by commas. Received: json,fax" in capsys.readouterr().err


def test_an_operating_point_can_be_chosen(necks: Path, out: Path, coded_package: Path) -> None:
    detect(necks / "intact.nii.gz", "--operating-point", "rule_out", "--format", "json", package=coded_package, out=out)

    result = json.loads((out / "intact" / "result.json").read_text())
    assert result["operating_point"] == "rule_out"
    assert result["patient_overall"]["threshold"] == 0.001


def test_a_fault_of_ours_is_told_apart(
    necks: Path, out: Path, coded_package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("cspine.detection.slice_classifier.pool_slices", break_down)

    assert detect(necks / "intact.nii.gz", package=coded_package, out=out) == Exit.FAULT

    assert journal(out)["cases"][0]["reason"] == "A fault of cspine: ZeroDivisionError: by zero"
    assert sorted(path.name for path in out.iterdir()) == ["failures.csv", "run.json"]


def test_an_image_that_crashes_a_decoder_is_one_failed_case(
    necks: Path, out: Path, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write_dicom(coded_volume(), tmp_path / "bad")
    (crash,) = (damage for damage in DAMAGES if "crashes" in damage.name)
    crash.do(bad)

    assert detect(bad, necks / "intact.nii.gz", "--format", "json", package=coded_package, out=out) == Exit.SOME_FAILED

    assert statuses(out) == {"bad": "failed", "intact": "ok"}
    assert journal(out)["cases"][0]["code"] in crash.codes  # a newer decoder may refuse it
    assert capsys.readouterr().err.count("\n") == 1
