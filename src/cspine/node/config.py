"""Describes a node: what it is called, who may send, where results go, what is kept.

Every noun is one table of the configuration file; :func:`cspine.node.config_file.read_config` reads it.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cspine.errors import UsageError, one_line
from cspine.node.addresses import Address, parse_network
from cspine.node.rules import Condition, parse_condition
from cspine.runtime import Device

_LOOPBACK = ("127.0.0.0/8", "::1/128")
_DICOM, _WEB = Address("127.0.0.1", 11112), Address("127.0.0.1", 8080)
_VIEWER = re.compile(r"https?://[A-Za-z0-9.:_-]+/[A-Za-z0-9.:_~/?&=%#{}-]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")


class Kind(StrEnum):
    """Names the objects that can be sent to an archive; each is a format of ``cspine detect``."""

    SR = "sr"
    SEG = "seg"
    SC = "sc"


class Outcome(StrEnum):
    """Names the results that a destination may ask for."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    REJECTED = "rejected"


class Action(StrEnum):
    """Says what a rule does with a series."""

    ASSESS = "assess"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Holds ``[node]``.

    Attributes:
        ae_title: What peers call this node.
        dicom: Where the receiver listens.
        web: Where the pages are.
        data: The folder for scans, results and the embedded database.
        database: ``sqlite`` for one in ``data``, or a URL as ``postgresql://user@host/name``.
        viewer: Address of the site's own viewer, with ``{study}`` or ``{series}`` for the UID; empty where there is none.
    """

    ae_title: str = "CSPINE"
    dicom: Address = _DICOM
    web: Address = _WEB
    data: Path = Path("cspine-node")
    database: str = "sqlite"
    viewer: str = ""

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title, "node.ae_title")
        if self.viewer and not _VIEWER.fullmatch(self.viewer):
            raise UsageError(
                f"node.viewer needs an address as https://viewer/{{study}}. Received: {one_line(self.viewer, 60)}. Correct it."
            )
        if self.database != "sqlite" and not self.database.startswith("postgresql://"):
            raise UsageError("node.database needs sqlite or postgresql://user@host/name. Received something else. Correct it.")


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """Holds ``[receiver]``.

    Attributes:
        quiet_s: A series is complete so long after its last image, where the association was released.
        aborted_quiet_s: The same where it was aborted, or the receiver started anew.
        associations: How many peers may be connected at once.
        pdu_bytes: The largest protocol data unit that is taken.
    """

    quiet_s: float = 5.0
    aborted_quiet_s: float = 60.0
    associations: int = 32
    pdu_bytes: int = 131072

    def __post_init__(self) -> None:
        check_range("receiver.quiet_s", self.quiet_s, 0.1, 3600)
        check_range("receiver.aborted_quiet_s", self.aborted_quiet_s, 0.1, 86400)
        check_range("receiver.associations", self.associations, 1, 500)
        check_range("receiver.pdu_bytes", self.pdu_bytes, 4096, 1 << 20)  # unlimited PDUs stalled peers


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Holds ``[worker]``.

    Attributes:
        count: How many workers run beside each other on this machine.
        device: Where the network runs.
        threads: Processor threads of each; the engine's choice if ``None``.
        model: The model package, by folder or name; the shipped one if ``None``.
        localiser: The package that finds the vertebrae, in the same way.
        operating_point: The thresholds; the package's default if ``None``.
        lease_s: A worker that says nothing for so long has lost its job.
        attempts: A job whose lease expired so often has failed.
    """

    count: int = 1
    device: Device = Device.AUTO
    threads: int | None = None
    model: str | None = None
    localiser: str | None = None
    operating_point: str | None = None
    lease_s: float = 60.0
    attempts: int = 5

    def __post_init__(self) -> None:
        check_range("worker.count", self.count, 0, 64)
        check_range("worker.threads", 1 if self.threads is None else self.threads, 1, 1024)
        check_range("worker.lease_s", self.lease_s, 1, 3600)
        check_range("worker.attempts", self.attempts, 1, 100)


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Holds ``[delivery]``.

    Attributes:
        settle_s: A result waits so long before it is sent, so that versions do not fill the archive.
        first_retry_s: The pause after the first failure; each further one is twice as long.
        longest_retry_s: No pause is longer.
        timeout_s: An archive that does not answer for so long has failed.
        batch: So many objects are sent over one association.
    """

    settle_s: float = 30.0
    first_retry_s: float = 1.0
    longest_retry_s: float = 900.0
    timeout_s: float = 60.0
    batch: int = 32

    def __post_init__(self) -> None:
        check_range("delivery.settle_s", self.settle_s, 0, 86400)
        check_range("delivery.first_retry_s", self.first_retry_s, 0.01, 3600)
        check_range("delivery.longest_retry_s", self.longest_retry_s, self.first_retry_s, 86400)
        check_range("delivery.timeout_s", self.timeout_s, 0.1, 3600)
        check_range("delivery.batch", self.batch, 1, 1000)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Holds ``[tls]``: what this node shows, and whom it trusts.

    Attributes:
        certificate: PEM file of the certificate and its chain.
        key: PEM file of its key.
        authorities: PEM file of the authorities that DICOM peers must be certified by.
    """

    certificate: Path
    key: Path
    authorities: Path

    def __post_init__(self) -> None:
        for name in ("certificate", "key", "authorities"):
            if not getattr(self, name).is_file():
                raise UsageError(f"tls.{name} needs a PEM file. Received: {getattr(self, name)}, which is not there.")


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """Holds ``[login]``.

    Attributes:
        required: Whether pages ask who comes; other addresses than loopback need it.
        proxies: Addresses of reverse proxies whose header is trusted.
        header: Name of the header in which they tell the user; empty where there is none.
        hours: So long a login lasts.
    """

    required: bool = False
    proxies: tuple[str, ...] = ()
    header: str = ""
    hours: float = 12.0

    def __post_init__(self) -> None:
        for network in self.proxies:
            parse_network(network, "login.proxies")
        check_range("login.hours", self.hours, 0.1, 720)
        if bool(self.header) != bool(self.proxies):
            raise UsageError("login.header and login.proxies need each other. Received only one of them. Give both or none.")
        if self.header and not re.fullmatch(r"[A-Za-z0-9-]{1,64}", self.header):
            raise UsageError(f"login.header needs a name of letters, digits and hyphens. Received: {one_line(self.header, 60)}")


@dataclass(frozen=True, slots=True)
class KeepSettings:
    """Holds ``[keep]``.

    Attributes:
        scans_days: Received images are removed after so long.
        results_days: Results, and what the node knows of patients, are removed after so long.
        free_gb: Below so much free space the receiver refuses images.
    """

    scans_days: float = 3.0
    results_days: float = 90.0
    free_gb: float = 5.0

    def __post_init__(self) -> None:
        check_range("keep.scans_days", self.scans_days, 0.0, 36500)
        check_range("keep.results_days", self.results_days, 0.0, 36500)
        check_range("keep.free_gb", self.free_gb, 0.0, 1e6)


@dataclass(frozen=True, slots=True)
class Source:
    """Holds a ``[[source]]``: who may send.

    Attributes:
        ae_title: What the peer calls itself.
        addresses: From where, IP addresses or networks.
        site: What people call the place.
    """

    ae_title: str
    addresses: tuple[str, ...]
    site: str = ""

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title, "source.ae_title")
        if not self.addresses:
            raise UsageError(f"source.addresses needs at least one. Received none for {self.ae_title}. Name the peer's address.")
        for network in self.addresses:
            parse_network(network, "source.addresses")


@dataclass(frozen=True, slots=True)
class Destination:
    """Holds a ``[[destination]]``: an archive that results are sent to.

    Attributes:
        name: What people call it.
        ae_title: What it calls itself.
        address: Where it listens.
        objects: What it gets.
        send: Results of which outcome.
        tls: Whether the connection is encrypted, with the certificate of ``[tls]``.
        commitment: Whether it is asked to confirm what it stored.
    """

    name: str
    ae_title: str
    address: Address
    objects: tuple[Kind, ...] = tuple(Kind)
    send: tuple[Outcome, ...] = tuple(Outcome)
    tls: bool = False
    commitment: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"destination.name needs up to 32 letters, digits and _ . -. Received: {one_line(self.name, 60)}. Correct it."
            )
        check_ae_title(self.ae_title, "destination.ae_title")
        for key in ("objects", "send"):
            if not getattr(self, key):
                raise UsageError(f"destination.{key} needs at least one. Received none for {self.name}. Leave the key out for all.")


@dataclass(frozen=True, slots=True)
class Rule:
    """Holds a ``[[rule]]``: what is done with the series that it fits.

    Attributes:
        condition: The key ``if``; the language of :mod:`cspine.node.rules`.
        action: The key ``do``.
        minutes: Added to the time that the series counts as having waited.
    """

    condition: str
    action: Action
    minutes: float = 0.0
    parsed: Condition = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_range("rule.minutes", self.minutes, -100000, 100000)
        object.__setattr__(self, "parsed", parse_condition(self.condition))


@dataclass(frozen=True, slots=True)
class Folder:
    """Holds a ``[[folder]]``: files that appear in it come in as if they were sent.

    Attributes:
        path: The folder.
        site: What people call the place.
        quiet_s: A file is complete when it has not changed for so long.
        remove: Whether files are removed once they came in.
    """

    path: Path
    site: str = ""
    quiet_s: float = 10.0
    remove: bool = False

    def __post_init__(self) -> None:
        check_range("folder.quiet_s", self.quiet_s, 0.1, 86400)


@dataclass(frozen=True, slots=True)
class Config:
    """Holds the whole configuration; every part has defaults, so that an empty file is one too."""

    node: NodeSettings = field(default_factory=NodeSettings)
    receiver: ReceiverSettings = field(default_factory=ReceiverSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    tls: TlsSettings | None = None
    login: LoginSettings = field(default_factory=LoginSettings)
    keep: KeepSettings = field(default_factory=KeepSettings)
    sources: tuple[Source, ...] = ()
    destinations: tuple[Destination, ...] = ()
    rules: tuple[Rule, ...] = ()
    folders: tuple[Folder, ...] = ()

    def __post_init__(self) -> None:
        names = [destination.name for destination in self.destinations]
        if len(set(names)) < len(names):
            raise UsageError(f"Every destination.name needs to be its own. Received: {', '.join(names)}. Rename one.")
        if self.tls is None and any(destination.tls for destination in self.destinations):
            raise UsageError("destination.tls needs the table [tls] with a certificate. Received none. Add it.")
        self._refuse_an_open_door()

    def _refuse_an_open_door(self) -> None:
        """Refuses addresses that others reach without encryption and, for pages, login."""
        for key, address in (("node.dicom", self.node.dicom), ("node.web", self.node.web)):
            if not address.is_loopback and self.tls is None:
                raise UsageError(f"{key} = {address} can be reached by others and needs [tls]. Add it, or use 127.0.0.1.")
        if not self.node.web.is_loopback and not self.login.required:
            raise UsageError(
                f"node.web = {self.node.web} can be reached by others and needs login.required = true. Add it, or use 127.0.0.1."
            )
        if not self.node.dicom.is_loopback and not self.sources:
            raise UsageError(
                f"node.dicom = {self.node.dicom} can be reached by others and needs [[source]] tables. Name who may send."
            )

    @property
    def allowed_networks(self) -> tuple[str, ...]:
        """Returns from where anybody may connect over DICOM: sources, and destinations that report what they stored."""
        if not self.sources:
            return _LOOPBACK
        return tuple(dict.fromkeys(network for source in self.sources for network in source.addresses))


def check_ae_title(text: str, key: str) -> None:
    """Checks an AE title.

    Raises:
        UsageError: It is none.
    """
    if not (1 <= len(text) <= 16 and text.isascii() and text.isprintable() and text.strip() == text and "\\" not in text):
        raise UsageError(f"{key} needs 1 to 16 ASCII characters without a backslash. Received: {one_line(text, 60)}. Correct it.")


def check_range(key: str, value: float, low: float, high: float) -> None:
    """Checks a number.

    Raises:
        UsageError: It lies outside.
    """
    if not low <= value <= high:
        raise UsageError(f"{key} needs a number from {low:g} to {high:g}. Received: {value:g}. Correct it.")
