from pathlib import Path

import pytest

from cspine.errors import UsageError
from cspine.node.addresses import Address, is_within
from cspine.node.config import Action, Config, Kind, Outcome, TlsSettings
from cspine.node.config_file import read_config

_WHOLE = """
[node]
ae_title = "CSPINE1"
dicom = "127.0.0.1:11113"
web = "[::1]:8081"
data = "here"
database = "postgresql://node@db/cspine"
[receiver]
quiet_s = 3
[worker]
count = 2
model = "coded"
[delivery]
settle_s = 0.5
[login]
required = true
proxies = ["10.0.0.1"]
header = "X-Remote-User"
[keep]
free_gb = 1
[[source]]
ae_title = "CT1"
addresses = ["127.0.0.0/8", "10.1.2.3"]
site = "ER"
[[destination]]
name = "pacs"
ae_title = "ORTHANC"
address = "127.0.0.1:4242"
objects = ["sr"]
send = ["positive"]
commitment = true
[[rule]]
if = "BodyPartExamined = 'HEAD'"
do = "ignore"
[[rule]]
if = "site = 'ER'"
do = "assess"
minutes = 30
[[folder]]
path = "in"
site = "CD"
"""


def _read(tmp_path: Path, text: str) -> Config:
    (tmp_path / "node.toml").write_text(text)
    return read_config(tmp_path / "node.toml")


def test_a_whole_configuration_is_read(tmp_path: Path) -> None:
    config = _read(tmp_path, _WHOLE)

    assert config.node.ae_title == "CSPINE1"
    assert (config.node.dicom, config.node.web) == (Address("127.0.0.1", 11113), Address("::1", 8081))
    assert config.node.data == tmp_path / "here"
    assert (config.receiver.quiet_s, config.receiver.aborted_quiet_s) == (3.0, 60.0)
    assert (config.worker.count, config.worker.model) == (2, "coded")
    assert config.sources[0].addresses == ("127.0.0.0/8", "10.1.2.3")
    (destination,) = config.destinations
    assert (destination.objects, destination.send, destination.commitment) == ((Kind.SR,), (Outcome.POSITIVE,), True)
    assert [(rule.action, rule.minutes) for rule in config.rules] == [(Action.IGNORE, 0.0), (Action.ASSESS, 30.0)]
    assert config.rules[0].parsed.fits({"BodyPartExamined": "head"})
    assert config.folders[0].path == tmp_path / "in"
    assert config.allowed_networks == ("127.0.0.0/8", "10.1.2.3")


def test_an_empty_configuration_is_a_node_for_this_machine_only(tmp_path: Path) -> None:
    config = _read(tmp_path, "")

    assert config.node.dicom.is_loopback
    assert config.node.web.is_loopback
    assert config.allowed_networks == ("127.0.0.0/8", "::1/128")
    assert config.node.data == tmp_path / "cspine-node"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[nod]", r"^The configuration has no key nod\. Did you mean node\?$"),
        ("[node]\nae = 'X'", r"^\[node\] has no key ae\. "),
        ("[node]\nwbe = 'X'", r"^\[node\] has no key wbe\. Did you mean web\?$"),
        ("[node]\nae_title = 'SEVENTEEN_LETTERS'", r"^node\.ae_title needs 1 to 16 ASCII characters"),
        ("[node]\nae_title = ''", r"^node\.ae_title needs 1 to 16 ASCII characters"),
        ("[node]\nae_title = 7", r"^node\.ae_title needs text in quotes\. Received: 7\. Correct it\.$"),
        ("[node]\ndicom = '11112'", r"^node\.dicom needs host:port, as 127\.0\.0\.1:11112\. Received: 11112$"),
        ("[node]\ndicom = '127.0.0.1:70000'", r"^node\.dicom needs host:port"),
        ("[node]\ndatabase = 'mysql://x'", r"^node\.database needs sqlite or postgresql://user@host/name\."),
        ("[receiver]\nquiet_s = 0", r"^receiver\.quiet_s needs a number from 0\.1 to 3600\. Received: 0\. Correct it\.$"),
        ("[receiver]\nquiet_s = nan", r"^receiver\.quiet_s needs a number from 0\.1 to 3600\. Received: nan\."),
        ("[receiver]\npdu_bytes = 0", r"^receiver\.pdu_bytes needs a number from 4096 to 1\.04858e\+06\."),
        ("[worker]\ncount = 1.5", r"^worker\.count needs a whole number\. Received: 1\.5\. Correct it\.$"),
        ("[worker]\ncount = true", r"^worker\.count needs a whole number\. Received: True\. Correct it\.$"),
        ("[worker]\ndevice = 'tpu'", r"^worker\.device needs one of .*\. Received: tpu\. Correct it\.$"),
        ("[login]\nrequired = 'yes'", r"^login\.required needs true or false\. Received: 'yes'\. Correct it\.$"),
        ("[login]\nheader = 'X'", r"^login\.header and login\.proxies need each other\."),
        ("[login]\nheader = 'X Y'\nproxies = ['::1']", r"^login\.header needs a name of letters, digits and hyphens\."),
        ("[login]\nheader = 'X'\nproxies = ['proxy']", r"^login\.proxies needs IP addresses or networks"),
        ("[source]\nae_title = 'CT'", r"^source needs tables that are written as \[\[source\]\]\."),
        ("[[source]]\naddresses = ['::1']", r"^\[source\] needs the key ae_title\. It is missing\. Add it\.$"),
        (
            "[[source]]\nae_title = 'CT'\naddresses = ['ct1']",
            r"^source\.addresses needs IP addresses or networks, as 10\.1\.0\.0/16",
        ),
        ("[[source]]\nae_title = 'CT'\naddresses = []", r"^source\.addresses needs at least one\. Received none for CT\."),
        ("[[source]]\nae_title = 'CT'\naddresses = '::1'", r"^source\.addresses needs a list in brackets\."),
        (
            "[[destination]]\nname = 'a/b'\nae_title = 'X'\naddress = 'x:1'",
            r"^destination\.name needs up to 32 letters, digits and _ \. -\. Received: a/b\.",
        ),
        (
            "[[destination]]\nname = 'a'\nae_title = 'X'\naddress = 'x:1'\nobjects = []",
            r"^destination\.objects needs at least one\. Received none for a\.",
        ),
        (
            "[[destination]]\nname = 'a'\nae_title = 'X'\naddress = 'x:1'\nobjects = ['ct']",
            r"^destination\.objects needs one of sr, seg, sc\. Received: ct\.",
        ),
        (
            "[[destination]]\nname = 'a'\nae_title = 'X'\naddress = 'x:1'\ntls = true",
            r"^destination\.tls needs the table \[tls\] with a certificate\.",
        ),
        (
            "[[destination]]\nname = 'a'\nae_title = 'X'\naddress = 'x:1'\n" * 2,
            r"^Every destination\.name needs to be its own\. Received: a, a\. Rename one\.$",
        ),
        ("[[rule]]\nif = 'images >'\ndo = 'ignore'", r"^rule\.if needs text in quotes or a number at character 9\."),
        ("[[rule]]\nif = 'images > 1'\ndo = 'drop'", r"^rule\.do needs one of assess, ignore\. Received: drop\. Correct it\.$"),
        ("[[rule]]\ncondition = 'images > 1'", r"^\[rule\] has no key condition\. "),
        ("[[folder]]\npath = 3", r"^folder\.path needs text in quotes\. Received: 3\. Correct it\.$"),
        (
            "[tls]\ncertificate = 'a'\nkey = 'b'\nauthorities = 'c'",
            r"^tls\.certificate needs a PEM file\. Received: .*a, which is not",
        ),
        ("node = 3", r"^node needs a table, \[node\]\. Received: 3\. Correct it\.$"),
        ("[node", r"^A configuration must be TOML in UTF-8\. .* is not: .*\. Correct it\.$"),
        ("a = " + "[" * 5000, r"^A configuration must be "),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        _read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_configuration_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^A configuration file is needed\. .*none\.toml cannot be read: .*\. Correct --config\.$"
    ):
        read_config(tmp_path / "none.toml")


def test_a_huge_file_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^A configuration has at most 1048576 bytes\. .* has more\. Correct --config\.$"):
        _read(tmp_path, "#" * (1 << 21))


_TLS = "[tls]\ncertificate = 'pem'\nkey = 'pem'\nauthorities = 'pem'\n"
_SOURCE = "[[source]]\nae_title = 'CT'\naddresses = ['10.0.0.0/8']\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[node]\ndicom = '0.0.0.0:104'", r"^node\.dicom = 0\.0\.0\.0:104 can be reached by others and needs \[tls\]\."),
        ("[node]\nweb = 'pacs:80'", r"^node\.web = pacs:80 can be reached by others and needs \[tls\]\."),
        ("[node]\nweb = '[::]:80'\n" + _TLS, r"^node\.web = \[::\]:80 can be reached by others and needs login\.required = true\."),
        (
            "[node]\ndicom = '10.0.0.2:104'\n" + _TLS,
            r"^node\.dicom = 10\.0\.0\.2:104 can be reached by others and needs \[\[source\]\]",
        ),
    ],
)
def test_a_door_that_is_open_to_others_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pem").write_text("")

    with pytest.raises(UsageError, match=message):
        _read(tmp_path, text)


def test_a_door_with_encryption_and_login_may_be_open(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("")
    opened = "[node]\nweb = '0.0.0.0:443'\ndicom = '0.0.0.0:2762'\n[login]\nrequired = true\n"

    config = _read(tmp_path, opened + _TLS + _SOURCE)

    pem = tmp_path / "pem"
    assert config.tls == TlsSettings(pem, pem, pem)
    assert config.allowed_networks == ("10.0.0.0/8",)


@pytest.mark.parametrize(
    ("host", "within"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("11.1.2.3", False), ("fe80::1%eth0", True), ("name", False), ("", False)],
)
def test_an_address_lies_within_networks(host: str, within: bool) -> None:
    assert is_within(host, ("10.0.0.0/8", "fe80::/10")) is within
