"""The worklist and the page of a study show what they should."""

import re
from dataclasses import replace
from html import unescape

import pytest

from cspine.node.store import DeliveryState
from cspine.node.store.nouns import Parcel, Patient
from cspine.node.store.queue import finish
from cspine.node.store.sending import claim_parcels, delivered, refused
from cspine.node.store.verdicts import Verdict, put_verdict
from cspine.node.store.worklist import listed
from cspine.node.web.rows import delivery_words, duration, level_cells
from tests.node.series import arrive, parcels, take
from tests.node.times import Clock
from tests.node.web.sites import FAILED, NEGATIVE, POSITIVE, REJECTED, Made, csrf_of

HOSTILE = Patient(
    patient_name="<script>alert(1)</script>",
    patient_id='"><img src=x onerror=alert(2)>',
    accession="'onmouseover='alert(3)",
    study_description="{{ 7 * 7 }}</td></tr></table><svg onload=alert(4)>",
)


def _words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.rsplit("<main>", maxsplit=1)[-1])).split())


def test_a_row_says_why_it_stands_where_it_stands(node: Made, clock: Clock) -> None:
    for name, finished in (
        ("1", NEGATIVE),
        ("2", POSITIVE),
        ("3", REJECTED),
        ("4", FAILED),
        ("5", replace(NEGATIVE, probability=0.3)),
    ):
        node.assess(name, finished)
    node.assess("6", None)
    clock.now += 34 * 60

    words = _words(node.client().get("/").text)

    assert "positive waited 34 min Doe 2 ID2 · ACC2 ER Maker X" in words
    assert all(f"{why} waited 34 min" in words for why in ("not assessed", "failed", "suspicious", "negative", "queued"))
    assert words.index("positive waited") < words.index("suspicious waited") < words.index("negative waited")
    assert "93 % 40–95 % unsure assessed 1 note" in words
    assert "A neck is needed. None is in view." in words


def test_the_strip_says_of_each_level_what_was_found(node: Made) -> None:
    row = listed(node.store, node.assess("1"))
    assert row is not None
    assert row.result is not None

    cells = level_cells(row.result)

    assert [cell.tone for cell in cells] == [*["calm"] * 3, "suspicious", *["calm"] * 2, "unknown"]
    assert cells[3].title == "C4: 90 %, flagged, assessed"
    assert cells[6].title == "C7: not in view"
    assert [cell.bar for cell in cells] == [0, 0, 0, 18, 0, 0, 0]


def test_an_older_result_is_shown_while_the_newer_version_is_assessed(node: Made) -> None:
    node.assess("1")
    newer = node.assess("1", None, images=12)

    page, study = node.client().get("/").text, node.client().get(f"/studies/{newer}").text

    assert "version 2 , shown: 1" in _words(page).replace("version 2, ", "version 2 , ")
    assert "A newer version is being assessed." in _words(study)
    assert "Your verdict" not in study


def test_delivery_is_told_by_archive(node: Made) -> None:
    arrive(node.store)
    sent = [Parcel("pacs", kind, f"2.25.{kind}", "1.2", f"result_{kind}.dcm") for kind in ("sr", "seg")]
    finish(node.store, take(node.store), POSITIVE, sent)
    (first, *_) = claim_parcels(node.store, "pacs", "me", 60, 1)
    delivered(node.store, first, "me")

    assert "pacs 1 of 2" in _words(node.client().get("/").text)
    assert delivery_words({"pacs": {DeliveryState.CONFIRMED: 2, DeliveryState.CANCELLED: 1}}) == "pacs 2 of 2, confirmed"
    assert delivery_words({"pacs": {DeliveryState.CANCELLED: 2}}) == ""


def test_why_an_archive_has_not_taken_all_is_told_on_the_list_and_the_page_of_the_study(node: Made) -> None:
    arrive(node.store)
    claimed = take(node.store)
    finish(node.store, claimed, POSITIVE, parcels("1"))
    taken = claim_parcels(node.store, "pacs", "d", 60, 10)
    refused(node.store, taken[0], "d", 60, "It answered <A700>.")

    for path in ("/", f"/studies/{claimed.key}"):
        assert "pacs: It answered &lt;A700&gt;." in node.client().get(path).text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (59, "59 s"), (61, "1 min"), (7100, "118 min"), (7300, "2 h"), (200_000, "2 days")]
)
def test_a_duration_is_told_in_one_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("path", ["/", "/studies/{key}"])
def test_what_an_image_says_is_text_and_never_markup(node: Made, path: str) -> None:
    key = node.assess("1", patient=HOSTILE, site="<var>", scanner="<samp>", kernel="<kbd>")

    page = node.client().get(path.format(key=key)).text

    for piece in ("<script>alert", "<img src=x", "<svg onload", "'onmouseover='", "<var>", "<samp>", "<kbd>"):
        assert piece not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }}" in page


def test_patients_can_be_hidden_and_then_stand_nowhere_in_the_page(node: Made) -> None:
    key = node.assess("1")
    client = node.client()
    client.post("/mask", data={"csrf": csrf_of(client)})

    pages = [client.get(path).text for path in ("/", f"/studies/{key}")]
    rows = client.post("/rows", headers={"x-csrf-token": csrf_of(client)}).text

    assert not any(word in page for page in (*pages, rows) for word in ("Doe", "ID1", "ACC1"))
    assert "•••" in rows
    client.post("/mask", data={"csrf": csrf_of(client)})
    assert "Doe 1" in client.get("/").text


def test_rows_are_filtered_by_what_stands_in_no_address(node: Made) -> None:
    for name, site in (("1", "ER"), ("2", "Ward"), ("3", "Ward")):
        node.assess(name, site=site)
    key = node.assess("4", FAILED)
    put_verdict(node.store, Verdict(node.assess("5"), "ada", {"C1": False}))
    client = node.client()
    token = csrf_of(client)

    def found(**wanted: str) -> set[str]:
        answer = client.post("/rows", data={"csrf": token, **wanted})
        assert answer.status_code == 200
        return set(re.findall(r'data-key="(\w+)"', answer.text))

    assert len(found()) == 5
    assert len(found(site="Ward")) == 2
    assert found(state="failed") == {key}
    assert len(found(text="doe^2")) == 1
    assert len(found(text="ACC3")) == 1
    assert len(found(unread="1")) == 4
    assert found(text="%") == set()
    assert len(found(days="7")) == 5
    assert client.post("/rows", data={"csrf": token, "days": "2"}).status_code == 400
    assert client.post("/rows", data={"csrf": token, "state": "no such"}).status_code == 400
    assert client.get("/rows").status_code == 405


def test_the_page_of_a_study_stands_in_a_frame_that_reaches_nothing_of_the_node(node: Made, result_page: object) -> None:
    key = node.assess("1", page=result_page)  # type: ignore[arg-type]
    client = node.client()

    study, framed = client.get(f"/studies/{key}"), client.get(f"/studies/{key}/page")

    assert 'sandbox="allow-scripts"' in study.text
    assert framed.status_code == 200
    assert framed.headers["content-security-policy"] == "sandbox allow-scripts; frame-ancestors 'self'"
    assert "Scroll through the neck" in framed.text
    assert client.get(f"/jobs/{key}/objects/result.html").headers["content-disposition"] == 'attachment; filename="result.html"'


def test_the_site_s_own_viewer_is_linked_by_the_study(node: Made) -> None:
    key = node.assess("7")

    assert 'href="https://pacs.example/view?study=1.9.7"' in node.client().get(f"/studies/{key}").text


@pytest.mark.parametrize("name", ["1", "../../etc/passwd", "%2e%2e", "x" * 300, "0' OR 1=1"])
def test_a_study_that_is_not_there_is_told(node: Made, name: str) -> None:
    answer = node.client().get(f"/studies/{name}")

    assert answer.status_code == 404
    assert "There is no such" in answer.text


def test_a_failed_study_can_be_queued_again_where_its_images_are_kept(node: Made) -> None:
    failed, done = node.assess("1", FAILED), node.assess("2")
    client = node.client()
    token = csrf_of(client)

    assert "Try again" in client.get(f"/studies/{failed}").text
    assert "Try again" not in client.get(f"/studies/{done}").text
    assert client.post(f"/studies/{failed}/requeue", data={"csrf": token}).status_code == 303
    assert client.post(f"/studies/{done}/requeue", data={"csrf": token}).status_code == 409
    assert listed(node.store, failed).state == "queued"  # type: ignore[union-attr]


def test_styles_and_scripts_are_files_of_ours_and_nothing_else(node: Made) -> None:
    client = node.client()
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get("/").text)

    answers = [client.get(address) for address in addresses]

    assert len(addresses) == 3
    assert {answer.status_code for answer in answers} == {200}
    assert "immutable" in answers[0].headers["cache-control"]
    assert client.get("/static/app.py").status_code == 404
    assert client.get("/static/..%2fapp.py").status_code == 404
