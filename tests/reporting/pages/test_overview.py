import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from cspine.errors import OutputError
from cspine.evidence import Prediction
from cspine.reporting import write_result
from cspine.reporting.pages.overview import overview_page, to_html, write_overview
from cspine.results import Assessment, StudyResult
from cspine.study import Study


def _case(name: str, status: str = "ok", reason: str | None = None, files: tuple[str, ...] = ("result.json",)) -> dict[str, Any]:
    return {"name": name, "status": status, "reason": reason, "files": list(files)}


def _with_highest(result: StudyResult, probability: float) -> StudyResult:
    """Returns the result with its most suspicious level, and so the study, at a probability."""
    levels = tuple(
        replace(finding, assessment=Assessment(min(finding.assessment.probability, probability), 0.5))
        if finding.assessment
        else finding
        for finding in result.levels
    )
    return replace(result, overall=Assessment(probability, 0.5), levels=levels)


@pytest.fixture
def batch(broken_result: StudyResult, rejected_result: StudyResult, broken_neck: Study, tmp_path: Path) -> Path:
    """Returns three studies that were assessed, one rejected, one failed, one not reached; and one that was taken away."""
    predicted = {"quiet": 0.2, "loud & <clear>": 0.9, "middling": 0.6}
    for name, probability in predicted.items():
        (tmp_path / name).mkdir()
        result = _with_highest(broken_result, probability)
        write_result(Prediction(result), broken_neck, tmp_path / name, ["json"])
    (tmp_path / "odd").mkdir()
    write_result(Prediction(rejected_result), broken_neck, tmp_path / "odd", ["json"])
    cases = [_case(name) for name in predicted]
    cases[1]["files"] = ["result.json", "result.png", "result.html"]
    cases += [_case("odd", "rejected", "Not Hounsfield units."), _case("Bad", "failed", "Cannot be <read>.", ())]
    cases += [_case("late", "waiting", None, ()), _case("gone")]
    run = {"model": {"name": "coded", "version": "3"}, "operating_point": "rule_out", "cases": cases}
    (tmp_path / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return tmp_path


def _page(batch: Path) -> str:
    return write_overview(batch).read_text(encoding="utf-8")


def test_the_most_suspicious_study_comes_first(batch: Path) -> None:
    page = _page(batch)

    rows = re.findall(r'<tr class="(\w+)"><th scope="row">(?:<a href="([^"]+)">)?([^<]+)', page)
    assert [(tone, unescape(name)) for tone, _, name in rows] == [
        ("suspicious", "loud & <clear>"),
        ("suspicious", "middling"),
        ("calm", "quiet"),
    ]
    assert [link for _, link, _ in rows] == ["loud%20%26%20%3Cclear%3E/result.html", "middling/result.json", "quiet/result.json"]
    assert (batch / "middling/result.json").is_file()


def test_ranges_stand_with_the_numbers_and_say_what_is_unsure(batch: Path, broken_result: StudyResult, broken_neck: Study) -> None:
    assert "<small>" not in _page(batch)
    assert "Small: the lowest" not in _page(batch)
    levels = tuple(
        replace(finding, assessment=Assessment(0.7, 0.5, 0.62, 0.71)) if finding.assessment else finding
        for finding in broken_result.levels
    )
    unsure = replace(broken_result, overall=Assessment(0.6, 0.5, 0.45, 0.66), levels=levels)

    write_result(Prediction(unsure), broken_neck, batch / "middling", ["json"])

    page = _page(batch)
    (row,) = re.findall(r"<tr class.*middling.*</tr>", page)
    assert "<b>60 %</b> suspected <small>45–66 % unsure</small>" in row
    assessed = sum(finding.assessment is not None for finding in levels)
    assert row.count("70 % <small>62–71 %</small>") == assessed
    assert "Small: the lowest" in page


def test_what_was_not_assessed_stands_with_its_reason(batch: Path) -> None:
    table = _page(batch).split('<table class="unassessed">')[1]

    rows = [re.sub(r"<[^>]+>", "|", row) for row in re.findall(r"<tr>(.*?)</tr>", table)]
    told = [[part for part in unescape(row).split("|") if part] for row in rows]
    assert told[1:] == [
        ["Bad", "failed", "Cannot be <read>."],
        ["gone", "ok", "Its result.json is not there."],
        ["late", "waiting", "It was not reached."],
        ["odd", "rejected", "Not Hounsfield units."],
    ]


def test_the_overview_counts_every_study_once_and_says_what_it_is_not(batch: Path) -> None:
    page = overview_page(batch, json.loads((batch / "run.json").read_text(encoding="utf-8")))

    assert page.counts == {
        "suspected": 2,
        "not suspected": 1,
        "rejected": 1,
        "failed": 1,
        "waiting": 1,
        "ok": 1,
    }
    assert sum(page.counts.values()) == len(page.rows) + len(page.unassessed) == 7
    assert [row.verdict for row in page.rows] == ["suspected", "suspected", "not suspected"]
    assert page.point == "rule out"
    top = to_html(page).split("<main>")[0]
    assert "Not for diagnosis." in top
    assert "trained on synthetic phantoms only" in top


def test_a_level_that_was_not_assessed_sorts_below_all_that_were(batch: Path) -> None:
    page = overview_page(batch, json.loads((batch / "run.json").read_text(encoding="utf-8")))

    first = page.rows[0].levels[0]
    assert (first.text, first.value) == ("not in view", -1.0)


def test_the_overview_needs_nothing_beside_it(batch: Path) -> None:
    page = _page(batch)

    assert not re.search(r"https?:|src=", page)
    assert "default-src 'none'" in page


def test_an_overview_that_cannot_be_written_leaves_nothing_and_is_one_line(batch: Path) -> None:
    (batch / "index.html").mkdir()
    before = sorted(batch.iterdir())

    with pytest.raises(
        OutputError, match=r"^index\.html is written beside run\.json\. In .*: Is a directory\. Choose another folder\.$"
    ):
        write_overview(batch)

    assert sorted(batch.iterdir()) == before


def test_an_overview_follows_no_link_that_somebody_put_in_its_place(batch: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    for name in ("index.html", ".index.html.partial"):
        (batch / name).symlink_to(precious)

    write_overview(batch)

    assert precious.read_text() == "kept"
    assert not (batch / "index.html").is_symlink()


def test_a_folder_without_a_journal_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"index\.html is written beside run\.json\. In .*: No such file or directory"):
        write_overview(tmp_path)


def test_a_case_without_a_reason_was_not_reached(batch: Path) -> None:
    run = json.loads((batch / "run.json").read_text(encoding="utf-8"))
    for case in run["cases"]:
        if case["status"] == "waiting":
            del case["reason"]
    (batch / "run.json").write_text(json.dumps(run), encoding="utf-8")

    assert "It was not reached." in _page(batch)
