"""Keys of the page of a study in a real browser: those of the viewer in its frame, and those of the page around it."""

import threading
from pathlib import Path

import pytest
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from benchmarks.browser import Browser
from cspine.node.web import pages
from tests.node.web.sites import Made, awaited

_SLICE = "Number(document.getElementById('slider').value)"
_FIRST = "JSON.parse(document.getElementById('stack').textContent).start + 1"
_VIEWER = "document.documentElement.dataset.viewer"
_AGREED = "document.querySelectorAll('#verdict input[value=agree]:checked').length"


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Returns what the page in the frame waits for before it is sent."""
    opened = threading.Event()

    class Held(FileResponse):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await run_in_threadpool(opened.wait, 120)
            await super().__call__(scope, receive, send)

    monkeypatch.setattr(pages, "FileResponse", Held)
    return opened


def test_keys_that_are_pressed_before_the_slices_have_come_are_not_lost(
    fresh: Browser, node: Made, result_page: Path, gate: threading.Event
) -> None:
    key = node.assess("1", page=result_page)
    with node.serving() as base:
        fresh.call("Page.navigate", url=f"{base}/studies/{key}")
        awaited(lambda: fresh.evaluate("document.getElementById('agree').hidden === false"))
        for name in ("ArrowDown", "ArrowDown", "g", "h"):
            fresh.press(name)
        agreed = fresh.evaluate(_AGREED)
        gate.set()
        awaited(lambda: fresh.evaluate_in_frame("/page", _VIEWER))
        first = fresh.evaluate_in_frame("/page", _FIRST)
        awaited(lambda: fresh.evaluate_in_frame("/page", _SLICE) == first + 2)
        hot = fresh.evaluate_in_frame("/page", "document.querySelector('input[data-layer=heat]')?.checked ?? false")
        fresh.press("ArrowUp")
        awaited(lambda: fresh.evaluate_in_frame("/page", _SLICE) == first + 1)

    assert agreed == 6
    assert hot is False


def test_a_comment_is_not_cut_by_slices_that_come_meanwhile(
    fresh: Browser, node: Made, result_page: Path, gate: threading.Event
) -> None:
    key, ruled = node.assess("1", page=result_page), "document.querySelector('input[data-layer=cross]').checked"
    with node.serving() as base:
        fresh.call("Page.navigate", url=f"{base}/studies/{key}")
        awaited(lambda: fresh.evaluate("document.getElementById('agree').hidden === false"))
        fresh.evaluate("document.getElementById('comment').focus()")
        fresh.press("x")
        gate.set()
        awaited(lambda: fresh.evaluate_in_frame("/page", _VIEWER))
        fresh.press("x")
        awaited(lambda: fresh.evaluate("document.getElementById('comment').value") == "xx")
        crossed = fresh.evaluate_in_frame("/page", ruled)

    assert crossed is True


def _clicked_into(browser: Browser) -> bool:
    """Clicks into the frame; a click before it is painted goes to the page around it, so that a person clicks again."""
    browser.click("#result")
    return bool(browser.evaluate_in_frame("/page", "document.hasFocus()"))


def test_keys_work_inside_the_frame_and_around_it(fresh: Browser, node: Made, result_page: Path) -> None:
    key = node.assess("1", page=result_page)
    with node.serving() as base:
        fresh.open(f"{base}/studies/{key}", 1280, 900)
        awaited(lambda: fresh.evaluate_in_frame("/page", _VIEWER))
        awaited(lambda: _clicked_into(fresh))
        inside = fresh.evaluate_in_frame("/page", _SLICE)
        fresh.press("ArrowDown")
        awaited(lambda: fresh.evaluate_in_frame("/page", _SLICE) == inside + 1)
        fresh.press("g")
        awaited(lambda: fresh.evaluate(_AGREED) == 6)
        fresh.click(".side h1")
        awaited(lambda: not fresh.evaluate_in_frame("/page", "document.hasFocus()"))
        fresh.press("?")
        awaited(lambda: fresh.evaluate_in_frame("/page", "document.getElementById('help').open"))
        fresh.press("Escape")
        awaited(lambda: not fresh.evaluate_in_frame("/page", "document.getElementById('help').open"))
        fresh.evaluate("document.querySelector('input[name=C2][value=agree]').focus()")
        fresh.press("ArrowDown")  # chooses the other answer, as in any form
        chosen = fresh.evaluate("document.querySelector('input[name=C2]:checked').value")
        stayed = fresh.evaluate_in_frame("/page", _SLICE)

    assert chosen == "disagree"
    assert stayed == inside + 1
