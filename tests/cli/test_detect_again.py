"""Batches that are resumed, shared out, or killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cspine.cli import Exit, main
from cspine.jobs.job import Shard
from tests.cli.detecting import detect, statuses
from tests.coded import asked, coded_volume, write_nifti
from tests.not_installed import without


def test_resuming_keeps_what_is_complete_and_does_the_rest(necks: Path, out: Path, coded_package: Path) -> None:
    detect(necks, package=coded_package, out=out)
    before = {name: (out / name / "result.json").read_bytes() for name in ("broken", "intact")}
    (out / "intact" / "result.png").unlink()

    detect(necks, "--resume", package=coded_package, out=out)

    assert (out / "broken" / "result.json").read_bytes() == before["broken"]
    assert (out / "intact" / "result.json").read_bytes() != before["intact"]
    assert (out / "intact" / "result.png").is_file()
    assert statuses(out) == {"broken": "ok", "odd": "rejected", "intact": "ok"}


def test_resuming_with_other_thresholds_predicts_again(necks: Path, out: Path, coded_package: Path) -> None:
    detect(necks / "intact.nii.gz", "--format", "json", package=coded_package, out=out)

    detect(necks / "intact.nii.gz", "--format", "json", "--operating-point", "rule_out", "--resume", package=coded_package, out=out)

    assert json.loads((out / "intact" / "result.json").read_text())["operating_point"] == "rule_out"


def test_resuming_predicts_a_scan_again_that_has_changed(necks: Path, out: Path, coded_package: Path, tmp_path: Path) -> None:
    scan = shutil.copy(necks / "intact.nii.gz", tmp_path / "neck.nii.gz")
    detect(scan, "--format", "json", package=coded_package, out=out)
    assert json.loads((out / "neck" / "result.json").read_text())["patient_overall"]["positive"] is False
    shutil.copy(necks / "broken.nii.gz", scan)

    detect(scan, "--format", "json", "--resume", package=coded_package, out=out)

    assert json.loads((out / "neck" / "result.json").read_text())["patient_overall"]["positive"] is True


def test_resuming_needs_no_journal(necks: Path, out: Path, coded_package: Path) -> None:
    detect(necks / "intact.nii.gz", "--format", "json", package=coded_package, out=out)
    before = (out / "intact" / "result.json").read_bytes()
    (out / "run.json").unlink()

    assert detect(necks / "intact.nii.gz", "--format", "json", "--resume", package=coded_package, out=out) == Exit.DONE

    assert (out / "intact" / "result.json").read_bytes() == before
    assert statuses(out) == {"intact": "ok"}


def test_a_case_that_fails_leaves_no_result_of_an_earlier_run(out: Path, coded_package: Path, tmp_path: Path) -> None:
    scan = write_nifti(coded_volume(), tmp_path / "neck.nii")
    detect(scan, "--format", "json", package=coded_package, out=out)
    scan.write_text("not a scan any more")

    assert detect(scan, "--format", "json", package=coded_package, out=out) == Exit.WRONG_INPUT

    assert sorted(path.name for path in out.iterdir()) == ["failures.csv", "run.json"]


def test_shares_do_together_what_one_run_does(
    necks: Path, out: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = {detect(necks, "--shard", f"{i}/3", "--format", "json", package=coded_package, out=out) for i in (1, 2, 3)}

    assert codes <= {Exit.DONE, Exit.ALL_REJECTED}
    assert statuses(out) == {"broken": "ok", "odd": "rejected", "intact": "ok"}
    assert (out / "failures.csv").read_text().splitlines()[1].startswith("odd,")


def test_a_share_without_a_study_is_done(
    out: Path, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = write_nifti(coded_volume(), tmp_path / "neck.nii")
    (index,) = (i for i in (1, 2) if not Shard(i, 2).has("neck"))

    assert detect(scan, "--shard", f"{index}/2", package=coded_package, out=out) == Exit.DONE

    assert "no study falls into this share" in capsys.readouterr().err


def test_a_cluster_without_its_engine_is_one_line(
    necks: Path, out: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect(necks, "--workers", "2", package=coded_package, out=out) == Exit.WRONG_INPUT

    assert "--cluster and --workers need --engine ray. Received: --engine local." in capsys.readouterr().err


def test_ray_that_is_not_installed_is_named_with_its_remedy(
    necks: Path, out: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with without("ray", "cspine.jobs.cluster"):
        code = detect(necks, "--engine", "ray", package=coded_package, out=out)

    assert code == Exit.WRONG_INPUT

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
def test_a_batch_that_is_killed_leaves_complete_cases_and_resumes(
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

    finished = sorted(path.name for path in out.glob("neck*"))
    assert 2 <= len(finished) < 8
    for name in finished:
        json.loads((out / name / "result.json").read_text())
        assert (out / name / "result.png").is_file()
    assert set(statuses(out)) == {f"neck{i}" for i in range(8)}
    if blow is not signal.SIGKILL:
        assert process.returncode == Exit.INTERRUPTED
        assert errors.strip().endswith("interrupted; what was finished is kept")
        assert [path.name for path in out.glob(".*")] == []
        assert "It was not reached." in (out / "index.html").read_text()

    kept = {name: (out / name / "result.json").read_bytes() for name in finished}
    assert main([*arguments, "--resume"]) == Exit.DONE
    assert set(statuses(out).values()) == {"ok"}
    assert [path.name for path in out.glob(".*")] == []
    assert all((out / name / "result.json").read_bytes() == content for name, content in kept.items())
