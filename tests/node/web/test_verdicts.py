"""Verdicts of readers, and the tables made of them."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cspine.datasets.tables import read_labels
from cspine.node.store import Role
from cspine.node.store.verdicts import KeptVerdict, Verdict, read_verdicts
from cspine.node.web.exports import labels_csv, reader_labels, verdicts_csv
from tests.node.web.sites import Made, csrf_of

_ALL = {f"C{number}": "agree" for number in range(1, 7)} | {"C7": "intact"}


def _give(node: Made, key: str, name: str = "ada", **said: str) -> int:
    client = node.reader(name)
    return client.post(f"/studies/{key}/verdict", data={"csrf": csrf_of(client), **said}).status_code


def test_agreement_and_disagreement_become_what_the_reader_holds_of_each_level(guarded: Made) -> None:
    key = guarded.assess("1")

    assert _give(guarded, key, C4="disagree", C2="disagree", C3="agree", C7="fractured", comment=" old fracture ") == 303

    (kept,) = read_verdicts(guarded.store)
    assert kept.verdict.levels == {"C2": True, "C3": False, "C4": False, "C7": True}
    assert (kept.verdict.reader, kept.verdict.comment) == ("ada", "old fracture")
    assert (kept.version, kept.package, kept.package_version) == (1, "blocks", "1.0")


def test_the_page_shows_verdicts_where_they_differ_and_fills_in_one_s_own(guarded: Made) -> None:
    key = guarded.assess("1")
    _give(guarded, key, C4="disagree", comment="no <b>fracture</b>")
    client = guarded.reader("ada")

    page = client.get(f"/studies/{key}").text

    assert '<span class="differs">C4 intact, differs</span>' in page
    assert "no &lt;b&gt;fracture&lt;/b&gt;</p>" in page
    assert re.search(r'name="C4" value="disagree" checked', page)
    assert "✓ ada" in client.get("/").text


@pytest.mark.parametrize("said", [{}, {"C4": "perhaps"}, {"C9": "agree"}, {"C7": "agree"}, {"C4": "agree", "comment": "x" * 5000}])
def test_a_verdict_that_says_nothing_or_too_much_is_refused(guarded: Made, said: dict[str, str]) -> None:
    key = guarded.assess("1")

    assert _give(guarded, key, **said) == 409
    assert read_verdicts(guarded.store) == ()


def test_a_verdict_on_a_version_that_was_superseded_is_refused(guarded: Made) -> None:
    old = guarded.assess("1")
    guarded.assess("1", images=12)

    assert _give(guarded, old, C4="agree") == 409


def test_a_reader_without_the_role_gives_none(guarded: Made) -> None:
    key = guarded.assess("1")
    program = guarded.program("robot", Role.API)

    assert program.post(f"/studies/{key}/verdict", data={"C4": "agree"}).status_code == 403
    assert read_verdicts(guarded.store) == ()


def test_saving_can_lead_to_the_next_study_that_nobody_has_read(guarded: Made) -> None:
    first, second = guarded.assess("1"), guarded.assess("2")
    client = guarded.reader()

    answers = []
    for key in (first, second):
        answers.append(client.post(f"/studies/{key}/verdict", data={"csrf": csrf_of(client), "C4": "agree", "then": "next"}))

    assert [answer.headers["location"] for answer in answers] == [f"/studies/{second}", f"/studies/{second}"]


def test_labels_are_a_table_that_our_own_training_reads(guarded: Made, tmp_path: Path) -> None:
    for name, said in (("1", _ALL), ("2", _ALL | {"C4": "disagree"}), ("3", {"C4": "agree"})):
        _give(guarded, guarded.assess(name), **said)
    answer = guarded.reader("bob").get("/labels.csv")
    (tmp_path / "train.csv").write_text(answer.text, encoding="utf-8")

    table = read_labels(tmp_path / "train.csv")

    assert answer.headers["content-disposition"] == 'attachment; filename="train.csv"'
    assert answer.headers["x-incomplete-studies"] == "1"
    assert table.problems == []
    assert table.fractured == {"1.9.1": (False, False, False, True, False, False, False), "1.9.2": (False,) * 7}


def _kept(reader: str = "ada", version: int = 1, **fractured: bool) -> KeptVerdict:
    levels = dict.fromkeys((f"C{number}" for number in range(1, 8)), False) | fractured
    return KeptVerdict(Verdict("key", reader, levels), "1.9", "1.2", version, "blocks", "1.0", 0.0)


def test_a_study_that_readers_disagree_about_has_no_label() -> None:
    assert reader_labels([_kept(), _kept("bob")]).fractured == {"1.9": (False,) * 7}
    assert reader_labels([_kept(), _kept("bob", C2=True)]).fractured == {}
    assert reader_labels([_kept(), _kept("bob", C2=True)]).disputed == 1


def test_the_newest_version_that_was_read_counts() -> None:
    labels = reader_labels([_kept(C2=True), _kept(version=2)])

    assert labels.fractured == {"1.9": (False,) * 7}


def test_two_readers_complete_each_other() -> None:
    first, second = _kept(), _kept("bob")
    first = replace(first, verdict=Verdict("key", "ada", {f"C{number}": False for number in range(1, 5)}))
    second = replace(second, verdict=Verdict("key", "bob", {f"C{number}": True for number in range(5, 8)}))

    assert reader_labels([first]).incomplete == 1
    assert reader_labels([first, second]).fractured == {"1.9": (False,) * 4 + (True,) * 3}
    assert labels_csv(reader_labels([first, second])).splitlines()[1] == "1.9,1,0,0,0,0,1,1,1"


@pytest.mark.parametrize("comment", ["=1+1", "@SUM(A1)", "+1", "-1", "two\nlines", 'quote "this"'])
def test_all_verdicts_are_a_table_in_which_no_comment_is_a_formula(comment: str) -> None:
    kept = replace(_kept(C2=True), verdict=Verdict("key", "ada", {"C2": True}, comment))

    (row,) = csv.DictReader(io.StringIO(verdicts_csv([kept])))

    assert row["level"] == "C2"
    assert row["fractured"] == "1"
    assert row["comment"].removeprefix("'") == comment
    assert not row["comment"].startswith(("=", "@", "+", "-"))
