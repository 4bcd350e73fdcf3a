"""Whatever lies beside good studies, and wherever results go: the good ones are done, and each fault is one line."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cspine.cli import Exit, main
from cspine.jobs.job import Job, JobStatus
from cspine.jobs.journal import failures_csv
from tests import hostile
from tests.coded import asked, coded_volume, write_dicom, write_nifti

_ROOT = Path(__file__).parents[2]


def _detect(*arguments: str | Path, package: Path, out: Path) -> int:
    return main(["detect", *map(str, arguments), "-o", str(out), *asked(package)])


def _jobs(out: Path) -> dict[str, dict[str, Any]]:
    text = (out / "run.json").read_text(encoding="utf-8", errors="surrogateescape")
    return {case["name"]: case for case in json.loads(text)["cases"]}


def _command(*arguments: str, code: str = "", **environment: str) -> "subprocess.CompletedProcess[bytes]":
    program = code + "import sys; from cspine.cli import main; sys.exit(main(sys.argv[1:]))"
    paths = {"PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}"}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], env={**os.environ, **paths, **environment}, capture_output=True, check=False
    )


def test_what_is_hostile_or_not_read_is_named_and_the_good_study_is_done(tmp_path: Path, coded_package: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write_dicom(coded_volume(), data / "good")
    (data / "._good").write_bytes(b"\0\5\x16\7")
    (data / "costly.dcm").write_bytes(hostile.empty_attributes(300_000))
    (data / "inflating.dcm").write_bytes(hostile.inflating(100))
    (data / "neck.mha").write_bytes(b"ObjectType = Image\n")
    (data / "deep").joinpath(*"123456789abcde").mkdir(parents=True)
    hostile.sparse(data / "sparse.nii")
    hostile.zip_of(data / "many.zip", hostile.empty_attributes(1000), 40)

    code = _detect(data, "--format", "json", package=coded_package, out=out)

    found = {name: case["code"] for name, case in _jobs(out).items()}
    assert code == Exit.SOME_FAILED
    assert found.pop("good") is None
    assert found.pop("many") == "no_positions"
    assert found == {
        "costly": "damaged_file",
        "inflating": "damaged_file",
        "neck.mha": "other_format",
        "c": "too_deep",
        "sparse": "nifti_damaged",
    }


@pytest.mark.parametrize("name", [b"neck\xff\xfe", ("頸" * 84).encode(), "é\u0301".encode(), b"line\nbreak", b"=1+1"])
def test_a_name_of_any_bytes_is_done(name: bytes, tmp_path: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path / "data") + b"/" + name))
    write_dicom(coded_volume(), folder)

    assert _detect(folder, "--format", "json,html", package=coded_package, out=tmp_path / "out") == Exit.DONE

    (case,) = _jobs(tmp_path / "out").values()
    assert os.fsencode(case["source"]).endswith(name)
    assert (tmp_path / "out" / case["name"] / "result.json").is_file()
    assert "Traceback" not in capsys.readouterr().err


def test_two_long_names_that_begin_alike_get_names_that_the_file_system_takes(tmp_path: Path) -> None:
    from cspine.jobs.job import find_jobs

    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / ("頸" * 83 + ".nii")).touch()

    jobs = find_jobs([tmp_path])

    assert len({job.name for job in jobs}) == 2
    assert max(len(job.name.encode()) for job in jobs) <= 210


def test_a_terminal_that_lacks_a_letter_gets_it_escaped(tmp_path: Path) -> None:
    path = tmp_path / "頸é"
    for encoding in ("cp1252", "ascii"):
        done = _command("info", str(path), PYTHONIOENCODING=encoding)

        assert done.returncode == Exit.WRONG_INPUT
        assert b"\\u9838" in done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_device_is_one_line_and_no_success(unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cspine", "models"],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(_ROOT / "src"), "PYTHONUNBUFFERED": unbuffered},
            check=False,
        )

    assert done.returncode == Exit.WRONG_INPUT
    assert done.stderr.decode().splitlines() == [
        "cspine models: what is printed here cannot be written or read: No space left on device. "
        "Free the device, or choose another place."
    ]


@pytest.mark.parametrize("given", ["abc", "-1", "1e9", "²", "9" * 30])
def test_a_time_that_is_none_is_one_line(given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)

    assert main(["models"]) == Exit.WRONG_INPUT
    output = capsys.readouterr().err
    assert output.startswith("cspine models: SOURCE_DATE_EPOCH needs whole seconds since 1970, as 1700000000. Received: ")
    assert output.count("\n") == 1


@pytest.mark.parametrize("error", [MemoryError(), OSError(12, "Cannot allocate memory"), RuntimeError("std::bad_alloc")])
def test_too_little_memory_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_options: object) -> int:
        raise error

    monkeypatch.setattr("cspine.cli.models.run", fails)

    assert main(["models"]) == Exit.WRONG_INPUT
    assert capsys.readouterr().err == "cspine models: there is too little memory. Free some, or use a machine that has more.\n"


def test_too_little_memory_for_a_study_fails_that_study_without_a_fault() -> None:
    failed = Job("neck", "/neck").failed(MemoryError())

    assert (failed.status, failed.code, failed.fault) == (JobStatus.FAILED, "too_little_memory", False)


def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_nifti(coded_volume(), tmp_path / "neck.nii")

    assert _detect(tmp_path / "neck.nii", "--device", "gpu", package=coded_package, out=tmp_path / "out") == Exit.WRONG_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cspine detect: --device gpu needs one that OpenVINO knows. Received: CPU. Choose --device cpu or auto.")


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"])
def test_no_cell_of_the_failures_is_a_formula(cell: str) -> None:
    table = failures_csv([Job(cell, cell, JobStatus.FAILED, code="no", reason=cell)])

    _, row = csv.reader(table.splitlines(keepends=True)) if "\r" not in cell else (None, [table.split("\n")[1]])
    assert not any(part.lstrip(' "').startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d")) for part in row)


def test_formats_are_added_and_never_removed(tmp_path: Path, coded_package: Path) -> None:
    write_nifti(coded_volume(), tmp_path / "neck.nii")
    out = tmp_path / "out"
    for formats in (["--format", "html"], ["--format", "png", "--resume", "--shard", "1/1"], ["--format", "json"]):
        assert _detect(tmp_path / "neck.nii", *formats, package=coded_package, out=out) == Exit.DONE

    files = {path.name for path in (out / "neck").iterdir()}
    assert files == {"case.json", "result.json", "result.html", "result.png"}
    assert 'href="neck/result.html"' in (out / "index.html").read_text()


def test_what_was_kept_is_not_called_done(tmp_path: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_nifti(coded_volume(), tmp_path / "neck.nii")
    for more in ([], ["--resume"]):
        assert _detect(tmp_path / "neck.nii", *more, "--format", "json", package=coded_package, out=tmp_path / "out") == Exit.DONE
    output = capsys.readouterr().out

    assert "run.json: 1 done, 0 failed" in output
    assert "run.json: 0 done, 1 kept from before, 0 failed" in output


def test_a_second_run_into_one_folder_is_refused_while_the_first_lives(
    tmp_path: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_nifti(coded_volume(), tmp_path / "neck.nii")
    out = tmp_path / "out"
    code = "import sys, pathlib\nfrom cspine.jobs.occupancy import occupied\nwith occupied(pathlib.Path(sys.argv[1])):\n"
    holder = subprocess.Popen(
        [sys.executable, "-c", code + "    print('held', flush=True)\n    sys.stdin.read()", str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(_ROOT / "src")},
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        assert _detect(tmp_path / "neck.nii", package=coded_package, out=out) == Exit.WRONG_INPUT
        assert "Another run of cspine writes to" in capsys.readouterr().err
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()

    assert _detect(tmp_path / "neck.nii", "--format", "json", package=coded_package, out=out) == Exit.DONE
    assert sorted(path.name for path in out.iterdir()) == ["failures.csv", "neck", "run.json"]
