"""Names and documents use the standard terms of the field: words that were replaced may not come back."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from tests.vocabulary import Kind, Name, Place, documents, messages, messages_of, names, names_of


@dataclass(frozen=True, slots=True)
class Term:
    """A word that may not come back.

    Attributes:
        word: The word, as a regular expression over the words of a name (``judged_at`` is ``judged at``) or over a line.
        standard: What the field says.
        room: Only there, a regular expression over the path; everywhere if empty.
        kinds: Only names of these kinds.
    """

    word: str
    standard: str
    room: str = ""
    kinds: tuple[Kind, ...] = tuple(Kind)


_NOT_THE_NODE = r"^(?!(src/cspine|tests)/node/)"
"""In whose audit trail a reader is quoted with what he said."""

IN_NAMES = (
    Term(r"\bjudge[sd]?\b|\bjudging\b|\bjudgements?\b|\b(un|mis)judged\b", "evaluate, classify, assess; Classifier, Assessment"),
    Term(r"\bexamin(e|es|ed|ing|er|ers|ation|ations)\b", "predict, Predictor, Prediction"),
    Term(r"\btaught\b|\bteaching\b|\bclassroom\b", "pseudo-labels, teacher"),
    Term(r"\bchances?\b", "augmentation", room="training/"),
    Term(r"\bchances?\b", "probability, random", room="src/cspine/(?!training/|node/)"),
    Term(r"\blessons?\b|\blearns?\b|\blearnt\b", "training task, training set; train"),
    Term(r"\bcrowded\b", "fracture-enriched; enriched"),
    Term(r"\bcracks? (mask|use|bit|known)\b|\bhas cracks\b|^cracks$", "fracture masks"),
    Term(r"^brightest$", "HU ceiling"),
    Term(r"^beside$", "neighbour weight; neighbour_weight", "src/cspine/", (Kind.KEY,)),
    Term(r"\b(study|image|no) places\b|\bplaces? metrics\b|\bplacing\b", "localisation"),
    Term(r"^where$|^where (weight|logits)$", "level map; level_map", "src/cspine/", (Kind.KEY,)),
    Term(
        r"\b(from|all|study|in) views\b|\bviews (of|by)\b|^views$",
        "test-time augmentation; tta_passes",
        kinds=(Kind.SETTING, Kind.KEY),
    ),
    Term(r"^called$", "flagged", "src/cspine/evaluation/", (Kind.SETTING, Kind.KEY)),
    Term(r"\blooking\b|\blooks?\b", "pass, inference, sliding window", r"/(locating|networks|training|detection|modelpack)/"),
    Term(r"\bdraw(n|s|ing)?\b", "sample, sampling", room="src/cspine/phantoms/"),
    Term(r"\bdrawn\b", "resampled", room="src/cspine/evaluation/"),
    Term(r"^(rise|fall)$", "expand, project", room="src/cspine/networks/"),
    Term(r"\b(heard|thought|loud(er|est)?)\b", "attended, logits, evidence", room=_NOT_THE_NODE),
    Term(r"\bsaid\b", "predicted, output, message", room=_NOT_THE_NODE),
    Term(r"\btold\b(?! apart)", "message, reason, facts; or what it is", room="src/cspine/(?!node/)"),
    Term(r"\bwhole (level|levels|neck|necks|vertebra|vertebrae)\b", "intact; complete, uncut"),
    Term(r"\bcrumbs?\b|\bislands?\b", "small components"),
)

IN_DOCUMENTS = (
    Term(r"\bjudg(e|es|ed|ing|ement|ements)\b", "evaluate, classify, assess"),
    Term(r"(?<!Part )\bexamin(e|es|ed|ing|er|ers|ation|ations)\b", "predict, prediction"),
    Term(r"\btaught\b|\bclassroom\b|\bteaching\b", "pseudo-labels, teacher"),
    Term(r"\bchance\.\w+|\bkinds? of chance\b", "augmentation"),
    Term(r"\blearnt from\b", "training set, trained on"),
    Term(r"\bcrowded\b", "fracture-enriched; --enriched"),
    Term(r"\blabels\.cracks\b|`cracks`", "fracture masks; labels.fracture_masks"),
    Term(r"`brightest`|`beside`|\binput\.beside\b", "HU ceiling, neighbour_weight"),
    Term(r"--no-places\b|\bplacing\b", "localisation; --no-localisation"),
    Term(r"\b(one|two|several|all|both) views\b|\bfrom_views\b", "test-time augmentation (TTA), passes"),
    Term(r"\b(closer|second|another|one|two|three|all|each) looks?\b|\blooks? again\b", "pass, inference, sliding window"),
    Term(r"\bcalled (fractured|whole|right|wrong)\b|\b(necks|levels|studies|vertebrae) called\b", "flagged, intact; named"),
    Term(r"\bwhole (levels|necks|vertebrae)\b", "intact; complete, uncut"),
    Term(r"\blearnt\b(?! from)", "trained"),
    Term(r"\bspeaks? (loud|louder|loudest)\b|\b(heard|thought) of (the|its)\b", "logits, evidence"),
    Term(r"\bdraw_\w+", "sample_*"),
    Term(r"\bcrumbs?\b|\bislands?\b", "small components"),
    Term(r"\bU-Nets? in space\b", "3-D U-Net"),
)

_SPELLS_THEM = ("tests/test_vocabulary.py", "tests/test_glossary.py")


def broken(found: Iterable[Name]) -> Iterator[str]:
    """Returns a sentence for each name that holds a word that may not come back."""
    for name in {(name.place, name.text): name for name in found}.values():
        if not name.place.path.startswith(_SPELLS_THEM):
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_.]+", " ", name.text).strip().lower()
            terms = IN_DOCUMENTS if name.text.startswith("test_") else IN_NAMES  # the name of a test is a sentence
            yield from _sentences((term for term in terms if name.kind in term.kinds), name.place, words, f"the name {name.text!r}")


def broken_lines(found: Iterable[tuple[Place, str]], what: str = "the document") -> Iterator[str]:
    """Returns a sentence for each line of a document, or of other prose, that holds such a word."""
    for place, line in found:
        yield from _sentences(IN_DOCUMENTS, place, line, what)


def _sentences(terms: Iterable[Term], place: Place, text: str, what: str) -> Iterator[str]:
    for term in terms:
        hit = re.search(term.word, text, re.IGNORECASE) if re.search(term.room, place.path) else None
        if hit is not None:
            yield f"{place}: {what} says {hit.group()!r}. The field says: {term.standard}."


def test_no_name_brings_back_a_word_that_was_replaced() -> None:
    assert "\n".join(broken(names())) == ""


def test_no_document_brings_back_a_word_that_was_replaced() -> None:
    assert "\n".join(broken_lines(documents())) == ""


def test_no_message_and_no_docstring_brings_back_a_word_that_was_replaced() -> None:
    assert "\n".join(broken_lines(messages(), "the text")) == ""


@pytest.mark.parametrize(
    "code",
    [
        'raise ValueError(f"{name} was judged twice.")',
        'HELP = "judge every study"',
        'def f():\n    """Judges a study."""',
    ],
)
def test_a_word_that_comes_back_in_a_message_is_told_with_its_line(code: str) -> None:
    (sentence,) = broken_lines(messages_of(f"\n{code}", "src/cspine/planted.py"), "the text")

    assert sentence.startswith(f"src/cspine/planted.py:{2 + code.count(chr(10))}: the text says ")


@pytest.mark.parametrize(
    ("code", "word", "standard"),
    [
        ("class Judge: ...", "Judge", "Classifier"),
        ("class SliceExaminer: ...", "Examiner", "Predictor"),
        ("def judge_windows(): ...", "judge", "evaluate"),
        ("def cut(*, crack_mask): ...", "crack mask", "fracture masks"),
        ("class Settings:\n    chance: int", "chance", "augmentation"),
        ("CRACK_BIT = 32", "crack bit", "fracture masks"),
        ("for islands in (): ...", "islands", "small components"),
        ("parser.add_argument('--no-places')", "no places", "localisation"),
        ("parser.add_argument('--crowded', type=float)", "crowded", "enriched"),
        ("outputs = ('fracture', 'where')", "where", "level map"),
        ("manifest['views']", "views", "test-time augmentation"),
        ("manifest['brightest']", "brightest", "HU ceiling"),
        ("spec['beside']", "beside", "neighbour weight"),
        ("def look_again(): ...", "look", "sliding window"),
        ("def test_a_scan_is_judged(): ...", "judged", "evaluate"),
        ("said = network(x)", "said", "predicted"),
        ("told = {}", "told", "message"),
        ("def let_learn(): ...", "learn", "training task"),
        ("whole_levels = 3", "whole levels", "intact"),
        ("class Loudest: ...", "Loudest", "evidence"),
    ],
)
def test_a_word_that_comes_back_in_a_name_is_told_with_its_line_and_the_standard_term(code: str, word: str, standard: str) -> None:
    (sentence,) = broken(names_of(f"\n\n{code}", "src/cspine/training/planted.py"))

    place, told = sentence.split(": ", 1)
    assert place == f"src/cspine/training/planted.py:{3 + code.count(chr(10))}"
    assert f"says {word!r}".casefold() in told.casefold()
    assert standard in told.split("The field says: ")[1]


@pytest.mark.parametrize(
    ("line", "standard"),
    [
        ("The network judges slice by slice.", "classify"),
        ("An Examination holds the evidence.", "prediction"),
        ("Set `chance.shift_mm=2`.", "augmentation"),
        ("A second look at what is left.", "sliding window"),
        ("Two views of the study are averaged.", "test-time augmentation"),
        ("Studies that were learnt from are left out.", "training set"),
        ("`cspine phantom --crowded 0.5`", "enriched"),
        ("A U-Net in space finds vertebrae.", "3-D U-Net"),
        ("Crumbs are removed.", "small components"),
        ("Six necks are called fractured.", "flagged"),
        ("Of 12 necks called, two were intact.", "flagged"),
        ("Whole vertebrae look fractured.", "intact"),
        ("What was learnt is kept.", "trained"),
        ("The slice that speaks loudest is shown.", "evidence"),
    ],
)
def test_a_word_that_comes_back_in_a_document_is_told_with_its_line_and_the_standard_term(line: str, standard: str) -> None:
    (sentence,) = broken_lines([(Place("docs/planted.md", 7), line)])

    assert sentence.startswith("docs/planted.md:7: the document says ")
    assert standard in sentence.split("The field says: ")[1]


@pytest.mark.parametrize(
    "code",
    [
        "def lookalikes(): ...",
        "def axial_view(): ...",
        "beside = 1",
        "def look(folder): ...",
        "np.where(a, b, c)",
        "# a judge",
        "teacher = 1",
        "class Injury:\n    def crack(self): ...",
    ],
)
def test_plain_words_stay(code: str) -> None:
    assert list(broken(names_of(code, "src/cspine/reading/planted.py"))) == []


def test_names_and_documents_are_found_where_they_are() -> None:
    found, pages = {(name.text, name.place.path) for name in names()}, {place.path for place, _ in documents()}

    assert ("combine_tta", "src/cspine/modelpack/tta.py") in found
    assert ("tta_passes", "src/cspine/modelpack/packages/vertebra_mil_phantoms/manifest.json") in found
    assert ("patient_overall", "src/cspine/reporting/result.schema.json") in found
    assert ("no_localisation", "src/cspine/cli/evaluate.py") in found
    assert {
        "README.md",
        "ARCHITECTURE.md",
        "docs/reference/glossary.md",
        "src/cspine/modelpack/packages/localiser/card.md",
    } <= pages
