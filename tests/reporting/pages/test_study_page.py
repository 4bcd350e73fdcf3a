import base64
import dataclasses
import hashlib
import re
from dataclasses import replace
from html import unescape
from importlib.resources import files

import pytest
from jinja2 import meta

from cspine.evidence import Prediction
from cspine.reporting import style, write_result
from cspine.reporting.pages import nouns, overview, pictures, stack
from cspine.reporting.pages.study import context, study_page, to_html
from cspine.reporting.pages.templating import environment
from cspine.reporting.pages.verdict import verdict
from cspine.results import DISCLAIMER, Assessment, LevelFinding, LevelStatus, StudyResult
from cspine.study import Study

_LARGEST_BYTES = 4_000_000


def _page(prediction: Prediction, study: Study) -> str:
    return to_html(study_page(prediction, study))


def _words(page: str) -> str:
    """Returns what a reader sees: no scripts, styles and tags."""
    shown = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).split())


def test_the_page_says_what_the_result_says(prediction: Prediction, broken_neck: Study) -> None:
    words = _words(_page(prediction, broken_neck))

    assert "Fracture suspected Look first at C4. C1 is not in view, not assessed." in words
    assert "threshold 50 %, operating point balanced" in words
    assert "Where to look C4" in words
    assert "Not assessed, or only in part, because the scan does not show all of them: C1." in words
    assert "Checked and passed: Hounsfield units" in words
    assert "Classified by coded, version 3, " in words
    assert "Vertebrae found by " in words
    assert "AUROC on blocks 1.000 (0.900 to 1.000)" in words


def test_every_page_says_what_it_is_not(prediction: Prediction, rejected_result: StudyResult, broken_neck: Study) -> None:
    for page in (_page(prediction, broken_neck), _page(Prediction(rejected_result), broken_neck)):
        top = _words(page.split("<main>")[0])

        assert "Research software, not a medical device. Not for diagnosis." in top
        assert "trained on synthetic phantoms only" in top
        assert f'@page {{ @bottom-left {{ content: "{DISCLAIMER}"' in page


def test_a_page_needs_nothing_beside_it_and_lets_no_stranger_in(prediction: Prediction, broken_neck: Study) -> None:
    page = _page(prediction, broken_neck)

    assert set(re.findall(r'(?:src|href)="([^"]{5})', page)) == {"data:"}
    assert re.findall(r"https?://[^\"]+", page) == []
    policy = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)[0]
    scripts = [body for kind, body in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL) if not kind]
    digests = ["sha256-" + base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in scripts]
    assert policy.startswith("default-src 'none';")
    assert re.findall(r"'(sha256-[^']+)'", unescape(policy)) == digests
    assert len(digests) == 4
    assert len(page) < _LARGEST_BYTES


def test_identifiers_are_shown_only_where_they_are_asked_for(
    identified_neck: tuple[Prediction, Study], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("case")

    files_written = write_result(*identified_neck, folder, ["html", "html-uids"]).files

    plain, identified = ((folder / name).read_text(encoding="utf-8") for name in files_written)
    assert files_written == ("result.html", "result-uids.html")
    assert "1.2.3.99" not in plain
    assert "Study 1.2.3.99 Series 1.2.3.99.1" in _words(identified)
    assert "A slice is missing." in _words(plain)


def test_a_name_is_text_and_never_markup(prediction: Prediction, broken_neck: Study) -> None:
    named = replace(prediction.result, study=replace(prediction.result.study, name="<script>alert('x')</script>&\"neck"))

    page = _page(replace(prediction, result=named), broken_neck)

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&#34;neck" in page


def test_a_rejected_study_is_shown_with_its_reason_and_no_probability(rejected_result: StudyResult, broken_neck: Study) -> None:
    page = _page(Prediction(rejected_result), broken_neck)
    words = _words(page.split('<h2 id="model">')[0])

    assert "Not assessed A CT of a neck holds air, soft tissue and bone." in words
    assert "What was seen" in words
    assert page.count('<svg class="slice"') == 2
    assert "face" not in page.split("</style>")[1]
    assert "%" not in words
    assert 'id="stack"' not in page
    assert "Checked and passed" not in words


def _with(result: StudyResult, overall: float, levels: tuple[float | LevelStatus, ...]) -> StudyResult:
    findings = []
    for finding, predicted in zip(result.levels, levels, strict=True):
        if isinstance(predicted, LevelStatus):
            findings.append(LevelFinding(finding.level, predicted))
        else:
            findings.append(LevelFinding(finding.level, LevelStatus.ASSESSED, Assessment(predicted, 0.5), (0.0, 0.0, 0.0)))
    return replace(result, overall=Assessment(overall, 0.5), levels=tuple(findings))


@pytest.mark.parametrize(
    ("overall", "levels", "title", "sentences"),
    [
        (0.9, (0.1, 0.6, 0.1, 0.8, 0.1, 0.1, 0.1), "Fracture suspected", ("Look first at C4 and C2.",)),
        (0.2, (0.1,) * 7, "No fracture suspected", ("Every level that was assessed is below its threshold.",)),
        (
            0.2,
            (0.1, 0.1, 0.1, 0.1, LevelStatus.UNCERTAIN, LevelStatus.NOT_IN_VIEW, LevelStatus.NOT_IN_VIEW),
            "No fracture suspected",
            (
                "Every level that was assessed is below its threshold.",
                "C6 and C7 are not in view, not assessed.",
                "C5 is uncertain, not assessed.",
            ),
        ),
    ],
)
def test_the_verdict_tells_study_and_levels_apart(
    broken_result: StudyResult, overall: float, levels: tuple[float | LevelStatus, ...], title: str, sentences: tuple[str, ...]
) -> None:
    predicted = verdict(_with(broken_result, overall, levels))

    assert predicted.sentences == sentences
    assert predicted.title == title


def test_where_nothing_is_above_its_threshold_the_highest_level_is_shown(broken_result: StudyResult, broken_neck: Study) -> None:
    calm = tuple(
        replace(finding, assessment=Assessment(0.3 if finding.level.name == "C6" else 0.1, 0.5)) if finding.assessment else finding
        for finding in broken_result.levels
    )

    page = study_page(Prediction(replace(broken_result, overall=Assessment(0.4, 0.5), levels=calm)), broken_neck)

    assert [panel.cell.name for panel in page.panels] == ["C6"]
    assert "Nearest to its threshold, and below it C6 30 %" in _words(to_html(page))


def test_the_range_over_passes_is_shown_and_where_they_disagree_is_called_unsure(
    prediction: Prediction, broken_neck: Study
) -> None:
    result, (low, high) = prediction.result, (0.48, 0.71)
    levels = tuple(
        replace(finding, assessment=Assessment(0.62, 0.5, low, high)) if finding.level.name == "C4" else finding
        for finding in result.levels
    )
    seen = replace(result, overall=Assessment(0.8, 0.5, 0.7, 0.9), levels=levels)

    words = _words(_page(replace(prediction, result=seen), broken_neck))

    assert "Probability of any fracture 80 % 70–90 % over test-time augmentation threshold 50 %" in words
    assert "Range 70–90 % 48–71 % unsure Threshold" in words
    assert "C4 62 % (48–71 %) unsure · threshold 50 %" in words
    assert "Range" not in _words(_page(prediction, broken_neck))


_STUDY_NOUNS = (nouns.StudyVerdict, nouns.Cell, nouns.Panel, nouns.Fact, nouns.Window, pictures.Picture, pictures.Mark)
_STACK_NOUNS = (stack.ViewerStack, stack.StackLevel)
_OVERVIEW_NOUNS = (overview.OverviewRow, overview.OverviewCell, overview.Unassessed)


def _documented(noun: type) -> set[str]:
    return set(re.findall(r"^        (\w+):", noun.__doc__ or "", re.MULTILINE))


def _source(name: str) -> str:
    return files("cspine.reporting").joinpath("templates", name).read_text(encoding="utf-8")


def _asked_for(*templates: str) -> set[str]:
    parsed = [environment().parse(_source(template)) for template in templates]
    return set().union(*map(meta.find_undeclared_variables, parsed)) - set(environment().globals) - {"parts"}


def test_the_template_of_a_study_is_given_what_it_documents_and_nothing_else(prediction: Prediction, broken_neck: Study) -> None:
    given = context(study_page(prediction, broken_neck))

    assert _asked_for("study.html", "viewer.html", "base.html") == set(given) == _documented(nouns.StudyPage)


def test_the_template_of_the_overview_is_given_what_it_documents_and_nothing_else() -> None:
    fields = {attribute.name for attribute in dataclasses.fields(overview.OverviewPage)}

    assert _asked_for("overview.html", "base.html") == fields == _documented(overview.OverviewPage)


@pytest.mark.parametrize("noun", [*_STUDY_NOUNS, *_STACK_NOUNS, *_OVERVIEW_NOUNS])
def test_every_attribute_of_what_a_template_is_given_is_documented_and_used(noun: type) -> None:
    templates = ("study.html", "base.html", "parts.html", "overview.html", "viewer.html", "viewer.js", "pane.js", "volume.js")
    used = set(re.findall(r"\.(\w+)", "".join(map(_source, templates))))

    fields = {attribute.name for attribute in dataclasses.fields(noun)}
    assert fields == _documented(noun)
    assert fields <= used


_CSS = _source("page.css")
_LIGHT = re.findall(r":root \{(.*?)\}", _CSS, re.DOTALL)[0]
_DARK, _DARK_CHOSEN = re.findall(r':root(?::not\(\[data-theme="light"\]\)|\[data-theme="dark"\]) \{(.*?)\}', _CSS, re.DOTALL)[:2]


def _colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", css))


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("css", [_LIGHT, _DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ink", ["ink", "quiet", "suspicious", "calm", "unknown"])
@pytest.mark.parametrize("ground", ["ground", "sheet", "faint"])
def test_words_stand_out_from_their_ground(css: str, ink: str, ground: str) -> None:
    bright, dim = sorted((_luminance(_colours(css)[name]) for name in (ink, ground)), reverse=True)

    assert (bright + 0.05) / (dim + 0.05) >= 4.5  # WCAG 2.2, level AA


@pytest.mark.parametrize("css", [_LIGHT, _DARK], ids=["light", "dark"])
def test_the_caution_stands_out_from_its_ground(css: str) -> None:
    bright, dim = sorted((_luminance(_colours(css)[name]) for name in ("caution", "caution-ground")), reverse=True)

    assert (bright + 0.05) / (dim + 0.05) >= 4.5


def test_the_dark_page_has_the_colours_of_the_picture_however_it_is_chosen() -> None:
    dark = _colours(_DARK)

    assert dark == _colours(_DARK_CHOSEN)
    assert (dark["ground"], dark["ink"], dark["quiet"], dark["line"]) == (style.BACKGROUND, style.INK, style.QUIET, style.FAINT)
    assert (dark["suspicious"], dark["calm"], dark["mark"]) == (style.SUSPICIOUS, style.CALM, style.MARK)
