"""The viewer of a page in a real browser: three linked panes, tools, keys and fingers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import Browser
from cspine.evidence import Prediction
from cspine.geometry import Grid
from cspine.reporting.pages.stack import stack_grid
from cspine.reporting.style import LEVEL_COLOURS
from cspine.study import Study

_SLICES = "['axial', 'sagittal', 'coronal'].map((pane) => Number(document.getElementById(pane).dataset.slice))"
_TOLD = "document.getElementById('grey').textContent"
_DEPTHS = {"axial": 0, "sagittal": 2, "coronal": 1}
"""Which axis of ``(z, y, x)`` a pane is scrolled along."""


@pytest.fixture
def page(browser: Browser, page_file: Path) -> Iterator[Browser]:
    browser.open(page_file, 1180, 900)
    yield browser
    assert browser.console == []


@pytest.fixture(scope="module")
def grid(prediction: Prediction, broken_neck: Study) -> Grid:
    grid = stack_grid(broken_neck, prediction.result)
    assert grid is not None
    return grid


def _drawn(browser: Browser, pane: str = "axial") -> Any:
    return browser.evaluate(f"document.getElementById('{pane}').toDataURL()")


def _per_pixel_mm(browser: Browser, grid: Grid) -> float:
    """Millimetres of a CSS pixel of the axial pane before anybody zooms."""
    width, height = browser.evaluate("[axial.clientWidth, axial.clientHeight]")
    return max(grid.extent_mm[2] / width, grid.extent_mm[1] / height)


def test_a_click_in_any_pane_moves_the_other_two_to_the_same_point(page: Browser, grid: Grid) -> None:
    axial, sagittal, coronal = page.evaluate(_SLICES)
    page.drag("#sagittal", (0.5, 0.5), (0.5, 0.5))
    from_side = page.evaluate(_SLICES)
    page.drag("#axial", (0.5, 0.5), (0.5, 0.5))
    from_below = page.evaluate(_SLICES)

    assert from_side[1] == sagittal
    assert from_side[0] == pytest.approx((grid.shape[0] + 1) / 2, abs=1) != axial
    assert from_side[2] == pytest.approx((grid.shape[1] + 1) / 2, abs=1) != coronal
    assert from_below[0] == from_side[0]
    assert from_below[1:] == pytest.approx([(grid.shape[2] + 1) / 2, (grid.shape[1] + 1) / 2], abs=1)
    assert page.evaluate("Number(slider.value)") == from_below[0]


@pytest.mark.parametrize("pane", ["axial", "sagittal", "coronal"])
def test_wheel_and_keys_scroll_the_pane_under_the_pointer_and_no_other(page: Browser, grid: Grid, pane: str) -> None:
    before = page.evaluate(_SLICES)
    page.wheel(f"#{pane}", 80)
    page.press("ArrowDown")
    after = page.evaluate(_SLICES)
    page.press("End")

    place = list(_DEPTHS).index(pane)
    assert [b - a for a, b in zip(before, after, strict=True)] == [3 if other == place else 0 for other in range(3)]
    assert page.evaluate(_SLICES)[place] == grid.shape[_DEPTHS[pane]]


def test_keys_work_at_once_without_a_click(page: Browser) -> None:
    before = page.evaluate(_SLICES)

    page.press("ArrowDown")
    page.press("a")
    page.press("ArrowDown")

    after = page.evaluate(_SLICES)
    assert (after[0], after[1], after[2]) == (before[0] + 1, before[1] + 1, before[2])


def test_a_key_pressed_at_the_top_of_the_page_brings_the_viewer_into_view(page: Browser) -> None:
    page.evaluate("window.scrollTo(0, 0)")
    page.evaluate("document.querySelector('.strip button[data-level]').focus()")

    page.press("n")

    assert page.evaluate("document.getElementById('axial').getBoundingClientRect().top < innerHeight / 2")


def test_what_is_typed_into_a_field_is_no_key_of_the_viewer(page: Browser) -> None:
    before = page.evaluate(_SLICES), _drawn(page)
    page.evaluate(
        "{ const field = document.createElement('textarea'); field.id = 'field'; document.body.append(field); field.focus(); }"
    )

    for key in ("h", "n", "2", "ArrowDown"):
        page.press(key)

    assert page.evaluate("document.getElementById('field').value") == "hn2"
    assert (page.evaluate(_SLICES), _drawn(page)) == before


@pytest.mark.parametrize("button", ["right", "left"])
def test_the_window_is_dragged_wider_to_the_right_and_brighter_downwards(page: Browser, button: str) -> None:
    if button == "left":
        page.press("w")
    first, told = _drawn(page), page.evaluate(_TOLD)
    page.drag("#axial", (0.3, 0.3), (0.5, 0.3), button)
    wider = page.evaluate(_TOLD)
    page.drag("#axial", (0.3, 0.3), (0.3, 0.5), button)
    brighter = page.evaluate(_TOLD)

    def window(told: str) -> tuple[int, int]:
        width, level = re.findall(r"window (\d+), level (-?\d+)", told)[0]
        return int(width), int(level)

    assert window(told) == (1800, 400)
    assert window(wider)[0] > 1900
    assert window(wider)[1] == pytest.approx(400, abs=1)
    assert window(brighter)[1] < 300
    assert window(brighter)[0] == pytest.approx(window(wider)[0], abs=1)
    assert _drawn(page) != first
    assert page.evaluate("document.querySelector('input[name=window]:checked')") is None
    page.press("1")
    assert _drawn(page) == first


def test_zoom_keeps_the_point_under_the_pointer_and_reset_gives_the_first_picture_back(page: Browser) -> None:
    page.drag("#axial", (0.6, 0.4), (0.6, 0.4))
    first, point = _drawn(page), page.evaluate(_SLICES)
    page.press("z")
    page.drag("#axial", (0.6, 0.4), (0.6, 0.2))
    zoomed = _drawn(page)
    page.drag("#axial", (0.6, 0.4), (0.6, 0.4))
    under = page.evaluate(_SLICES)
    page.drag("#axial", (0.6, 0.4), (0.4, 0.4), "middle")
    panned = _drawn(page)
    page.press("0")

    assert len({first, zoomed, panned}) == 3
    assert under == pytest.approx(point, abs=1)
    assert _drawn(page) == first


def test_two_fingers_zoom_and_one_scrolls(page: Browser) -> None:
    first = page.evaluate(_SLICES), _drawn(page)
    page.pinch("#axial", 80, 200)
    pinched = page.evaluate(_SLICES), _drawn(page)
    page.press("0")
    page.swipe("#coronal", 40)
    swiped = page.evaluate(_SLICES)

    assert pinched[0] == first[0]
    assert pinched[1] != first[1]
    assert swiped == [first[0][0], first[0][1], first[0][2] + 10]


@pytest.mark.parametrize("zoomed", [False, True])
def test_the_ruler_measures_millimetres_of_the_patient(page: Browser, grid: Grid, zoomed: bool) -> None:
    per_pixel = _per_pixel_mm(page, grid)
    if zoomed:
        page.press("+")
        per_pixel /= 1.25
    page.press("m")

    page.drag("#axial", (0.3, 0.3), (0.7, 0.6))

    width, height = page.evaluate("[axial.clientWidth, axial.clientHeight]")
    expected = per_pixel * ((0.4 * width) ** 2 + (0.3 * height) ** 2) ** 0.5
    measured = float(re.findall(r"measured ([\d.]+) mm", page.evaluate(_TOLD))[0])
    assert measured == pytest.approx(expected, abs=0.6)


def test_a_measurement_belongs_to_its_slice_and_can_be_removed(page: Browser) -> None:
    bare = _drawn(page)
    page.press("m")
    page.drag("#axial", (0.3, 0.3), (0.7, 0.6))
    measured = _drawn(page)
    page.press("ArrowDown")
    page.press("ArrowUp")
    returned = _drawn(page)
    page.press("Delete")

    assert measured == returned != bare
    assert _drawn(page) == bare
    assert "measured" not in page.evaluate(_TOLD)


def test_the_outline_of_a_vertebra_has_the_colour_of_its_level_in_every_pane_and_in_the_legend(page: Browser) -> None:
    for key in ("h", "b", "x", "v"):
        page.press(key)
    red, green, blue = LEVEL_COLOURS[list(LEVEL_COLOURS)[3]]
    near = f"Math.abs(p[0] - {red}) + Math.abs(p[1] - {green}) + Math.abs(p[2] - {blue}) < 90"
    count = """((canvas) => {
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      let found = 0;
      for (let at = 0; at < data.length; at += 4) {
        const p = data.subarray(at, at + 3);
        found += (%s) ? 1 : 0;
      }
      return found;
    })(%s)"""

    found = [page.evaluate(count % (near, pane)) for pane in ("axial", "sagittal", "coronal")]

    assert min(found) > 50
    assert page.evaluate("document.querySelector('[data-legend=labels]').textContent").split() == [
        "C2",
        "C3",
        "C4",
        "C5",
        "C6",
        "C7",
    ]
    chips = page.evaluate("[...document.querySelectorAll('.chip')].map((chip) => getComputedStyle(chip).backgroundColor)")
    assert chips[2] == f"rgb({red}, {green}, {blue})"


def test_the_legend_names_what_is_shown_and_nothing_else(page: Browser) -> None:
    shown = "[...document.querySelectorAll('[data-legend]')].filter((item) => !item.hidden).map((item) => item.dataset.legend)"
    before = page.evaluate(shown)
    for key in ("v", "h", "x"):
        page.press(key)

    assert before == ["heat", "box", "cross"]
    assert page.evaluate(shown) == ["labels", "box"]


def test_one_pane_fills_the_desk_and_the_viewer_fills_the_window_until_escape(page: Browser) -> None:
    width = "document.getElementById('sagittal').clientWidth"
    narrow = page.evaluate(width)
    page.press("a")
    page.press("d")
    alone = page.evaluate(width)
    page.press("f")
    filling = page.evaluate("document.getElementById('viewer').getBoundingClientRect().height"), page.evaluate("innerHeight")
    page.press("Escape")
    page.press("Escape")

    assert alone > 2.5 * narrow
    assert filling[0] == filling[1]
    assert page.evaluate(width) == narrow


def test_every_key_of_the_help_is_a_key_of_the_viewer(page: Browser) -> None:
    page.press("?")
    open_now = page.evaluate("document.getElementById('help').open")
    inside = page.evaluate("[...document.querySelectorAll('#help kbd')].map((key) => key.textContent)")
    page.press("?")

    script = page.evaluate("[...document.scripts].map((script) => script.textContent).join('')")
    single = {key for entry in inside for key in re.split(r"[ ,]+", entry) if len(key) == 1 and key.isalpha()}
    assert open_now
    assert not page.evaluate("document.getElementById('help').open")
    assert single == set("NASCWPZMHVBXFD")
    assert all(re.search(rf"\b{key.lower()}: ", script) for key in single)


@pytest.mark.parametrize("width", [320, 390, 768])
def test_all_three_panes_and_all_tools_fit_a_narrow_window(browser: Browser, page_file: Path, width: int) -> None:
    browser.open(page_file, width, 844)
    right = "[...document.querySelectorAll('#viewer :is(canvas, button, label)')].map((one) => one.getBoundingClientRect().right)"

    assert max(browser.evaluate(right)) <= width
    assert min(browser.evaluate("[axial, sagittal, coronal].map((pane) => pane.clientWidth)")) > 120
