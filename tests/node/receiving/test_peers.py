import socket
from pathlib import Path
from typing import Any

import pytest

from cspine.node.config_file import parse_config
from cspine.node.receiving.peers import Peers

_TABLES = {
    "source": [
        {"ae_title": "CT1", "addresses": ["10.0.0.0/24"], "site": "ER"},
        {"ae_title": "CT1", "addresses": ["10.0.1.7"], "site": "OR"},
        {"ae_title": "CT2", "addresses": ["2001:db8::/32"]},
    ],
    "destination": [
        {"name": "pacs", "ae_title": "PACS", "address": "pacs.example:104", "commitment": True},
        {"name": "quiet", "ae_title": "QUIET", "address": "10.9.9.9:104"},
    ],
}


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Peers:
    def resolve(host: str, _: Any) -> list[Any]:
        if host == "pacs.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.5.5.5", 0))]
        raise OSError

    monkeypatch.setattr("cspine.node.receiving.peers.socket.getaddrinfo", resolve)
    return Peers(parse_config(_TABLES, Path("/")))


@pytest.mark.parametrize(
    ("host", "connects"),
    [("10.0.0.9", True), ("10.0.1.7", True), ("10.0.1.8", False), ("2001:db8::1", True), ("10.5.5.5", True), ("10.9.9.9", False)],
)
def test_only_sources_and_archives_that_report_may_connect(peers: Peers, host: str, connects: bool) -> None:
    assert peers.may_connect(host) is connects


def test_a_source_is_known_by_its_title_and_its_address(peers: Peers) -> None:
    found = {(title, host): peers.source(title, host) for title in ("CT1", "CT2") for host in ("10.0.0.9", "10.0.1.7", "::1")}

    assert {key: source.site for key, source in found.items() if source is not None} == {
        ("CT1", "10.0.0.9"): "ER",
        ("CT1", "10.0.1.7"): "OR",
    }


def test_an_archive_may_report_and_not_send(peers: Peers) -> None:
    assert peers.source("PACS", "10.5.5.5") is None
    archive = peers.archive("PACS", "10.5.5.5")
    assert archive is not None
    assert archive.name == "pacs"
    assert peers.archive("PACS", "10.0.0.9") is None
    assert peers.archive("QUIET", "10.9.9.9") is None


def test_without_sources_anybody_on_this_machine_may_send() -> None:
    peers = Peers(parse_config({}, Path("/")))

    assert peers.may_connect("127.0.0.1")
    assert not peers.may_connect("10.0.0.9")
    assert peers.source("ANY", "::1") is not None
    assert peers.source("", "127.0.0.1") is None
    assert peers.source("ANY", "10.0.0.9") is None
