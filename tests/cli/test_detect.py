import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import jsonschema
import numpy as np
import pytest

from benchmarks.damage import DAMAGES
from cspine.anatomy import Level
from cspine.cli import Exit, main
from cspine.jobs.job import Shard
from cspine.reporting import FORMATS
from cspine.reporting.json_result import schema
from cspine.volume import Volume
from tests.coded import asked, coded_volume, write_dicom, write_nifti


@pytest.fixture(scope="module")
def necks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of studies: one whole, one broken, one whose bone is no vertebra."""
    folder = tmp_path_factory.mktemp("necks")
    whole = coded_volume()
    write_nifti(whole, folder / "whole.nii.gz")
    write_nifti(coded_volume(fractured=[Level.C3]), folder / "broken.nii.gz")
    write_nifti(Volume(np.where(whole.hu > 100, np.float32(350), whole.hu), whole.grid), folder / "odd.nii.gz")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def _journal(out: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return data


def _statuses(out: Path) -> dict[str, str]:
    return {case["name"]: case["status"] for case in _journal(out)["cases"]}


def _detect(*arguments: str | Path, package: Path, out: Path) -> int:
    return main(["detect", *map(str, arguments), "-o", str(out), *asked(package)])


def test_a_study_gets_its_folder_a_row_and_a_line_in_the_journal(
    necks: Path, out: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _detect(necks / "broken.nii.gz", package=coded_package, out=out) == Exit.DONE

    said = capsys.readouterr()
    result = json.loads((out / "broken" / "result.json").read_text())
    assert result["patient_overall"]["positive"] is True
    assert result["timings_s"].keys() == {"read", "check", "locate", "crop", "classify", "calibrate", "write"}
    assert sorted(path.name for path in out.iterdir()) == ["broken", "failures.csv", "run.json"]
    assert sorted(path.name for path in (out / "broken").iterdir()) == ["case.json", "result.json", "result.png"]
    case = _journal(out)["cases"][0]
    assert (case["name"], case["status"], case["reason"], case["files"]) == ("broken", "ok", None, ["result.json", "result.png"])
    assert case["seconds"] > 0
    assert said.out.splitlines()[0].split() == ["study", "any", "C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    assert said.out.splitlines()[1].count("*") == 2
    assert f"Wrote {out / 'broken' / 'result.png'}" in said.out
    assert "Not for diagnosis" in said.out
    assert said.err == ""


def test_a_batch_predicts_all_and_one_bad_case_stops_none(
    necks: Path, out: Path, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "note.nii.gz"
    text.write_text("not a scan")

    code = _detect(text, necks, "--format", "json", package=coded_package, out=out)

    assert code == Exit.SOME_FAILED
    assert _statuses(out) == {"note": "failed", "broken": "ok", "odd": "rejected", "whole": "ok"}
    assert sorted(path.name for path in out.iterdir()) == ["broken", "failures.csv", "odd", "run.json", "whole"]
    said = capsys.readouterr()
    assert said.err.startswith("cspine detect: note: ")
    assert said.err.count("\n") == 1
    assert "rejected: No cervical vertebra was found" in said.out


def test_studies_of_one_name_do_not_overwrite_each_other(necks: Path, out: Path, coded_package: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_nifti(coded_volume(), tmp_path / folder / "neck.nii")

    code = _detect(
        *(tmp_path / folder / "neck.nii" for folder in ("a", "b", "a")), "--format", "json", package=coded_package, out=out
    )

    assert code == Exit.DONE
    assert _statuses(out) == {"neck": "ok", "neck-2": "ok"}


def test_only_rejected_studies_have_an_exit_code_of_their_own(necks: Path, out: Path, coded_package: Path) -> None:
    assert _detect(necks / "odd.nii.gz", package=coded_package, out=out) == Exit.ALL_REJECTED

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

    code = _detect(path, package=coded_package, out=out)

    (case,) = _journal(out)["cases"]
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
    assert _detect(bad(tmp_path), package=coded_package, out=out) == Exit.WRONG_INPUT

    said = capsys.readouterr()
    assert said.err.startswith("cspine detect: ")
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert sorted(path.name for path in out.iterdir()) == ["failures.csv", "run.json"]
    assert _journal(out)["cases"][0]["status"] == "failed"


def test_one_of_two_series_can_be_named(out: Path, coded_package: Path, tmp_path: Path) -> None:
    write_dicom(coded_volume(fractured=[Level.C6]), tmp_path / "two", "1")
    write_dicom(coded_volume(), tmp_path / "two", "2")

    code = _detect(tmp_path / "two", "--series", "1.2.3.1", "--format", "json", package=coded_package, out=out)

    result = json.loads((out / "two" / "result.json").read_text())
    key = result["levels"][Level.C6 - 1]["key_slice"]
    assert code == Exit.DONE
    assert result["study"]["series_uid"] == "1.2.3.1"
    assert result["levels"][Level.C6 - 1]["positive"] is True
    assert key["sop_uid"] == f"1.2.3.1.{key['index'] + 1}"


def test_a_missing_package_is_one_line_and_leaves_nothing(necks: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _detect(necks, package=Path("no_such_model"), out=out) == Exit.WRONG_INPUT

    assert "Received: no_such_model" in capsys.readouterr().err
    assert not out.exists()


def test_an_unwritable_folder_is_one_line(
    necks: Path, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")

    assert _detect(necks, package=coded_package, out=tmp_path / "file" / "out") == Exit.WRONG_INPUT

    said = capsys.readouterr().err
    assert "cannot be written: Not a directory. Choose another folder with -o." in said
    assert said.count("\n") == 1


def test_a_folder_that_is_not_ours_is_left_alone(necks: Path, out: Path, coded_package: Path) -> None:
    (out / "broken").mkdir(parents=True)
    (out / "broken" / "thesis.txt").write_text("years of work")

    assert _detect(necks / "broken.nii.gz", package=coded_package, out=out) == Exit.WRONG_INPUT

    assert "is in the way: it holds no result.json" in _journal(out)["cases"][0]["reason"]
    assert [path.name for path in (out / "broken").iterdir()] == ["thesis.txt"]


def test_an_unknown_format_is_one_line(necks: Path, out: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _detect(necks, "--format", "json,fax", package=coded_package, out=out) == Exit.WRONG_INPUT

    assert f"--format takes {', '.join(FORMATS)}, separated by commas. Received: json,fax" in capsys.readouterr().err


def test_an_operating_point_can_be_chosen(necks: Path, out: Path, coded_package: Path) -> None:
    _detect(necks / "whole.nii.gz", "--operating-point", "rule_out", "--format", "json", package=coded_package, out=out)

    result = json.loads((out / "whole" / "result.json").read_text())
    assert result["operating_point"] == "rule_out"
    assert result["patient_overall"]["threshold"] == 0.001


def test_a_fault_of_ours_is_told_apart(
    necks: Path, out: Path, coded_package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("cspine.detection.slice_classifier.pool_slices", break_down)

    assert _detect(necks / "whole.nii.gz", package=coded_package, out=out) == Exit.FAULT

    assert _journal(out)["cases"][0]["reason"] == "A fault of cspine: ZeroDivisionError: by zero"
    assert sorted(path.name for path in out.iterdir()) == ["failures.csv", "run.json"]


def test_an_image_that_crashes_a_decoder_is_one_failed_case(
    necks: Path, out: Path, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write_dicom(coded_volume(), tmp_path / "bad")
    (crash,) = (damage for damage in DAMAGES if "crashes" in damage.name)
    crash.do(bad)

    assert _detect(bad, necks / "whole.nii.gz", "--format", "json", package=coded_package, out=out) == Exit.SOME_FAILED

    assert _statuses(out) == {"bad": "failed", "whole": "ok"}
    assert _journal(out)["cases"][0]["code"] in crash.codes  # a newer decoder may refuse it
    assert capsys.readouterr().err.count("\n") == 1


def test_resuming_keeps_what_is_whole_and_does_the_rest(necks: Path, out: Path, coded_package: Path) -> None:
    _detect(necks, package=coded_package, out=out)
    before = {name: (out / name / "result.json").read_bytes() for name in ("broken", "whole")}
    (out / "whole" / "result.png").unlink()

    _detect(necks, "--resume", package=coded_package, out=out)

    assert (out / "broken" / "result.json").read_bytes() == before["broken"]
    assert (out / "whole" / "result.json").read_bytes() != before["whole"]
    assert (out / "whole" / "result.png").is_file()
    assert _statuses(out) == {"broken": "ok", "odd": "rejected", "whole": "ok"}


def test_resuming_with_other_thresholds_predicts_again(necks: Path, out: Path, coded_package: Path) -> None:
    _detect(necks / "whole.nii.gz", "--format", "json", package=coded_package, out=out)

    _detect(necks / "whole.nii.gz", "--format", "json", "--operating-point", "rule_out", "--resume", package=coded_package, out=out)

    assert json.loads((out / "whole" / "result.json").read_text())["operating_point"] == "rule_out"


def test_resuming_predicts_a_scan_again_that_has_changed(necks: Path, out: Path, coded_package: Path, tmp_path: Path) -> None:
    scan = shutil.copy(necks / "whole.nii.gz", tmp_path / "neck.nii.gz")
    _detect(scan, "--format", "json", package=coded_package, out=out)
    assert json.loads((out / "neck" / "result.json").read_text())["patient_overall"]["positive"] is False
    shutil.copy(necks / "broken.nii.gz", scan)

    _detect(scan, "--format", "json", "--resume", package=coded_package, out=out)

    assert json.loads((out / "neck" / "result.json").read_text())["patient_overall"]["positive"] is True


def test_resuming_needs_no_journal(necks: Path, out: Path, coded_package: Path) -> None:
    _detect(necks / "whole.nii.gz", "--format", "json", package=coded_package, out=out)
    before = (out / "whole" / "result.json").read_bytes()
    (out / "run.json").unlink()

    assert _detect(necks / "whole.nii.gz", "--format", "json", "--resume", package=coded_package, out=out) == Exit.DONE

    assert (out / "whole" / "result.json").read_bytes() == before
    assert _statuses(out) == {"whole": "ok"}


def test_a_case_that_fails_leaves_no_result_of_an_earlier_run(out: Path, coded_package: Path, tmp_path: Path) -> None:
    scan = write_nifti(coded_volume(), tmp_path / "neck.nii")
    _detect(scan, "--format", "json", package=coded_package, out=out)
    scan.write_text("not a scan any more")

    assert _detect(scan, "--format", "json", package=coded_package, out=out) == Exit.WRONG_INPUT

    assert sorted(path.name for path in out.iterdir()) == ["failures.csv", "run.json"]


def test_shares_do_together_what_one_run_does(
    necks: Path, out: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = {_detect(necks, "--shard", f"{i}/3", "--format", "json", package=coded_package, out=out) for i in (1, 2, 3)}

    assert codes <= {Exit.DONE, Exit.ALL_REJECTED}
    assert _statuses(out) == {"broken": "ok", "odd": "rejected", "whole": "ok"}
    assert (out / "failures.csv").read_text().splitlines()[1].startswith("odd,")


def test_a_share_without_a_study_is_done(
    out: Path, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = write_nifti(coded_volume(), tmp_path / "neck.nii")
    (index,) = (i for i in (1, 2) if not Shard(i, 2).has("neck"))

    assert _detect(scan, "--shard", f"{index}/2", package=coded_package, out=out) == Exit.DONE

    assert "no study falls into this share" in capsys.readouterr().err


def test_a_cluster_without_its_engine_is_one_line(
    necks: Path, out: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _detect(necks, "--workers", "2", package=coded_package, out=out) == Exit.WRONG_INPUT

    assert "--cluster and --workers need --engine ray. Received: --engine local." in capsys.readouterr().err


def test_ray_that_is_not_installed_is_named_with_its_remedy(
    necks: Path, out: Path, coded_package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "cspine.jobs.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)  # Python raises ModuleNotFoundError for a module that is None

    assert _detect(necks, "--engine", "ray", package=coded_package, out=out) == Exit.WRONG_INPUT

    assert "ray is needed and not installed. Run: pip install 'cspine[ray]'" in capsys.readouterr().err


_SLOWLY = """
import signal, sys, time
import cspine.reporting.picture as picture
from cspine.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # children of a shell in the background ignore it
draw = picture.draw
def slow(*arguments):
    time.sleep(0.4)
    return draw(*arguments)
picture.draw = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_batch_that_is_killed_leaves_whole_cases_and_resumes(
    blow: signal.Signals, out: Path, coded_package: Path, tmp_path: Path
) -> None:
    (studies := tmp_path / "studies").mkdir()
    for i in range(8):
        write_nifti(coded_volume(), studies / f"neck{i}.nii")
    arguments = ["detect", str(studies), "-o", str(out), "--format", "json,png,html", *asked(coded_package)]
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOWLY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    patience = time.monotonic() + 60
    while not (out / "neck1").exists() and time.monotonic() < patience:
        time.sleep(0.01)
    time.sleep(0.05)

    os.kill(process.pid, blow)
    _, errors = process.communicate(timeout=60)

    whole = sorted(path.name for path in out.glob("neck*"))
    assert 2 <= len(whole) < 8
    for name in whole:
        json.loads((out / name / "result.json").read_text())
        assert (out / name / "result.png").is_file()
    assert set(_statuses(out)) == {f"neck{i}" for i in range(8)}
    if blow is not signal.SIGKILL:
        assert process.returncode == Exit.INTERRUPTED
        assert errors.strip().endswith("interrupted; what was finished is kept")
        assert [path.name for path in out.glob(".*")] == []
        assert "It was not reached." in (out / "index.html").read_text()

    kept = {name: (out / name / "result.json").read_bytes() for name in whole}
    assert main([*arguments, "--resume"]) == Exit.DONE
    assert set(_statuses(out).values()) == {"ok"}
    assert [path.name for path in out.glob(".*")] == []
    assert all((out / name / "result.json").read_bytes() == content for name, content in kept.items())
