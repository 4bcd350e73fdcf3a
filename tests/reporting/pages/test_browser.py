"""Pages in a real browser: what moves, what is said, and that nothing is asked of any network."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.browser import Browser
from cspine.evidence import Prediction
from cspine.geometry import Grid
from cspine.reporting.pages.overview import OverviewCell, OverviewPage, OverviewRow, to_html
from cspine.reporting.pages.stack import stack_grid
from cspine.reporting.pages.study import study_page
from cspine.reporting.pages.study import to_html as study_to_html
from cspine.reporting.pages.tone import Tone
from cspine.results import Assessment, Reason
from cspine.study import Study

_WHERE = 'document.getElementById("where-am-i").textContent'
_VALUE = 'Number(document.getElementById("slider").value)'
_PICTURE = """[...document.getElementById("axial").getContext("2d").getImageData(0, 0, axial.width, axial.height).data]
  .reduce((sum, value, place) => (sum * 31 + value * (place % 97)) % 1000003, 7)"""


_AXES = {"axial": (2, 1, 0), "sagittal": (1, 0, 2), "coronal": (2, 0, 1)}
"""Which axis of ``(z, y, x)`` runs across a pane, down it, and through it."""


def _fitted(browser: Browser, grid: Grid, plane: str) -> tuple[float, float, float]:
    """Returns where a plane begins on its canvas, and its pixels per millimetre, before anybody zooms."""
    width, height = browser.evaluate(f"[{plane}.width, {plane}.height]")
    across, down, _ = _AXES[plane]
    wide, high = grid.extent_mm[across], grid.extent_mm[down]
    scale = min(width / wide, height / high)
    return (width - wide * scale) / 2, (height - high * scale) / 2, scale


@pytest.fixture
def page(browser: Browser, page_file: Path) -> Browser:
    browser.open(page_file, 1100, 800)
    return browser


@pytest.fixture
def slices(prediction: Prediction, broken_neck: Study) -> int:
    grid = stack_grid(broken_neck, prediction.result)
    assert grid is not None
    return grid.shape[0]


def _picture(browser: Browser) -> Any:
    return browser.evaluate(_PICTURE)


def test_the_page_begins_at_the_key_slice_of_the_most_suspicious_level_and_asks_nothing_of_a_network(page: Browser) -> None:
    assert page.evaluate(_WHERE).startswith("C4 · image ")
    assert page.evaluate(_WHERE).endswith(" · key image")
    assert page.console == []
    assert {address.split(":")[0] for address in page.requests} == {"file", "data"}
    assert sum(address.startswith("file:") for address in page.requests) == 1


def test_keys_move_through_the_slices_and_stop_at_either_end(page: Browser, slices: int) -> None:
    page.click("#axial")
    before = page.evaluate(_VALUE)
    seen = []
    for key in ("ArrowDown", "ArrowRight", "ArrowUp", "PageDown", "PageUp", "Home", "ArrowUp", "End", "ArrowDown"):
        page.press(key)
        seen.append(page.evaluate(_VALUE))

    down = min(before + 11, slices)
    assert seen == [before + 1, before + 2, before + 1, down, down - 10, 1, 1, slices, slices]
    assert page.evaluate("document.activeElement.id") == "screen"


def test_the_wheel_a_finger_and_the_side_view_move_through_the_slices(page: Browser, slices: int) -> None:
    before = page.evaluate(_VALUE)
    page.wheel("#axial", 80)
    rolled = page.evaluate(_VALUE)
    page.swipe("#axial", -40)
    swiped = page.evaluate(_VALUE)
    page.click("#sagittal")

    assert rolled == before + 2
    assert swiped == rolled - 10
    assert page.evaluate(_VALUE) == pytest.approx(slices / 2, abs=1)


def test_the_strip_jumps_to_a_level_and_says_so(page: Browser) -> None:
    page.click('.strip button[data-level="C6"]')

    assert page.evaluate(_WHERE).startswith("C6 · image ")
    assert page.evaluate("document.querySelector('.strip [aria-current=\"true\"]').dataset.level") == "C6"
    assert page.evaluate('document.getElementById("where-am-i").getAttribute("aria-live")') == "polite"
    assert page.evaluate("document.getElementById('slider').getAttribute('aria-valuetext')").startswith("C6, image ")


def test_windows_and_overlays_change_the_picture_and_come_back(page: Browser) -> None:
    page.click("#axial")
    first = _picture(page)
    pictures = []
    for key in ("2", "3", "1", "h", "h", "v", "v", "b", "b"):
        page.press(key)
        pictures.append(_picture(page))

    soft, wide, bone, cold, warm, labelled, bare, unboxed, boxed = pictures
    assert len({first, soft, wide, cold, labelled, unboxed}) == 6
    assert {bone, warm, bare, boxed} == {first}


def test_overlays_are_taken_off_the_still_pictures_too(page: Browser) -> None:
    shown = "getComputedStyle(document.querySelector('.panel .layer-heat')).display !== 'none'"

    before = page.evaluate(shown)
    page.evaluate("document.querySelector('input[data-layer=heat]').click()")

    assert (before, page.evaluate(shown)) == (True, False)


@pytest.mark.parametrize("plane", ["axial", "sagittal", "coronal"])
def test_the_browser_unpacks_what_was_packed(page: Browser, prediction: Prediction, broken_neck: Study, plane: str) -> None:
    """The grey at the middle of a level, at the bone window, is that of its bone in the scan, in each plane."""
    for key in ("h", "b", "x"):
        page.press(key)
    centre = prediction.result.levels[3].centre_mm
    grid = stack_grid(broken_neck, prediction.result)
    assert grid is not None
    assert centre is not None
    z, y, x = (float(index) for index in grid.index(centre))
    middle = (grid.shape[0] - 1 - z, y, x)

    left, top, scale = _fitted(page, grid, plane)
    across, down, _ = _AXES[plane]
    place = [(middle[axis] + 0.5) * grid.spacing_mm[axis] * scale for axis in (across, down)]
    grey = page.evaluate(f"[...{plane}.getContext('2d').getImageData({left + place[0]}, {top + place[1]}, 1, 1).data]")

    assert grey[:3] == pytest.approx([255 * (900 + 500) / 1800] * 3, abs=4)


def test_colours_follow_the_system_until_they_are_chosen(browser: Browser, page_file: Path) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    browser.open(page_file, dark=True)
    dark = browser.evaluate(ground)
    browser.click("#theme")
    chosen = browser.evaluate(ground)
    browser.open(page_file)

    assert dark == "rgb(15, 19, 22)"
    assert chosen == browser.evaluate(ground) == "rgb(246, 247, 248)"


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_window_is_too_narrow_for_the_page(browser: Browser, page_file: Path, width: int) -> None:
    browser.open(page_file, width, 800)

    assert browser.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_ranges_stay_in_their_columns(
    browser: Browser, prediction: Prediction, broken_neck: Study, tmp_path: Path, width: int
) -> None:
    seen = Assessment(0.62, 0.5, 0.004, 0.996)
    levels = tuple(replace(finding, assessment=seen) if finding.assessment else finding for finding in prediction.result.levels)
    given = replace(prediction, result=replace(prediction.result, overall=seen, levels=levels))
    (tmp_path / "result.html").write_text(study_to_html(study_page(given, broken_neck)), encoding="utf-8")
    wider = "[...document.querySelectorAll('.strip td')].filter((cell) => cell.scrollWidth > cell.clientWidth + 1).length"

    browser.open(tmp_path / "result.html", width, 800)

    assert browser.evaluate(wider) == 0
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_a_picture_of_the_page_shows_the_slice(page: Browser, tmp_path: Path) -> None:
    page.evaluate("document.getElementById('axial').scrollIntoView({block: 'center', behavior: 'instant'})")
    page.painted()
    page.screenshot(tmp_path / "page.png", whole=False)

    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("L"))
    assert pixels.shape == (800, 1100)
    assert np.mean(pixels < 60) > 0.1


@pytest.mark.parametrize("flagged", range(7))
def test_the_page_prints_on_one_sheet_and_from_three_flagged_levels_on_on_two_that_are_filled(
    browser: Browser, prediction: Prediction, broken_neck: Study, tmp_path: Path, flagged: int
) -> None:
    """The page has all ranges and several notes, and no viewer."""
    levels = tuple(
        replace(finding, assessment=Assessment(0.62 if place < flagged else 0.1, 0.5, 0.004, 0.996))
        if finding.assessment
        else finding
        for place, finding in enumerate(prediction.result.levels[1:])
    )
    reasons = tuple(Reason(f"note{number}", "A sentence of usual length that says what else to mind here.") for number in range(3))
    result = replace(prediction.result, levels=(prediction.result.levels[0], *levels), reasons=prediction.result.reasons + reasons)
    page = study_to_html(study_page(replace(prediction, result=result), broken_neck))
    (tmp_path / "result.html").write_text(page, encoding="utf-8")
    browser.open(tmp_path / "result.html", 1100, 800)

    browser.print_to(tmp_path / "page.pdf")

    data = (tmp_path / "page.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page\n") == (1 if flagged < 3 else 2)
    if flagged >= 3:
        browser.resize(703, 1000)  # A4 without its margins, in pixels of CSS
        browser.call("Emulation.setEmulatedMedia", media="print")
        places = "['.columns', 'section:has(.panels)'].map((part) => document.querySelector(part).getBoundingClientRect())"
        first, second = browser.evaluate(f"{places}.map((place) => [place.top, place.height])")
        browser.call("Emulation.setEmulatedMedia", media="")
        assert first[0] < second[0]
        assert second[1] > 400


def _overview(names: list[str]) -> str:
    levels = tuple(
        OverviewCell(Tone.SUSPICIOUS if level == 6 else Tone.CALM, 0.6, "62 %", "< 1 to > 99 %", True) for level in range(7)
    )
    rows = tuple(
        OverviewRow(name, "", "suspected", OverviewCell(Tone.SUSPICIOUS, 0.9, "90 %", "4 to > 99 %"), levels, 3) for name in names
    )
    given = OverviewPage("batch", "coded", "balanced", "No.", "", ("C1", "C2", "C3", "C4", "C5", "C6", "C7"), True, {}, rows, ())
    return to_html(given)


@pytest.mark.parametrize("width", [320, 390, 600])
def test_a_phone_shows_all_levels_of_each_study_of_the_overview(browser: Browser, tmp_path: Path, width: int) -> None:
    (tmp_path / "index.html").write_text(
        _overview(["neck 1", "a-name-as-long-as-an-identifier-of-a-study-may-be." * 3]), encoding="utf-8"
    )
    browser.open(tmp_path / "index.html", width, 800)
    cells = "[...document.querySelectorAll('.studies tbody td')]"

    assert browser.evaluate(f"{cells}.filter((cell) => cell.getBoundingClientRect().right > {width}).length") == 0
    assert browser.evaluate(f"{cells}.filter((cell) => cell.scrollWidth > cell.clientWidth + 1).length") == 0
    assert browser.evaluate("getComputedStyle(document.querySelector('.studies td:nth-child(9)'), '::before').content") == '"C7"'
    assert browser.evaluate("document.querySelector('.studies td:last-child').textContent") == "3 notes"


@pytest.mark.parametrize("width", [390, 1180])
def test_rows_that_are_searched_away_are_not_seen(browser: Browser, tmp_path: Path, width: int) -> None:
    (tmp_path / "index.html").write_text(_overview(["one", "two"]), encoding="utf-8")
    browser.open(tmp_path / "index.html", width, 800)

    browser.evaluate(
        "document.getElementById('find').value = 'two'; document.getElementById('find').dispatchEvent(new Event('input'))"
    )

    seen = "[...document.querySelectorAll('.studies tbody tr')].filter((row) => row.getClientRects().length).length"
    assert browser.evaluate(seen) == 1


def test_the_overview_sorts_and_searches(browser: Browser, tmp_path: Path) -> None:
    def row(name: str, overall: float, c3: float) -> OverviewRow:
        tone = Tone.SUSPICIOUS if overall >= 0.5 else Tone.CALM
        levels = tuple(OverviewCell(Tone.CALM, c3 if level == 2 else 0.01, "1 %") for level in range(7))
        verdict = "suspected" if overall >= 0.5 else "not suspected"
        return OverviewRow(name, "", verdict, OverviewCell(tone, overall, "50 %"), levels, 0)

    rows = (row("neck 10", 0.9, 0.1), row("neck 9", 0.6, 0.3), row("other", 0.2, -1.0))
    given = OverviewPage("batch", "coded", "balanced", "No.", "", ("C1", "C2", "C3", "C4", "C5", "C6", "C7"), False, {}, rows, ())
    (tmp_path / "index.html").write_text(to_html(given), encoding="utf-8")
    names = "[...document.querySelectorAll('tbody tr:not([hidden]) th')].map((cell) => cell.textContent)"
    browser.open(tmp_path / "index.html")

    orders = [browser.evaluate(names)]
    for column in (5, 5, 1, 1):
        browser.click(f"thead th:nth-child({column}) button")
        orders.append(browser.evaluate(names))
    sorted_by = browser.evaluate("document.querySelector('[aria-sort]').textContent.trim()")
    browser.evaluate("only.click()")
    suspected = browser.evaluate(names)
    browser.evaluate(
        "document.getElementById('find').value = 'K 9'; document.getElementById('find').dispatchEvent(new Event('input'))"
    )

    assert orders == [
        ["neck 10", "neck 9", "other"],
        ["neck 9", "neck 10", "other"],
        ["other", "neck 10", "neck 9"],
        ["neck 9", "neck 10", "other"],
        ["other", "neck 10", "neck 9"],
    ]
    assert sorted_by == "Study"
    assert suspected == ["neck 10", "neck 9"]
    assert browser.evaluate(names) == ["neck 9"]
    assert browser.evaluate("told.textContent") == "1 of 3 shown"
    assert browser.console == []
