"""The one reader of JSON."""

import json
import math
import os
from pathlib import Path

import pytest

from cspine.storage import strict_json
from cspine.storage.strict_json import DEEPEST, JsonError, parse_json, read_json


def test_what_json_can_say_is_read() -> None:
    data: dict[str, object] = {
        "text": "Wirbelsäule 🦴",
        "numbers": [0, -1, 2.5, 1e300, 2**63 - 1],
        "none": None,
        "yes": True,
        "empty": {},
    }

    assert parse_json(json.dumps(data)) == data
    assert parse_json(json.dumps(data, ensure_ascii=False).encode()) == data
    assert parse_json(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ('{"a": 1', "not JSON"),
        ('{"a": 1} {"a": 1}', "not JSON"),
        ("\x00", "not JSON"),
        ("NaN", "NaN, which is not a number"),
        ('{"a": [-Infinity]}', "-Infinity, which is not a number"),
        ("[1e999]", "a number that is too large"),
        ("[" + "9" * 5000 + "]", "5000 digits, and at most 19 are allowed"),
        ("[-" + "9" * 20 + "]", "20 digits"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' twice"),
        ('"a\\u0000b"', "NUL"),
        ('{"a\\u0000b": 1}', "NUL"),
        ('"\\ud800"', "a lone surrogate"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), f"more than {DEEPEST} objects"),
        ("[" * 500_000, f"more than {DEEPEST} objects"),
        ('{"a":' * 100_000, f"more than {DEEPEST} objects"),
    ],
)
def test_what_trips_whoever_uses_it_is_refused(text: str, message: str) -> None:
    with pytest.raises(JsonError, match=message):
        parse_json(text)


def test_as_deep_as_is_allowed_is_read() -> None:
    assert parse_json("[" * DEEPEST + "]" * DEEPEST)


def test_a_log_may_hold_what_is_no_number() -> None:
    found = parse_json('{"a": NaN, "b": -Infinity}', with_nan=True)

    assert math.isnan(found["a"])
    assert found["b"] == -math.inf


def test_a_file_name_that_is_no_utf8_comes_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"sch\xe4del")
    path = tmp_path / "run.json"
    path.write_text(json.dumps([name], ensure_ascii=False), encoding="utf-8", errors="surrogateescape")

    assert read_json(path) == [name]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "LARGEST_BYTES", 10)
    (tmp_path / "a.json").write_text("[1, 2, 3, 4]")

    with pytest.raises(JsonError, match="12 bytes, and at most 10 are allowed"):
        read_json(tmp_path / "a.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_no_file_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")

    with pytest.raises(JsonError, match="it is not a file"):
        read_json(tmp_path / "a.json")
