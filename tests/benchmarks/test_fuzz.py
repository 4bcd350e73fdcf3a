"""Damaged inputs for every reader, as many as a test may take; `python -m benchmarks.fuzz` takes more."""

import json
import random
import sys
from pathlib import Path

import pytest

from benchmarks.fuzz.__main__ import main, plan, table
from benchmarks.fuzz.guard import GOOD, Order, outcomes
from benchmarks.fuzz.mutations import damaged_bytes, damaged_csv, damaged_json
from benchmarks.fuzz.subjects import SUBJECTS

INPUTS, SEED = 260, 2026

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is watched as Linux tells it")


@pytest.mark.slow
def test_no_reader_breaks_hangs_or_fills_the_memory_over_damaged_files() -> None:
    found = list(outcomes(plan(INPUTS, SEED, list(SUBJECTS)), within_s=20.0))

    assert {outcome.kind for outcome in found} == set(SUBJECTS)
    assert [outcome for outcome in found if outcome.what not in GOOD] == [], table(found)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("hangs", "hung"),
        ("dies", "died"),
        ("breaks", "traceback"),
        ("rambles", "lines"),
        ("refuses", "refused"),
        ("fills", "traceback"),
    ],
)
def test_what_no_reader_may_do_is_found_out_and_the_next_input_is_read_all_the_same(kind: str, what: str) -> None:
    orders = [Order(0, kind, 0), Order(0, "refuses", 1)]

    found = list(outcomes(orders, within_s=2.0, subjects="tests.benchmarks.odd_subjects"))

    assert [outcome.what for outcome in found] == [what, "refused"]
    assert (f": {what}: " in table(found)) == (what != "refused")


@pytest.mark.parametrize("damage", [damaged_bytes, damaged_json, damaged_csv])
def test_the_same_seed_gives_the_same_damage(damage: object) -> None:
    data = json.dumps({"a": [1, 2.5, "text"], "b": {"c": None}}).encode()
    assert callable(damage)

    first, again = ([damage(data, random.Random(f"{seed}")) for seed in range(50)] for _ in range(2))

    assert first == again
    assert len(set(first)) > 25


def test_a_call_goes_on_where_the_last_one_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fuzz.jsonl"
    arguments = ["fuzz", "--inputs", "6", "--kinds", "scores", "--seed", "5", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 0
    lines = out.read_text().splitlines()
    out.write_text("\n".join([*lines[:3], lines[3][:10]]))

    assert main() == 0

    assert sorted(line for line in out.read_text().splitlines() if line.endswith("}"))[0].startswith('{"seed": 5')
    assert "| all | 6 |" in capsys.readouterr().out.splitlines()[-1]
