"""Logs of the node say nothing of patients, whatever goes wrong."""

import errno
import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from cspine.node.config_file import read_config
from cspine.node.logs import DiscreetFormatter, log_to_stderr
from cspine.node.names import is_dead_here, process_name
from cspine.node.store import open_store
from cspine.node.store.queue import open_jobs
from cspine.node.store.worklist import worklist
from tests.node.nodes import CANARY, send, serving, until, write_config, write_series

_LIBRARIES = ("pydicom", "pynetdicom", "highdicom", "sqlalchemy", "uvicorn", "asyncio", "PIL", "matplotlib")


@pytest.fixture(autouse=True)
def _logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts the logging of the tests back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("cspine", *_LIBRARIES)}
    monkeypatch.setattr("cspine.node.logs.warnings.simplefilter", lambda *_: None)
    monkeypatch.setattr("threading.excepthook", threading.excepthook)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def _fail() -> None:
    try:
        dict[str, str]()[CANARY]
    except KeyError as error:
        raise ValueError(f"cannot parse {CANARY}") from error


def test_an_error_is_told_by_kind_and_place_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("worker")
    try:
        _fail()
    except ValueError:
        logging.getLogger("cspine.node").exception("job %d failed", 7)

    told = capsys.readouterr().err
    assert "worker cspine.node: job 7 failed" in told
    assert told.endswith("in _fail\nValueError\n")
    assert CANARY not in told


def test_an_error_that_ends_a_thread_is_told_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("receiver")
    thread = threading.Thread(target=_fail)
    thread.start()
    thread.join()

    told = capsys.readouterr().err
    assert "a thread ended" in told
    assert told.endswith("in _fail\nValueError\n")
    assert CANARY not in told


def test_libraries_that_quote_values_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("receiver", verbose=True)
    for library in ("pydicom", "pynetdicom.acse", "highdicom", "sqlalchemy.engine", "uvicorn.error"):
        logging.getLogger(library).critical("value %s", CANARY)

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device", f"/data/{CANARY}"), "OSError: No space left on device"),
        (
            OperationalError("INSERT", {"name": CANARY}, sqlite3.OperationalError("database or disk is full")),
            "database or disk is full",
        ),
        (OperationalError("INSERT", {"name": CANARY}, ValueError(CANARY)), "OperationalError"),
    ],
)
def test_what_a_system_says_of_an_error_is_kept(error: Exception, text: str) -> None:
    told = DiscreetFormatter("%(message)s").formatException((type(error), error, None))

    assert told.endswith(text)
    assert CANARY not in told


def test_no_error_has_no_text() -> None:
    assert DiscreetFormatter("%(message)s").formatException((None, None, None)) == "no error"


@pytest.mark.slow
def test_damaged_images_with_a_name_in_every_field_leave_no_trace_in_any_log(coded_package: Path, tmp_path: Path) -> None:
    words: dict[str, Any] = dict.fromkeys(
        ("StudyDescription", "SeriesDescription", "StationName", "InstitutionName", "Manufacturer"), CANARY
    )
    good = write_series(tmp_path / "good", 1, **words)
    bad = write_series(tmp_path / "bad", 2, **words)
    images = bad.images()
    for number, image in enumerate(images):
        image.PatientID = image.AccessionNumber = CANARY
        image.PixelData = image.PixelData[: 100 + number]
        image.ImagePositionPatient = [0, 0, "1"]
    config_file = write_config(tmp_path, coded_package)
    config = read_config(config_file)
    with serving(config_file, tmp_path / "log", "--verbose"):
        until(lambda: send(config.node.dicom.port, good.images()) == [0] * len(good.files), "the good ones")
        send(config.node.dicom.port, images)
        store = open_store(config.node.database, config.node.data)
        until(lambda: len(worklist(store)) == 2 and not open_jobs(store), "the results")
        states = sorted(row.state.value for row in worklist(store))
        store.close()

    log = (tmp_path / "log").read_text()
    assert states == ["done", "failed"]
    assert "job 1 is" in log
    assert not any(word.lower() in log.lower() for word in CANARY.split("^"))


def test_a_process_of_this_machine_that_has_ended_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    host = process_name("worker").split(":")[0]

    assert is_dead_here(f"{host}:worker:{2**22 + 1}", "worker")
    assert not is_dead_here(process_name("worker"), "worker")
    assert not is_dead_here(f"{host}:worker:1", "worker")
    assert not is_dead_here(f"elsewhere:worker:{2**22 + 1}", "worker")
    assert not is_dead_here(f"{host}:worker:x", "worker")
