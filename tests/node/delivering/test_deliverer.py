"""The deliverer against an archive that takes, refuses, is slow, or is not there."""

import queue
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import dcmread
from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider

from cspine.node.config import Config
from cspine.node.config_file import read_config
from cspine.node.delivering.archive import Archive, ArchiveError
from cspine.node.delivering.deliverer import Deliverer
from cspine.node.delivering.replacing import name_predecessor
from cspine.node.receiving.spool import Folders
from cspine.node.store import DeliveryState, Store, open_store
from cspine.node.store.counting import read_counters
from cspine.node.store.nouns import Parcel
from cspine.node.store.queue import finish
from cspine.node.store.sending import claim_parcels
from cspine.node.store.worklist import worklist
from tests.node.certificates import certificates
from tests.node.nodes import Shelf, destination, free_port, shelf, write_config
from tests.node.series import POSITIVE, arrive, take
from tests.node.times import Clock

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom leaves sockets open


def _report(path: Path, uid: str) -> None:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = Comprehensive3DSRStorage, uid
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = "1.9", f"{uid}.9", "SR"
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)


class Office:
    """A store with results, and a deliverer to one archive."""

    def __init__(self, folder: Path, port: int, more: str = "", tables: str = "") -> None:
        self.clock = Clock()
        self.config: Config = read_config(write_config(folder, folder / "none", destination(port, more) + tables))
        Folders(self.config.node.data).make()
        self.store: Store = open_store("sqlite", self.config.node.data, self.clock)
        self.deliverer = Deliverer(self.config, self.store)

    def finish(self, images: int = 10, reports: int = 2) -> None:
        """Records a result with so many reports."""
        arrive(self.store, "1", images)
        found = []
        for number in range(reports):
            uid, name = f"2.25.{images}.{number}", f"report{number}.dcm"
            _report(self.config.node.data / "results" / f"key1-{images}" / name, uid)
            found.append(Parcel("shelf", "sr" if number == 0 else "sc", uid, Comprehensive3DSRStorage, name))
        assert finish(self.store, take(self.store), POSITIVE, found)

    def step(self) -> bool:
        """Sends once."""
        return self.deliverer.step(self.config.destinations[0])

    def states(self) -> dict[str, int]:
        """Counts objects by state."""
        return {state.value: number for (_, state), number in read_counters(self.store).parcels.items()}


@pytest.fixture
def archive() -> Iterator[Shelf]:
    with shelf() as listening:
        yield listening


class _Stolen(queue.Queue[Any]):
    """Gives each answer first to the thread that looks for requests, as happens now and then where the processors are busy."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association, self._seen = association, set[int]()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        context_id, message = item
        if message is None or message.is_valid_request or id(message) in self._seen:
            super().put(item, block, timeout)
            return
        self._seen.add(id(message))
        self._association._serve_request(message, context_id)


def test_no_answer_is_lost_where_a_thread_of_pynetdicom_takes_it(
    archive: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(tmp_path, archive.port)
    office.finish(reports=6)
    hurried = replace(office.config, delivery=replace(office.config.delivery, timeout_s=3.0))
    begin = DIMSEServiceProvider.__init__

    def begin_unluckily(self: DIMSEServiceProvider, association: Association) -> None:
        begin(self, association)
        self.msg_queue = _Stolen(association)

    monkeypatch.setattr(DIMSEServiceProvider, "__init__", begin_unluckily)

    assert Deliverer(hurried, office.store).step(hurried.destinations[0])

    assert office.states() == {"delivered": 6}
    assert len(archive.kept) == 6


def test_what_is_due_is_sent_once(archive: Shelf, tmp_path: Path) -> None:
    office = Office(tmp_path, archive.port)
    office.finish()

    assert office.step()
    assert not office.step()
    assert archive.uids() == ["2.25.10.0", "2.25.10.1"]
    assert office.states() == {"delivered": 2}


def test_what_an_archive_refuses_is_sent_again_with_longer_pauses(archive: Shelf, tmp_path: Path) -> None:
    office = Office(tmp_path, archive.port)
    office.finish(reports=1)
    archive.answer = 0xA700
    pauses = []
    for _ in range(6):
        assert office.step()
        begin = office.clock.now
        while not claim_parcels(office.store, "shelf", "probe", -1, 1):  # a lease that is over at once
            office.clock.now += 0.05
        pauses.append(round(office.clock.now - begin, 1))

    archive.answer = 0
    assert office.step()
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert archive.uids() == ["2.25.10.0"]
    assert office.states() == {"delivered": 1}


def test_why_an_archive_refuses_is_kept(archive: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    office = Office(tmp_path, archive.port)
    office.finish(reports=1)
    archive.answer = 0xA700

    office.step()

    assert "archive shelf: object 1 waits. It answered A700." in caplog.text
    assert worklist(office.store)[0].deliveries == {"shelf": {DeliveryState.WAITING: 1}}
    assert worklist(office.store)[0].refusals == {"shelf": "It answered A700."}


def test_an_old_answer_of_an_archive_is_not_told_once_it_has_taken_all(archive: Shelf, tmp_path: Path) -> None:
    office = Office(tmp_path, archive.port)
    office.finish()
    archive.answer = 0xA700
    office.step()
    assert worklist(office.store)[0].refusals == {"shelf": "It answered A700."}

    archive.answer = 0
    office.clock.now += 1
    office.step()

    assert office.states() == {"delivered": 2}
    assert worklist(office.store)[0].refusals == {}


def test_a_warning_of_an_archive_means_that_it_has_the_object(archive: Shelf, tmp_path: Path) -> None:
    office = Office(tmp_path, archive.port)
    office.finish(reports=1)
    archive.answer = 0xB000

    office.step()

    assert office.states() == {"delivered": 1}


def test_a_dead_archive_is_named_and_gets_all_when_it_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    office = Office(tmp_path, port)
    office.finish()
    assert office.step()
    assert office.states() == {"waiting": 2}
    assert "archive shelf: 2 objects wait. It cannot be reached, or aborted the association." in caplog.text

    office.clock.now += 1
    with shelf(port) as archive:
        assert office.step()
        assert archive.uids() == ["2.25.10.0", "2.25.10.1"]
    assert office.states() == {"delivered": 2}


def test_an_archive_that_knows_another_name_rejects_and_says_so(archive: Shelf, tmp_path: Path) -> None:
    office = Office(tmp_path, archive.port)
    other = replace(office.config.destinations[0], ae_title="OTHER")

    with pytest.raises(ArchiveError, match=r"^It rejected the association: .*Called AE title not recognised"):
        Archive(office.config, other).echo()
    Archive(office.config, office.config.destinations[0]).echo()


def test_a_slow_archive_gets_all_within_its_lease(archive: Shelf, tmp_path: Path) -> None:
    office = Office(tmp_path, archive.port)
    office.finish()
    archive.pause_s = 1.0

    office.step()

    assert office.states() == {"delivered": 2}


def test_an_archive_that_does_not_answer_in_time_is_asked_again(archive: Shelf, tmp_path: Path) -> None:
    office = Office(tmp_path, archive.port)
    office.config = replace(office.config, delivery=replace(office.config.delivery, timeout_s=0.5))
    office.deliverer = Deliverer(office.config, office.store)
    office.finish()
    archive.pause_s = 1.5

    office.step()

    assert office.states().get("waiting", 0) >= 1
    archive.pause_s = 0.0
    office.clock.now += 1000
    while office.step():
        office.clock.now += 1000
    assert office.states() == {"delivered": 2}
    assert set(archive.uids()) == {"2.25.10.0", "2.25.10.1"}


def test_a_new_report_names_the_one_that_it_replaces(archive: Shelf, tmp_path: Path) -> None:
    office = Office(tmp_path, archive.port)
    office.finish(images=10)
    office.step()
    office.finish(images=12)
    office.step()

    (first, _, second, other) = archive.kept
    assert "PredecessorDocumentsSequence" not in first
    (study,) = second.PredecessorDocumentsSequence
    (of_series,) = study.ReferencedSeriesSequence
    (named,) = of_series.ReferencedSOPSequence
    assert (study.StudyInstanceUID, of_series.SeriesInstanceUID) == ("1.9", first.SeriesInstanceUID)
    assert (named.ReferencedSOPClassUID, named.ReferencedSOPInstanceUID) == (first.SOPClassUID, first.SOPInstanceUID)
    assert "PredecessorDocumentsSequence" not in other


def test_a_predecessor_that_is_gone_is_not_named(archive: Shelf, tmp_path: Path) -> None:
    office = Office(tmp_path, archive.port)
    office.finish(images=10)
    office.step()
    for path in (office.config.node.data / "results" / "key1-10").iterdir():
        path.unlink()
    office.finish(images=12)
    office.step()

    assert all("PredecessorDocumentsSequence" not in one for one in archive.kept)


def test_an_object_whose_file_is_lost_holds_up_no_other(archive: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    office = Office(tmp_path, archive.port)
    office.finish()
    (office.config.node.data / "results" / "key1-10" / "report0.dcm").write_bytes(b"nothing")

    office.step()

    assert archive.uids() == ["2.25.10.1"]
    assert office.states() == {"delivered": 1, "waiting": 1}
    assert "object 1 cannot be read" in caplog.text


def test_what_a_deliverer_that_was_killed_had_taken_is_free_when_the_next_starts(archive: Shelf, tmp_path: Path) -> None:
    import socket

    office = Office(tmp_path, archive.port)
    office.finish()
    claim_parcels(office.store, "shelf", f"{socket.gethostname()[:80]}:deliverer:{2**22 + 1}", 100, 10)
    claim = claim_parcels(office.store, "shelf", "another-machine:deliverer:1", 100, 10)
    assert not office.step()

    office.deliverer._tidy()

    assert claim == ()
    assert office.step()
    assert office.states() == {"delivered": 2}


def test_an_archive_over_tls_must_show_a_certificate_of_its_host(tmp_path: Path) -> None:
    from pynetdicom.ae import ApplicationEntity

    from cspine.node.config import TlsSettings
    from cspine.node.receiving.server import server_context

    keys = certificates(tmp_path / "keys")
    tls = f'[tls]\ncertificate = "{keys / "node.pem"}"\nkey = "{keys / "node.key"}"\nauthorities = "{keys / "ca.pem"}"\n'
    for name, good in (("peer", True), ("rogue", False)):
        entity, port = ApplicationEntity("SHELF"), free_port()
        entity.add_supported_context("1.2.840.10008.1.1")
        context = server_context(TlsSettings(keys / f"{name}.pem", keys / f"{name}.key", keys / "ca.pem"))
        server = entity.start_server(("127.0.0.1", port), block=False, ssl_context=context)
        assert server is not None
        office = Office(tmp_path / name, port, "tls = true", tls)
        try:
            if good:
                Archive(office.config, office.config.destinations[0]).echo()
            else:
                with pytest.raises(ArchiveError, match=r"^It cannot be reached, or aborted the association\.$"):
                    Archive(office.config, office.config.destinations[0]).echo()
        finally:
            server.shutdown()


def test_a_predecessor_is_written_as_the_standard_says(tmp_path: Path) -> None:
    _report(tmp_path / "report.dcm", "2.25.2")
    report = dcmread(tmp_path / "report.dcm")

    name_predecessor(report, "2.25.1", "2.25.1.9")
    report.save_as(tmp_path / "again.dcm")

    (study,) = dcmread(tmp_path / "again.dcm").PredecessorDocumentsSequence
    assert study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.1"
