import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cspine.errors import OutputError
from cspine.jobs.folders import put_file
from cspine.jobs.job import Job, JobStatus, Shard
from cspine.jobs.journal import Journal

_FACTS = {"model": {"name": "coded"}, "operating_point": "balanced"}
_NECKS = [Job(f"neck{number}", f"/scans/neck{number}") for number in range(4)]


def _run(out: Path, name: str = "run.json") -> dict[str, Any]:
    data: dict[str, Any] = json.loads((out / name).read_text(encoding="utf-8"))
    return data


def _write(out: Path, jobs: Sequence[Job], shard: Shard | None = None, facts: dict[str, Any] = _FACTS) -> None:
    with Journal(out, facts, jobs, shard) as journal:
        for job in jobs:
            journal.note(replace(job, status=JobStatus.OK, seconds=1.0))


def test_a_journal_lists_every_job_from_the_start(tmp_path: Path) -> None:
    Journal(tmp_path, _FACTS, _NECKS)

    assert [job["status"] for job in _run(tmp_path)["cases"]] == ["waiting"] * 4
    assert _run(tmp_path)["model"] == {"name": "coded"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failures.csv", "run.json"]


def test_failures_are_a_table_of_what_has_no_result_and_why(tmp_path: Path) -> None:
    good, odd, bad, waiting = _NECKS
    with Journal(tmp_path, _FACTS, _NECKS) as journal:
        journal.note(replace(good, status=JobStatus.OK))
        journal.note(replace(odd, status=JobStatus.REJECTED, code="too_thick", reason="Too thick."))
        journal.note(replace(bad, status=JobStatus.FAILED, code="not_ct", reason='A "CT", please, is needed.'))

    with (tmp_path / "failures.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["case", "source", "status", "code", "reason"],
            ["neck1", "/scans/neck1", "rejected", "too_thick", "Too thick."],
            ["neck2", "/scans/neck2", "failed", "not_ct", 'A "CT", please, is needed.'],
        ]
    assert journal.jobs[3] == waiting


def test_a_name_that_is_no_text_is_kept(tmp_path: Path) -> None:
    name = b"neck\xff".decode(errors="surrogateescape")

    _write(tmp_path, [Job("neck", f"/scans/{name}")])

    assert b"neck\xff" in (tmp_path / "run.json").read_bytes()


def test_the_journal_of_a_large_batch_costs_little_of_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    saves = []

    def save(*_: object) -> None:
        saves.append(now[0])
        now[0] += 0.5

    monkeypatch.setattr("cspine.jobs.journal.time.monotonic", lambda: now[0])
    monkeypatch.setattr("cspine.jobs.journal._save", save)
    journal = Journal(tmp_path, _FACTS, _NECKS)

    for _ in range(1000):
        now[0] += 0.1
        journal.note(_NECKS[0])

    assert 0.5 * len(saves) / now[0] < 0.03


def test_shares_have_files_of_their_own_and_the_last_to_end_puts_them_together(tmp_path: Path) -> None:
    _write(tmp_path, _NECKS[:1], Shard(1, 3))
    _write(tmp_path, _NECKS[3:], Shard(3, 3))
    assert [job["name"] for job in _run(tmp_path)["cases"]] == ["neck0", "neck3"]

    _write(tmp_path, _NECKS[1:3], Shard(2, 3))

    assert [job["name"] for job in _run(tmp_path)["cases"]] == ["neck0", "neck1", "neck2", "neck3"]
    assert _run(tmp_path)["shards"] == 3
    assert _run(tmp_path, "run-2-of-3.json")["shard"] == "2/3"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"failures-{i}-of-3.csv" for i in (1, 2, 3)),
        "failures.csv",
        *(f"run-{i}-of-3.json" for i in (1, 2, 3)),
        "run.json",
    ]


def test_a_share_that_ends_while_another_puts_all_together_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal(tmp_path, _FACTS, _NECKS[1:], Shard(2, 2))
    met: list[str] = []

    def meanwhile(out: Path, name: str, text: str) -> None:
        put_file(out, name, text)
        if name == "run.json" and not met:
            met.append(name)
            Journal(tmp_path, _FACTS, [replace(job, status=JobStatus.OK) for job in _NECKS[1:]], Shard(2, 2)).save()

    monkeypatch.setattr("cspine.jobs.journal.put_file", meanwhile)

    _write(tmp_path, _NECKS[:1], Shard(1, 2))

    assert met == ["run.json"]
    assert {job["status"] for job in _run(tmp_path)["cases"]} == {"ok"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"neck"', '"../neck"'),
        ('"neck"', "[]"),
        ('"status": "', '"status": "dreaming'),
        ('"code": null', '"code": NaN'),
        ('"cases": [', '"cases": [3, '),
        ('"files": []', '"files": ["../../secret"]'),
        ("{", "[" * 5000),
    ],
)
def test_a_damaged_share_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, old: str, new: str) -> None:
    _write(tmp_path, _NECKS[:1], Shard(1, 2))
    share = tmp_path / "run-1-of-2.json"
    text = share.read_text().replace(f'"{_NECKS[0].name}"', '"neck"')
    assert old in text
    share.write_text(text.replace(old, new, 1))

    _write(tmp_path, _NECKS[1:], Shard(2, 2))

    assert [job["name"] for job in _run(tmp_path)["cases"]] == sorted(job.name for job in _NECKS[1:])
    assert "run-1-of-2.json is damaged; run.json leaves it out" in caplog.text


def test_shares_of_another_run_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _write(tmp_path, _NECKS[:1], Shard(1, 2), {**_FACTS, "operating_point": "rule_out"})

    _write(tmp_path, _NECKS[1:], Shard(2, 2))

    assert [job["name"] for job in _run(tmp_path)["cases"]] == ["neck1", "neck2", "neck3"]
    assert "run-1-of-2.json is of another run; run.json leaves it out" in caplog.text


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match=r"cannot be written: File exists\. Choose another folder with -o"):
        Journal(tmp_path / "file", _FACTS, _NECKS)
