"""Several peers at once: two scanners that send, two workers that assess, an archive that is slow."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cspine.node.config_file import read_config
from cspine.node.store import State, open_store
from cspine.node.store.worklist import worklist
from tests.node.nodes import destination, send, serving, shelf, until, write_config, write_series

pytestmark = pytest.mark.slow


def test_two_scanners_two_workers_and_an_archive_that_takes_seconds_an_object(coded_package: Path, tmp_path: Path) -> None:
    """Every object arrives once, although all six together take longer than a lease lasts, which is 30 s here."""
    scans = [write_series(tmp_path / str(number), number, fractured=number == 1) for number in (1, 2)]
    with shelf() as archive:
        archive.pause_s = 5.2
        config_file = write_config(
            tmp_path, coded_package, destination(archive.port), worker={"count": 2}, delivery={"timeout_s": 10}
        )
        config = read_config(config_file)
        with serving(config_file, tmp_path / "log"):
            until(lambda: send(config.node.dicom.port, scans[0].images()[:1]) == [0], "listening")
            with ThreadPoolExecutor(2) as scanners:
                answers = list(scanners.map(lambda one: send(config.node.dicom.port, one.images(), f"CT{one.uid[6]}"), scans))
            until(lambda: len(archive.kept) == 6, "the last delivery", 400)
            store = open_store(config.node.database, config.node.data)
            until(lambda: [row.deliveries for row in worklist(store)] == [{"shelf": {"delivered": 3}}] * 2, "the last answer")
            rows = worklist(store)
            store.close()

    assert answers == [[0] * len(one.files) for one in scans]
    assert {(row.series_uid, row.state, row.images) for row in rows} == {(one.uid, State.DONE, len(one.files)) for one in scans}
    assert {row.result.positive for row in rows if row.result} == {True, False}
    assert set(Counter(archive.uids()).values()) == {1}
