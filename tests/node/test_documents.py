"""Everything of the node that a user can write or meet is described, and the examples are true."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage, SegmentationStorage
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from cspine.node.config_file import _KEYS, _LISTS, _TABLES, read_config
from cspine.node.receiving.headers import IMAGES
from cspine.node.receiving.receiver import (
    ARCHIVE_ONLY,
    NO_MATCH,
    NOT_UNDERSTOOD,
    OUT_OF_RESOURCES,
    SUCCESS,
    TRANSFER_SYNTAXES,
)
from cspine.node.rules import OWN_NAMES
from cspine.node.store import DeliveryState, State

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "reference" / "node.md").read_text(encoding="utf-8")
_GUIDE = (_ROOT / "docs" / "how-to" / "run-a-node.md").read_text(encoding="utf-8")


_STATEMENT = (_ROOT / "docs" / "reference" / "node-conformance.md").read_text(encoding="utf-8")


def test_the_conformance_statement_has_every_class_syntax_and_answer() -> None:
    listed = re.findall(r"^\| [^|]+ \| (1\.2\.840[\d.]+) \|", _STATEMENT, re.MULTILINE)
    offered = {Verification, *IMAGES, StorageCommitmentPushModel, *TRANSFER_SYNTAXES}
    asked = {Comprehensive3DSRStorage, SegmentationStorage, SecondaryCaptureImageStorage}
    answers = re.findall(r"^\| ([\dA-F]{4}) \|", _STATEMENT, re.MULTILINE)

    assert set(listed) == offered | asked
    assert answers == [f"{answer:04X}" for answer in (SUCCESS, ARCHIVE_ONLY, OUT_OF_RESOURCES, NO_MATCH, NOT_UNDERSTOOD)]


@pytest.mark.parametrize("table", _TABLES)
def test_every_key_is_described(table: str) -> None:
    keys = [f"`{table}.{one.name}`" for one in fields(_TABLES[table]) if one.init]

    assert [key for key in keys if key not in _PAGE] == []


@pytest.mark.parametrize("table", _LISTS)
def test_every_key_of_a_table_that_may_be_repeated_is_described(table: str) -> None:
    (row,) = [line for line in _PAGE.splitlines() if line.startswith(f"| `[[{table}]]`")]
    keys = [f"`{_KEYS.get(one.name, one.name)}`" for one in fields(_LISTS[table][1]) if one.init]

    assert [key for key in keys if key not in row] == []


@pytest.mark.parametrize(("key", "value"), re.findall(r"^\| `(\w+\.\w+)` \| `?([\w.:-]+)`? \|", _PAGE, re.MULTILINE))
def test_every_default_is_the_one_that_is_described(key: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("")
    config = read_config(tmp_path / "node.toml")
    table, name = key.split(".")

    found = getattr(getattr(config, table), name)

    assert str(found.name if isinstance(found, Path) else found).removesuffix(".0").replace("False", "false") == value


def test_every_state_and_every_answer_is_described() -> None:
    assert [state for state in (*State, *DeliveryState) if f"`{state.value}`" not in _PAGE] == []
    assert [name for name in OWN_NAMES if f"`{name}`" not in _PAGE] == []
    answers = (SUCCESS, OUT_OF_RESOURCES, NO_MATCH, NOT_UNDERSTOOD)
    assert [answer for answer in answers if f"| {answer:04X} |" not in _PAGE] == []


def test_the_example_of_a_configuration_is_one(tmp_path: Path) -> None:
    text = (_ROOT / "deploy" / "node.toml").read_text(encoding="utf-8")
    for name in ("node.pem", "node.key", "hospital-ca.pem"):
        (tmp_path / name).write_text("")
    (tmp_path / "node.toml").write_text(text.replace("/etc/cspine", str(tmp_path)))

    config = read_config(tmp_path / "node.toml")

    assert not config.node.dicom.is_loopback
    assert [source.site for source in config.sources] == ["ER", "Trauma"]
    assert len(config.rules) == 3


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", _GUIDE, re.DOTALL))
def test_every_example_of_the_guide_is_a_configuration(example: str, tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(example)

    read_config(tmp_path / "node.toml")


def test_the_unit_runs_the_command() -> None:
    unit = (_ROOT / "deploy" / "cspine.service").read_text(encoding="utf-8")

    assert "ExecStart=/opt/cspine/bin/cspine serve --config /etc/cspine/node.toml\n" in unit
