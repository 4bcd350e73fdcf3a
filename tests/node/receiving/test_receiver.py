"""The receiver against real peers: pynetdicom, and storescu of dcmtk where it is installed."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import build_context

from cspine.errors import UsageError
from cspine.node.config import Config, TlsSettings
from cspine.node.config_file import read_config
from cspine.node.receiving import receiver as receiver_module
from cspine.node.receiving import server
from cspine.node.receiving.completeness import Completeness
from cspine.node.receiving.receiver import NOT_UNDERSTOOD, OUT_OF_RESOURCES, Receiver
from cspine.node.receiving.spool import Folders, Spool
from cspine.node.store import open_store
from cspine.node.store.counting import read_counters
from tests.node.certificates import certificates
from tests.node.nodes import Series, images_alike, send, until, write_config, write_series

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom leaves sockets open


@contextmanager
def _receiving(
    folder: Path, tables: str = "", **settings: dict[str, object]
) -> Iterator[tuple[int, Receiver, Completeness, Config]]:
    config = read_config(write_config(folder, folder / "none", tables, **settings))
    Folders(config.node.data).make()
    store, completeness = open_store("sqlite", config.node.data), Completeness(0.2, 600.0)
    receiver = Receiver(config, store, completeness)
    try:
        with receiver.listening() as port:
            yield port, receiver, completeness, config
    finally:
        store.close()


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    return write_series(tmp_path_factory.mktemp("series") / "1", 1)


def test_images_are_kept_as_they_were_sent(series: Series, tmp_path: Path) -> None:
    from pydicom.filereader import dcmread

    with _receiving(tmp_path) as (port, receiver, completeness, config):
        assert set(send(port, series.images())) == {0}
        until(completeness.take, "completeness")

        kept = sorted((config.node.data / "spool" / series.uid).glob("*.dcm"))
        assert receiver.received == len(kept) == len(series.files)
        by_uid = {image.SOPInstanceUID: image for image in series.images()}
        for path in kept:
            image = dcmread(path)
            assert image == by_uid[image.SOPInstanceUID]
            assert images_alike(image, by_uid[image.SOPInstanceUID])
        assert list((config.node.data / "spool" / ".incoming").iterdir()) == []
        assert Spool(Folders(config.node.data)).source(series.uid) == ("CT1", "")


def test_the_same_images_on_several_associations_at_once_are_kept_once(series: Series, tmp_path: Path) -> None:
    images = series.images()
    with _receiving(tmp_path) as (port, _, _, config), ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: send(port, images), range(4)))

        assert {answer for one in answers for answer in one} == {0}
        assert len(list((config.node.data / "spool" / series.uid).glob("*.dcm"))) == len(images)
        assert list((config.node.data / "spool" / ".incoming").iterdir()) == []


def test_an_aborted_association_leaves_its_series_incomplete_for_longer(series: Series, tmp_path: Path) -> None:
    with _receiving(tmp_path) as (port, _, completeness, _):
        assert set(send(port, series.images()[:5], abort=True)) == {0}
        time.sleep(1.0)

        assert completeness.take() == []
        assert completeness.is_pending(series.uid)
        send(port, series.images()[5:])
        assert until(completeness.take, "completeness") == [(series.uid, "CT1", "")]


def test_a_nearly_full_disk_refuses_images_and_counts_that(series: Series, tmp_path: Path) -> None:
    with _receiving(tmp_path, keep={"free_gb": 999_999.0}) as (port, receiver, _, config):
        answers = send(port, series.images()[:2])
        store = open_store("sqlite", config.node.data)
        events = read_counters(store).events
        store.close()

    assert answers == [OUT_OF_RESOURCES] * 2
    assert receiver.received == 0
    assert events == {"images_refused_for_want_of_room": 2}
    assert list((config.node.data / "spool" / ".incoming").iterdir()) == []


_SOURCES = """
[[source]]
ae_title = "CT1"
addresses = ["127.0.0.1"]
site = "ER"
[[source]]
ae_title = "CT2"
addresses = ["10.0.0.0/8"]
"""


def test_only_a_known_ae_title_from_its_address_may_send(series: Series, tmp_path: Path) -> None:
    with _receiving(tmp_path, _SOURCES) as (port, _, completeness, _):
        assert send(port, series.images()[:1], "CT9") == [-1]
        assert send(port, series.images()[:1], "CT2") == [-1]
        assert send(port, series.images()[:1], "CT1", "SOMEBODY") == [-1]
        assert send(port, series.images()[:1], "CT1") == [0]

        assert until(completeness.take, "completeness") == [(series.uid, "CT1", "ER")]


def test_an_address_that_is_not_allowed_gets_no_thread(tmp_path: Path) -> None:
    only = '[[source]]\nae_title = "CT1"\naddresses = ["10.0.0.1"]\n'
    with _receiving(tmp_path, only) as (port, _, _, _):
        before = threading.active_count()
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.settimeout(60)

            assert connection.recv(1) == b""
            assert threading.active_count() <= before


def test_bare_connections_get_no_more_threads_than_associations_are_allowed(series: Series, tmp_path: Path) -> None:
    with _receiving(tmp_path, receiver={"associations": 8}) as (port, _, _, _):
        before = threading.active_count()
        bare = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        time.sleep(0.5)
        during = threading.active_count()
        for connection in bare:
            connection.close()

        assert during - before <= 3 * 8
        until(lambda: send(port, series.images()[:1]) == [0], "room for a peer")


def test_an_object_of_another_class_finds_no_presentation_context(tmp_path: Path) -> None:
    with _receiving(tmp_path) as (port, _, _, _):
        entity = ApplicationEntity("CT1")
        contexts = [
            build_context(uid) for uid in ("1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.1.1")
        ]
        association = entity.associate("127.0.0.1", port, contexts, ae_title="CSPINE")
        accepted = [context.abstract_syntax for context in association.accepted_contexts]
        echo = association.send_c_echo().Status
        association.release()

    assert accepted == ["1.2.840.10008.1.1"]
    assert echo == 0


def test_an_image_that_contradicts_itself_is_refused(series: Series, tmp_path: Path) -> None:
    image = series.images()[0]
    image.SeriesInstanceUID = "../../escape"
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    with _receiving(tmp_path) as (port, _, _, config):
        assert send(port, [image]) == [NOT_UNDERSTOOD]

        assert [path.name for path in (config.node.data / "spool").iterdir()] == [".incoming"]


def test_an_address_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        node: dict[str, object] = {"dicom": f"127.0.0.1:{taken.getsockname()[1]}"}
        with (
            pytest.raises(UsageError, match=r"^node\.dicom = 127\.0\.0\.1:\d+ cannot be listened at: .*\. Choose another\.$"),
            _receiving(tmp_path, node=node),
        ):
            pass


def _storescu(port: int, files: list[Path], *more: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("storescu")
    if program is None:
        pytest.skip("needs storescu (apt-get install dcmtk)")
    command = [program, "-aet", "CT1", "-aec", "CSPINE", *more, "127.0.0.1", str(port), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("syntax", ["-xe", "-xi", "-xb"])
def test_storescu_sends_in_every_plain_transfer_syntax(series: Series, tmp_path: Path, syntax: str) -> None:
    with _receiving(tmp_path) as (port, _, _, config):
        done = _storescu(port, list(series.files), syntax)

        assert (done.returncode, done.stderr) == (0, "")
        assert len(Spool(Folders(config.node.data)).images(series.uid)) == len(series.files)


def _tls_tables(folder: Path) -> str:
    return f'[tls]\ncertificate = "{folder / "node.pem"}"\nkey = "{folder / "node.key"}"\nauthorities = "{folder / "ca.pem"}"\n'


def test_storescu_sends_over_tls_with_its_certificate_only(series: Series, tmp_path: Path) -> None:
    keys = certificates(tmp_path / "keys")
    with _receiving(tmp_path, _tls_tables(keys)) as (port, receiver, _, _):
        good = _storescu(
            port, list(series.files), "+tls", str(keys / "peer.key"), str(keys / "peer.pem"), "+cf", str(keys / "ca.pem")
        )
        wrong = _storescu(port, list(series.files), "+tls", str(keys / "rogue.key"), str(keys / "rogue.pem"), "-ic")
        none = _storescu(port, list(series.files), "-tla", "-ic")
        plain = _storescu(port, list(series.files))

        assert (good.returncode, good.stderr) == (0, "")
        assert 0 not in (wrong.returncode, none.returncode, plain.returncode)
        assert receiver.received == len(series.files)


def test_a_peer_that_never_shakes_hands_holds_nobody_up(series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HANDSHAKE_S", 600.0)  # others would give up before the silent one is sent away
    keys = certificates(tmp_path / "keys")
    context = ssl.create_default_context(cafile=str(keys / "ca.pem"))
    context.load_cert_chain(keys / "peer.pem", keys / "peer.key")
    with _receiving(tmp_path, _tls_tables(keys)) as (port, _, _, _), socket.create_connection(("127.0.0.1", port)):
        assert _sent_over_tls(port, series.images()[:2], context) == [0, 0]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of pynetdicom, where a peer only shakes hands
def test_an_older_tls_is_refused_by_a_node_whose_ciphers_would_allow_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, made = certificates(tmp_path / "keys"), server.server_context

    def lenient(tls: TlsSettings) -> ssl.SSLContext:
        context = made(tls)
        context.set_ciphers("ALL:@SECLEVEL=0")  # so that nothing but the version can be the reason
        return context

    old = lenient(TlsSettings(keys / "node.pem", keys / "node.key", keys / "ca.pem"))
    old.minimum_version = ssl.TLSVersion.TLSv1_1
    if _version_spoken(keys, ssl.TLSVersion.TLSv1_1, _listening_once(old)) != "TLSv1.1":
        pytest.skip("needs an OpenSSL that can still speak TLS 1.1")
    monkeypatch.setattr(receiver_module, "server_context", lenient)
    with _receiving(tmp_path, _tls_tables(keys)) as (port, _, _, _):
        wanted = (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        versions = [_version_spoken(keys, version, port) for version in wanted]

    assert versions == ["TLSV1_ALERT_PROTOCOL_VERSION", "TLSv1.2", "TLSv1.3"]


def _version_spoken(keys: Path, version: ssl.TLSVersion, port: int) -> str | None:
    """Returns the version that a client which speaks one only gets, or the reason for which it gets none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(keys / "ca.pem")
    context.load_cert_chain(keys / "peer.pem", keys / "peer.key")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as wrapped:
                return wrapped.version()
        except ssl.SSLError as error:
            return error.reason


def _listening_once(context: ssl.SSLContext) -> int:
    """Shakes hands once, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with listening, suppress(OSError), context.wrap_socket(listening.accept()[0], server_side=True) as wrapped:
            wrapped.recv(1)

    threading.Thread(target=accept, daemon=True).start()
    return int(listening.getsockname()[1])


def _sent_over_tls(port: int, images: list[Dataset], context: ssl.SSLContext) -> list[int]:
    entity = ApplicationEntity("CT1")
    contexts = [build_context(images[0].SOPClassUID, images[0].file_meta.TransferSyntaxUID)]
    association = entity.associate("127.0.0.1", port, contexts, ae_title="CSPINE", tls_args=(context, "localhost"))
    assert association.is_established
    answers = [int(association.send_c_store(image).Status) for image in images]
    association.release()
    return answers
