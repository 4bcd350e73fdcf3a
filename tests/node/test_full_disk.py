"""A disk that is really full: a small one of its own, as only the kernel can say so everywhere."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.filereader import dcmread

from cspine.node.config_file import read_config
from cspine.node.receiving.receiver import OUT_OF_RESOURCES
from cspine.node.store import State, open_store
from cspine.node.store.worklist import worklist
from tests.node.nodes import destination, send, serving, shelf, until, write_config, write_series

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yields a disk of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a tmpfs, as root has outside containers")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(disk: Path) -> Path:
    """Fills a disk to its last byte."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    assert os.statvfs(disk).f_bavail == 0
    return filler


def test_nothing_that_a_full_disk_refused_is_answered_with_success_and_all_comes_with_the_room(
    disk: Path, coded_package: Path, tmp_path: Path
) -> None:
    first, second = write_series(tmp_path / "1", 1, fractured=True), write_series(tmp_path / "2", 2)
    with shelf() as archive:
        config_file = write_config(tmp_path, coded_package, destination(archive.port), node={"data": str(disk / "data")})
        config = read_config(config_file)
        port = config.node.dicom.port
        with serving(config_file, tmp_path / "log"):
            until(lambda: send(port, first.images()) == [0] * len(first.files), "the first series")
            until(lambda: len(archive.kept) == 3, "its results")
            filler = _fill(disk)
            refused = send(port, second.images(), patience_s=15)
            kept = {str(dcmread(file).SOPInstanceUID) for file in (disk / "data" / "spool" / second.uid).glob("*.dcm")}
            filler.unlink()
            until(lambda: set(send(port, second.images())) == {0}, "the second series")
            until(lambda: len(archive.kept) == 6, "its results")
            store = open_store(config.node.database, config.node.data)
            rows = worklist(store)
            store.close()

    assert 0 not in refused
    assert set(refused) <= {OUT_OF_RESOURCES, -1}
    assert kept == set()
    assert [(row.state, row.images) for row in rows] == [(State.DONE, len(first.files)), (State.DONE, len(second.files))]


def test_a_result_for_which_there_is_no_room_is_told_and_written_when_there_is(
    disk: Path, coded_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from cspine.jobs.scans import read_scan
    from cspine.node.receiving.spool import Folders
    from cspine.node.working import worker
    from tests.node.series import arrive

    monkeypatch.setattr(worker, "_PAUSE_S", 0.0)
    config = read_config(write_config(tmp_path, coded_package))
    folders = Folders(config.node.data)
    folders.make()
    folders.results.rmdir()
    folders.results.symlink_to(disk)
    store = open_store("sqlite", config.node.data)
    arrive(store, "1")
    write_series(folders.scans / "key1-10", 1)
    made, stop = worker.NodeWorker(config, store), threading.Event()
    filler = _fill(disk)
    made.step(lambda source: read_scan(source, None))
    waiting = worklist(store)[0]
    left = [path.name for path in disk.iterdir()]
    filler.unlink()
    made.step(lambda source: read_scan(source, None))
    (done,) = worklist(store)
    store.close()
    stop.set()

    assert waiting.state is State.QUEUED
    assert "No space left on device" in str(waiting.reason)
    assert left == ["filler"]
    assert done.state is State.DONE
