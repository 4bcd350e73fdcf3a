"""The whole node: processes, DICOM in, objects out, and what its logs say."""

import io
import threading
from pathlib import Path

import pytest

from cspine.cli import main
from cspine.errors import OutputError
from cspine.node.config_file import read_config
from cspine.node.store import State, Store, open_store
from cspine.node.store.audit import read_trail
from cspine.node.store.users import user_by_password, user_by_token
from cspine.node.store.worklist import worklist
from cspine.node.supervising.roles import RoleName, run_role
from tests.node.nodes import CANARY, destination, free_port, send, serving, shelf, until, write_config, write_series


def _opened(config_file: Path) -> Store:
    config = read_config(config_file)
    return open_store(config.node.database, config.node.data)


@pytest.mark.slow
def test_images_come_in_and_objects_go_out(coded_package: Path, tmp_path: Path) -> None:
    series = write_series(tmp_path / "scan", 1, fractured=True)
    with shelf() as archive:
        config_file = write_config(tmp_path, coded_package, destination(archive.port))
        port = read_config(config_file).node.dicom.port
        with serving(config_file, tmp_path / "log"):
            until(lambda: send(port, series.images()) == [0] * len(series.files), "taking images")
            until(lambda: len(archive.kept) == 3, "delivering")
            store = _opened(config_file)
            (row,) = worklist(store)
            store.close()

    assert row.state is State.DONE
    assert row.result is not None
    assert row.result.positive
    assert [level["positive"] for level in row.result.levels] == [False, True, False, False, False, False, False]
    assert (row.patient.patient_name, row.patient.patient_id, row.scanner) == (CANARY, "PAT1", "Blocks One")
    assert {one.Modality for one in archive.kept} == {"SR", "SEG", "OT"}
    assert {str(one.PatientID) for one in archive.kept} == {"PAT1"}
    log = (tmp_path / "log").read_text()
    assert "job 1 is done, 3 objects go to archives" in log
    assert not any(word in log for word in (*CANARY.split("^"), "PAT1", "ACC1"))


def test_a_configuration_is_checked_line_by_line(coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_file = write_config(tmp_path, coded_package)

    assert main(["serve", "--config", str(config_file), "--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == ["ok", "ok", "ok"]

    config_file.write_text(config_file.read_text().replace("free_gb = 0.0", "free_gb = 900000").replace("coded'", "none'"))
    assert main(["serve", "--config", str(config_file), "--check"]) == 2
    told = capsys.readouterr().out
    assert "900000 GB must be free." in told
    assert "model packages: " in told


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom leaves a socket open
def test_an_archive_is_asked_whether_it_is_there(coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with shelf() as archive:
        config_file = write_config(tmp_path / "a", coded_package, destination(archive.port))
        assert main(["serve", "--config", str(config_file), "--check"]) == 0
    assert "destination shelf: ok" in capsys.readouterr().out

    config_file = write_config(tmp_path / "b", coded_package, destination(free_port()))
    assert main(["serve", "--config", str(config_file), "--check"]) == 2
    assert "destination shelf: It cannot be reached, or aborted the association." in capsys.readouterr().out


def test_a_user_and_a_token_are_added(
    coded_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config_file = write_config(tmp_path, coded_package)
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    assert main(["serve", "--config", str(config_file), "--add-user", "ann", "--user-role", "admin"]) == 0
    assert main(["serve", "--config", str(config_file), "--add-token", "script"]) == 0
    token = capsys.readouterr().out.strip()

    config = read_config(config_file)
    store = open_store(config.node.database, config.node.data)
    user, program = user_by_password(store, "ann", "correct horse battery"), user_by_token(store, token)
    store.close()
    assert user is not None
    assert user.role == "admin"
    assert program is not None


def test_a_user_or_a_token_that_is_removed_comes_in_no_more(
    coded_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config_file = write_config(tmp_path, coded_package)
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    serve = ["serve", "--config", str(config_file)]
    assert main([*serve, "--add-user", "ann"]) == 0
    assert main([*serve, "--add-token", "script"]) == 0
    token = capsys.readouterr().out.strip()

    codes = [main([*serve, "--remove-user", name]) for name in ("ann", "script", "eve")]

    config = read_config(config_file)
    store = open_store(config.node.database, config.node.data)
    left = user_by_password(store, "ann", "correct horse battery"), user_by_token(store, token)
    trail = [(kept.entry.action, kept.entry.subject) for kept in reversed(read_trail(store, 9))]
    store.close()
    assert codes == [0, 0, 2]
    assert left == (None, None)
    assert trail == [("user added", "ann"), ("token added", "script"), ("user removed", "ann"), ("user removed", "script")]
    assert "--remove-user needs a user or token that exists. Received: eve." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[node]\nweb = '0.0.0.0:80'\n", "node.web = 0.0.0.0:80 can be reached by others and needs [tls]"),
        ("[node]\nwebb = '0.0.0.0:80'\n", "[node] has no key webb. Did you mean web?"),
    ],
)
def test_a_node_that_should_not_start_does_not(tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "node.toml").write_text(text)

    assert main(["serve", "--config", str(tmp_path / "node.toml")]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the thread of pynetdicom ends, as it would
def test_a_place_that_fails_in_the_midst_of_an_image_does_not_hold_up_its_series(coded_package: Path, tmp_path: Path) -> None:
    series = write_series(tmp_path / "scan", 1)
    config = read_config(write_config(tmp_path, coded_package))
    stop = threading.Event()
    receiver = threading.Thread(target=run_role, args=(RoleName.RECEIVER, config, stop))
    receiver.start()
    try:
        until(lambda: send(config.node.dicom.port, series.images()[:10]) == [0] * 10, "the first images")
        incoming = config.node.data / "spool" / ".incoming"
        incoming.rename(incoming.with_name("elsewhere"))
        assert 0 not in send(config.node.dicom.port, series.images()[10:12], patience_s=10)  # no answer: the thread ended
        incoming.with_name("elsewhere").rename(incoming)
        store = _opened(tmp_path / "node.toml")
        until(lambda: [row.images for row in worklist(store)] == [10], "the first version")
        assert set(send(config.node.dicom.port, series.images()[10:])) == {0}
        until(lambda: [row.images for row in worklist(store)] == [len(series.files)], "the second version")
        store.close()
    finally:
        stop.set()
        receiver.join()


def test_a_second_receiver_in_the_same_folder_is_refused(tmp_path: Path, coded_package: Path) -> None:
    config, stop = read_config(write_config(tmp_path, coded_package)), threading.Event()
    first = threading.Thread(target=run_role, args=(RoleName.RECEIVER, config, stop))
    first.start()
    until((config.node.data / ".receiver.lock").exists, "the first receiver")
    try:
        with pytest.raises(OutputError, match=r"^Another receiver uses .*\. Wait until it ends, or choose another node\.data\.$"):
            run_role(RoleName.RECEIVER, config, stop)
    finally:
        stop.set()
        first.join()
