import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from jinja2 import meta

from cspine.evaluation import plots
from cspine.evaluation.page import context, template, to_html
from tests.evaluation.reports import POINTS, report, scores

PAGE = to_html(report())


def drawn(page: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", page, re.DOTALL)


def test_the_page_shows_every_part_and_says_whom_it_is_about() -> None:
    for heading in ("How good it is", "Operating points", "By severity", "Localisation", "Shortcuts", "The leaky protocol"):
        assert f"<h2>{heading}" in PAGE
    assert "synthetic necks only" in PAGE
    assert "not a medical device" in PAGE
    assert "85.7 %" in PAGE
    assert len(drawn(PAGE)) == 6


def test_the_page_needs_nothing_beside_it() -> None:
    assert not re.search(r'(src|href)="(?!#|data:)', PAGE)
    assert "<script" not in PAGE


def test_what_nobody_asked_for_is_left_out() -> None:
    page = to_html(replace(report(), fractures=(), localisation=None, shortcuts=(), leaky=None))

    assert len(drawn(page)) == 4
    assert not re.search("severity|Localisation|Shortcuts|leaky", page)


def test_the_template_is_given_what_it_documents_and_nothing_else() -> None:
    environment = template("evaluation.html").environment
    sources = [environment.loader.get_source(environment, name)[0] for name in ("evaluation.html", "base.html")]

    used = set().union(*(meta.find_undeclared_variables(environment.parse(source)) for source in sources))

    assert used == set(context(report()))
    assert all(f"``{name}``" in (context.__doc__ or "") for name in used)


@pytest.mark.parametrize("picture", drawn(PAGE))
def test_a_picture_is_whole_and_shares_no_identifier_with_another(picture: str) -> None:
    root = ElementTree.fromstring(picture.replace("xlink:href", "href"))

    others = [other for other in drawn(PAGE) if other != picture]
    clips = re.findall(r'clipPath id="([^"]+)"', picture)
    assert root.tag.endswith("svg")
    assert not any(f'id="{clip}"' in other for clip in clips for other in others)


def test_the_same_numbers_give_the_same_page() -> None:
    assert to_html(report()) == PAGE


def test_the_confusion_at_an_operating_point_counts_every_patient_once() -> None:
    given = scores()

    text = re.findall(r"<text[^>]*>(\d+)</text>", plots.confusion(given, POINTS[:1]))

    found, missed, alarms, right = (int(number) for number in text[:4])
    assert found + missed == given.truth[:, 0].sum()
    assert alarms + right == (~given.truth[:, 0]).sum()
    assert found == (given.scores[given.truth[:, 0], 0] >= 0.5).sum()
