"""Other programs read the objects: validators, readers and archives. Each test skips where its program is not installed."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from pydicom import dcmread

from tests.reporting.dicom.archived import SOURCES, Archived

Make = Callable[[str], Archived]
_OBJECTS = ("result_sc.dcm", "result_seg.dcm", "result_sr.dcm")
_PATIENCE_S = 60.0


def _needed(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"needs {program} (Debian packages dicom3tools, dcmtk and orthanc)")
    return path


def _printed(*command: str | Path) -> str:
    """Returns both streams of a program that has ended."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, errors="replace", timeout=120, check=False)
    return done.stdout + done.stderr


def _errors(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line.lstrip().lower().startswith(("error", "e:"))]


def _files(archive: Archived) -> list[Path]:
    return [archive.folder / name for name in _OBJECTS]


@pytest.mark.parametrize("name", SOURCES)
def test_dciodvfy_finds_no_error(name: str, made: Make) -> None:
    program = _needed("dciodvfy")
    for file, kind in zip(_files(made(name)), ("SCImage", "Segmentation", "Comprehensive3DSR"), strict=True):
        printed = _printed(program, "-new", file)

        assert printed.splitlines()[-1:] == [kind] or kind in printed.splitlines()
        assert _errors(printed) == []


@pytest.mark.parametrize("name", SOURCES)
def test_dcentvfy_finds_the_objects_and_their_scan_consistent(name: str, made: Make) -> None:
    program, archive = _needed("dcentvfy"), made(name)
    scan = [archive.path] if archive.path.is_file() else sorted(archive.path.iterdir())

    printed = _printed(program, *([] if name == "zipped" else scan), *_files(archive))

    assert _errors(printed) == []


@pytest.mark.parametrize("name", SOURCES)
def test_dcmtk_reads_the_report_and_everything_as_json(name: str, made: Make) -> None:
    reader, converter, archive = _needed("dsrdump"), _needed("dcm2json"), made(name)

    report = _printed(reader, "+Pl", archive.folder / "result_sr.dcm")

    assert "Comprehensive 3D SR Document" in report
    assert '"Presence")=(52101004,SCT,"Present")' in report
    assert _errors(report) == []
    for file in _files(archive):
        json.loads(_printed(converter, file))


def test_a_validator_that_finds_errors_is_heard(made: Make, tmp_path: Path) -> None:
    data = dcmread(made("hospital").folder / "result_sc.dcm")
    del data.ConversionType
    data.save_as(tmp_path / "broken.dcm")

    assert _errors(_printed(_needed("dciodvfy"), "-new", tmp_path / "broken.dcm")) != []


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    """Runs a server that listens until the end of the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        patience = time.monotonic() + _PATIENCE_S
        while time.monotonic() < patience:
            assert process.poll() is None, f"{command[0]} ended"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=_PATIENCE_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _send(files: list[Path], port: int, title: str) -> None:
    command = [_needed("storescu"), "-R", "-aec", title, "127.0.0.1", str(port), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, _errors(done.stdout + done.stderr)) == (0, [])


def _all_files(made: Make) -> list[Path]:
    return [file for name in ("hospital", "anonymised", "enhanced") for file in _files(made(name))]


def test_a_dicom_node_stores_everything_and_a_second_send_nothing_more(made: Make, tmp_path: Path) -> None:
    port = _free_port()
    with _running([_needed("storescp"), "-od", str(tmp_path), str(port)], port):
        _send(_files(made("hospital")), port, "ANY-SCP")
        first = sorted(path.name for path in tmp_path.iterdir())
        _send(_files(made("hospital")), port, "ANY-SCP")

    assert len(first) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == first


def test_orthanc_stores_everything_and_a_second_send_nothing_more(made: Make, tmp_path: Path) -> None:
    program, dicom, http = _needed("Orthanc"), _free_port(), _free_port()
    settings = {
        "StorageDirectory": str(tmp_path / "db"),
        "IndexDirectory": str(tmp_path / "db"),
        "DicomPort": dicom,
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    scan = sorted(made("hospital").path.iterdir())

    def statistics() -> dict[str, object]:
        with urlopen(f"http://127.0.0.1:{http}/statistics") as answer:
            return dict(json.load(answer))

    with _running([program, str(tmp_path / "orthanc.json")], dicom):
        _send([*scan, *_files(made("hospital"))], dicom, "ORTHANC")
        first = statistics()
        _send(_files(made("hospital")), dicom, "ORTHANC")
        second = statistics()

    assert (first["CountPatients"], first["CountStudies"]) == (1, 1)
    assert (first["CountSeries"], first["CountInstances"]) == (4, len(scan) + 3)
    assert {key: second[key] for key in second if key.startswith("Count")} == {
        key: first[key] for key in first if key.startswith("Count")
    }
