"""A node in a real browser: a reader at work, and strangers at the door."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.browser import Browser
from cspine.node.config_file import read_config
from cspine.node.store import Role, Store, open_store
from cspine.node.store.users import put_user
from cspine.node.store.verdicts import read_verdicts
from cspine.node.store.worklist import worklist
from cspine.node.web import app
from tests.node.nodes import CANARY, free_port, send, serving, until, write_config, write_series
from tests.node.times import Clock
from tests.node.web.sites import FAILED, NEGATIVE, PASSWORD, POSITIVE, Made, answers, awaited, csrf_of
from tests.node.web.test_worklist_page import HOSTILE

_NAMES = "[...document.querySelectorAll('#rows tr[data-key] .patient a')].map((link) => link.textContent)"
_CHOSEN = "document.querySelector('tr.chosen .patient a')?.textContent"
_LIVE = "document.getElementById('live').dataset.state === 'on'"
_HACKED = "window.hacked ?? 0"


def _log_in(browser: Browser, base: str, name: str) -> None:
    browser.open(f"{base}/login", 1280, 900)
    browser.evaluate(f"document.getElementById('name').value = '{name}'; document.getElementById('password').value = '{PASSWORD}'")
    browser.evaluate("document.querySelector('form[action=\"/login\"]').requestSubmit()")
    awaited(lambda: browser.evaluate("location.pathname === '/' && document.readyState === 'complete'"))


def test_a_reader_sees_a_study_arrive_reads_it_disagrees_and_exports(fresh: Browser, coded_package: Path, tmp_path: Path) -> None:
    series = write_series(tmp_path / "scan", 1, fractured=True)
    config_file = write_config(tmp_path, coded_package, login={"required": True})
    config = read_config(config_file)
    store, base = open_store(config.node.database, config.node.data), f"http://{config.node.web}"
    put_user(store, "ada", Role.READER, PASSWORD)
    with serving(config_file, tmp_path / "log"):
        until(lambda: answers(config.node.dicom.port), "listening")
        until(lambda: answers(config.node.web.port), "serving pages")
        _log_in(fresh, base, "ada")
        awaited(lambda: fresh.evaluate(_LIVE))
        before = fresh.evaluate(_NAMES)
        until(lambda: send(config.node.dicom.port, series.images()) == [0] * len(series.files), "taking images")
        awaited(lambda: fresh.evaluate("document.querySelector('#rows tr.suspicious') !== null"))
        fresh.press("j")
        fresh.evaluate("document.querySelector('tr.chosen a').click()")
        _read(fresh)
        awaited(lambda: read_verdicts(store))
        labels = fresh.evaluate("fetch('/labels.csv').then((answer) => answer.text())")

    (kept,) = read_verdicts(store)
    (row,) = worklist(store)
    store.close()
    assert before == []
    assert fresh.console == []
    assert not any(word in (tmp_path / "log").read_text() for word in (*CANARY.split("^"), "PAT1", "ACC1"))
    assert (kept.verdict.reader, kept.verdict.comment, kept.package) == ("ada", "old", "coded")
    assert kept.verdict.levels == {"C1": False, "C2": False, **dict.fromkeys(("C3", "C4", "C5", "C6", "C7"), False)}
    assert row.readers == ("ada",)
    assert labels == f"StudyInstanceUID,patient_overall,C1,C2,C3,C4,C5,C6,C7\n{row.study_uid},0,0,0,0,0,0,0,0\n"


def _read(browser: Browser) -> None:
    """Waits for the slices, scrolls by keys that work at once, agrees with all by a key, disagrees with C2, saves."""
    awaited(lambda: browser.evaluate_in_frame("/page", "document.documentElement.dataset.viewer"))
    place = "Number(document.getElementById('axial').dataset.slice)"
    before = awaited(lambda: browser.evaluate_in_frame("/page", place))
    browser.press("ArrowDown")
    awaited(lambda: browser.evaluate_in_frame("/page", place) == before + 1)
    browser.press("g")
    awaited(lambda: browser.evaluate("document.querySelectorAll('#verdict input[value=agree]:checked').length") == 7)
    browser.evaluate("document.querySelector('input[name=C2][value=disagree]').click()")
    browser.evaluate("document.getElementById('comment').value = 'old'")
    browser.evaluate("document.getElementById('verdict').requestSubmit()")
    awaited(lambda: browser.evaluate("document.querySelector('.said .differs')?.textContent === 'C2 intact, differs'"))


def test_the_list_lives_sorts_filters_and_has_keys(fresh: Browser, node: Made, clock: Clock) -> None:
    for name, finished in (("1", NEGATIVE), ("2", POSITIVE), ("3", FAILED)):
        node.assess(name, finished, site="Ward" if name == "1" else "ER")
    with node.serving() as base:
        fresh.open(base, 1280, 900)
        awaited(lambda: fresh.evaluate(_LIVE))
        orders = [fresh.evaluate(_NAMES)]
        for column in (2, 5, 5):
            fresh.click(f"thead th:nth-child({column}) button")
            orders.append(fresh.evaluate(_NAMES))
        chosen = []
        for key in ("j", "ArrowDown", "ArrowDown", "ArrowDown", "k"):
            fresh.press(key)
            chosen.append(fresh.evaluate(_CHOSEN))
        fresh.press("/")
        for letter in "doe^1":
            fresh.press(letter)
        awaited(lambda: fresh.evaluate(_NAMES) == ["Doe 1"])
        told = fresh.evaluate("told.textContent")
        fresh.press("Escape")
        awaited(lambda: len(fresh.evaluate(_NAMES)) == 3)
        clock.now += 1
        key = node.assess("4", POSITIVE)
        awaited(lambda: fresh.evaluate(f"document.querySelector('tr[data-key=\"{key}\"]') !== null"))
        sorted_still = fresh.evaluate("document.querySelector('[aria-sort]').textContent")
        fresh.press("Enter")
        awaited(lambda: fresh.evaluate("location.pathname.startsWith('/studies/')"))

    assert orders[0] == ["Doe 2", "Doe 3", "Doe 1"]
    assert orders[1] == ["Doe 1", "Doe 2", "Doe 3"]
    assert orders[2][0] == "Doe 2"
    assert orders[3] == orders[2][::-1]
    assert chosen == [orders[3][0], orders[3][1], orders[3][2], orders[3][2], orders[3][1]]
    assert told == "1 shown"
    assert sorted_still == "Any fracture"
    assert fresh.console == []


def test_a_list_that_lost_its_node_says_so_and_comes_back(fresh: Browser, node: Made, clock: Clock) -> None:
    node.assess("1")
    with node.serving() as base:
        fresh.open(base, 1280, 900)
        awaited(lambda: fresh.evaluate(_LIVE))
    awaited(lambda: fresh.evaluate("document.getElementById('live').dataset.state === 'lost'"))
    clock.now += 1
    node.assess("2")
    with node.serving():
        awaited(lambda: fresh.evaluate(_LIVE) and len(fresh.evaluate(_NAMES)) == 2)


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_pages_fit_every_window(fresh: Browser, node: Made, result_page: Path, width: int) -> None:
    key = node.assess("1", page=result_page)
    node.assess("2", FAILED)
    with node.serving() as base:
        for path in ("/", f"/studies/{key}", "/monitoring", "/trail", "/login"):
            fresh.open(base + path, width, 800)
            assert fresh.evaluate("document.documentElement.scrollWidth") <= width, path
            assert fresh.console == []


def test_the_page_in_the_frame_takes_the_colours_of_the_page_around_it(fresh: Browser, node: Made, result_page: Path) -> None:
    key, ground = node.assess("1", page=result_page), "getComputedStyle(document.documentElement).backgroundColor"
    with node.serving() as base:
        fresh.open(f"{base}/studies/{key}", 1280, 900)
        awaited(lambda: fresh.evaluate_in_frame("/page", "document.documentElement.dataset.viewer"))
        light = fresh.evaluate_in_frame("/page", ground)
        fresh.click("#theme")
        awaited(lambda: fresh.evaluate_in_frame("/page", ground) != light)
        head = fresh.evaluate_in_frame("/page", "getComputedStyle(document.querySelector('.top')).display")
        around = fresh.evaluate(ground)
        assert fresh.evaluate_in_frame("/page", ground) == around == "rgb(15, 19, 22)"

    assert head == "none"


def test_scripts_in_the_tags_of_an_image_do_not_run(fresh: Browser, node: Made) -> None:
    hack = "<img src=x onerror=window.hacked=1><svg onload=window.hacked=1><script>window.hacked=1</script>"
    patient = type(HOSTILE)(*(f"\"'>{hack}" for _ in range(8)))
    key = node.assess("1", patient=patient, site=hack[:60], scanner=hack, kernel=hack[:60])
    with node.serving() as base:
        for path in ("/", f"/studies/{key}", "/monitoring", "/trail"):
            fresh.open(base + path, 1280, 900)
            if path == "/":
                awaited(lambda: fresh.evaluate(_LIVE))
                fresh.evaluate("document.getElementById('filter').requestSubmit()")
                time.sleep(0.3)
            assert fresh.evaluate(_HACKED) == 0
            assert fresh.evaluate("document.querySelectorAll('img, main script, main svg[onload]').length") == 0
            assert fresh.console == []


def test_a_page_of_a_result_with_a_foreign_script_runs_none_and_reaches_nothing(
    fresh: Browser, node: Made, result_page: Path, tmp_path: Path
) -> None:
    """Even if somebody altered the file: the policy of the page names its scripts, and its frame has no origin."""
    altered = tmp_path / "altered.html"
    act = "document.documentElement.dataset.hacked = 1"
    hack = f"<script>{act}</script><img src=x onerror='{act}'>"
    altered.write_text(result_page.read_text(encoding="utf-8").replace("<main>", f"<main>{hack}"), encoding="utf-8")
    key = node.assess("1", page=altered)
    with node.serving() as base:
        fresh.open(f"{base}/studies/{key}", 1280, 900)
        awaited(lambda: fresh.evaluate_in_frame("/page", "document.documentElement.dataset.viewer"))
        hacked = fresh.evaluate_in_frame("/page", "document.documentElement.dataset.hacked ?? 0")
        origin = fresh.evaluate_in_frame("/page", "self.origin")
        reached = fresh.evaluate_in_frame("/page", f"fetch('{base}/').then(() => 'reached', () => 'refused')")
        above = fresh.evaluate_in_frame("/page", "(() => { try { return parent.document.title; } catch { return 'refused'; } })()")

    assert (hacked, origin, reached, above) == (0, "null", "refused", "refused")


@contextmanager
def _stranger(page: str) -> Iterator[str]:
    """Serves a site of somebody else that shows a page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page.encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f":{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["same site, other port", "other site"])
def test_a_form_on_another_site_cannot_give_a_verdict(fresh: Browser, guarded: Made, host: str) -> None:
    key = guarded.assess("1")
    put_user(guarded.store, "ada", Role.READER, PASSWORD)
    with guarded.serving() as base:
        _log_in(fresh, base, "ada")
        there = f"{base}/studies/{key}/verdict"
        form = f"<form method=post action='{there}'><input name=C4 value=disagree><input name=csrf value=x></form>"
        with _stranger(f"<!doctype html><title>s</title>{form}<script>document.forms[0].submit()</script>") as page:
            fresh.call("Page.navigate", url=f"http://{host}{page}")
            awaited(lambda: fresh.evaluate(f"location.href === '{there}' && document.body.innerText.includes('another site')"))
        how = "{method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams('C4=disagree')}"
        hidden = f"fetch('{there}', {how})"
        with _stranger(f"<!doctype html><title>s</title><script>{hidden}.finally(() => document.title = 'tried')</script>") as page:
            fresh.call("Page.navigate", url=f"http://{host}{page}")
            awaited(lambda: fresh.evaluate("document.title === 'tried'"))
        kept = read_verdicts(guarded.store)
        fresh.open(base, 1280, 900)
        still_in = fresh.evaluate("document.querySelector('h1').textContent")

    assert kept == ()
    assert still_in == "Worklist"


def test_another_site_can_neither_read_nor_frame_the_list(fresh: Browser, guarded: Made) -> None:
    guarded.assess("1")
    put_user(guarded.store, "ada", Role.READER, PASSWORD)
    with guarded.serving() as base:
        _log_in(fresh, base, "ada")
        told = "(text) => document.title = text, () => document.title = 'refused'"
        tried = f"fetch('{base}/', {{credentials: 'include'}}).then((answer) => answer.text()).then({told})"
        with _stranger(f"<!doctype html><title>s</title><iframe src='{base}/'></iframe><script>{tried}</script>") as page:
            fresh.open(f"http://127.0.0.1{page}", 800, 600)
            awaited(lambda: fresh.evaluate("document.title !== 's'"))
            title = fresh.evaluate("document.title")

    assert title == "refused"
    assert any("frame-ancestors" in said for said in fresh.console)


def test_a_reader_without_the_role_is_refused_in_words(fresh: Browser, guarded: Made) -> None:
    guarded.assess("1")
    put_user(guarded.store, "eve", Role.READER, PASSWORD)
    with guarded.serving() as base:
        _log_in(fresh, base, "eve")
        fresh.open(f"{base}/trail", 1280, 900)
        said = fresh.evaluate("document.querySelector('[role=alert]').textContent")

    assert said == "eve may not see the audit trail. Ask an administrator of this node."


def test_a_node_ends_soon_although_pages_are_open(fresh: Browser, node: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_STOP_S", 100)  # so long a stream that does not end by itself is waited for
    with node.serving() as base:
        fresh.open(base, 800, 600)
        awaited(lambda: fresh.evaluate(_LIVE))
        began = time.monotonic()

    assert time.monotonic() - began < 90


def test_two_nodes_cannot_have_the_same_address(node: Made, store: Store) -> None:
    from cspine.errors import UsageError
    from cspine.node.web.app import serve

    with node.serving(), pytest.raises(UsageError, match=r"node\.web needs an address that is free\. 127\.0\.0\.1:\d+ says"):
        serve(node.config, store, threading.Event())


def test_rows_are_live_over_a_real_connection_without_a_browser(node: Made, clock: Clock) -> None:
    """The stream of events: one at once, one at each change, none without."""
    import http.client

    client = node.client()
    with node.serving():
        connection = http.client.HTTPConnection("127.0.0.1", node.config.node.web.port, timeout=120)
        connection.request("GET", "/events")
        stream = connection.getresponse()
        first = [stream.readline() for _ in range(5)]
        clock.now += 1
        node.assess("1")
        second = [stream.readline() for _ in range(2)]
        connection.close()

    assert csrf_of(client)
    assert first[0] == b"retry: 2000\n"
    assert first[2] == second[0] == b"event: change\n"
    assert first[3] != second[1]
