import sys
from dataclasses import replace
from pathlib import Path
from subprocess import run

import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from cspine.errors import OutputError
from cspine.evidence import Examination
from cspine.reporting import write_result
from cspine.reporting.picture import draw, most_suspicious
from cspine.reporting.words import headline, notes, percent
from cspine.results import Reason, StudyResult
from cspine.study import Study


def _words(result: StudyResult, study: Study) -> list[str]:
    figure = draw(result, study)
    return [artist.get_text() for artist in figure.findobj(Text) if isinstance(artist, Text) and artist.get_text()]


def test_the_picture_says_what_the_result_says(broken_result: StudyResult, broken_neck: Study) -> None:
    words = _words(broken_result, broken_neck)

    assert any(word.startswith("Fracture suspected: ") for word in words)
    assert any(word.startswith("C4  ") and "image" in word for word in words)
    assert {"R", "L", "A", "P", "H", "F", "C1", "C7", "any"} <= set(words)
    assert "not in view" in {word.replace("\n", " ") for word in words}
    assert any("Not for diagnosis" in word and "synthetic phantoms" in word for word in words)


def test_a_rejected_study_is_drawn_with_its_reason(rejected_result: StudyResult, broken_neck: Study) -> None:
    words = _words(rejected_result, broken_neck)

    assert "Not judged: not hounsfield" in words
    assert any("do not look so" in word for word in words)
    assert not any("%" in word and word[0] == "C" for word in words)


def test_words_keep_within_the_page(broken_result: StudyResult, broken_neck: Study) -> None:
    long = replace(broken_result, reasons=(*broken_result.reasons, Reason("long", "Many words for a small matter. " * 12)))
    long = replace(long, study=replace(long.study, name="neck" * 40))
    figure = draw(long, broken_neck)
    figure.canvas.draw()
    width, height = figure.bbox.width, figure.bbox.height

    for artist in figure.findobj(Text):
        box = artist.get_window_extent()
        assert -1 <= box.x0 <= box.x1 <= width + 1, artist
        assert -1 <= box.y0 <= box.y1 <= height + 1, artist


def test_the_most_suspicious_level_comes_first(broken_result: StudyResult) -> None:
    first, *_ = most_suspicious(broken_result)

    assert first.level.name == "C4"
    assert len(most_suspicious(broken_result)) == 2


def test_the_file_is_a_picture(broken_result: StudyResult, broken_neck: Study, tmp_path: Path) -> None:
    (name,) = write_result(Examination(broken_result), broken_neck, tmp_path, ["png"]).files

    height, width, _ = imread(tmp_path / name).shape
    assert name == "result.png"
    assert width == 1560
    assert 800 < height < 1500


def test_a_folder_that_is_not_there_is_said(broken_result: StudyResult, broken_neck: Study, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"result\.png cannot be written to .*missing: No such file"):
        write_result(Examination(broken_result), broken_neck, tmp_path / "missing", ["png"])


def test_drawing_leaves_no_trace_in_pyplot() -> None:
    code = "import sys, cspine.reporting.picture; print('matplotlib.pyplot' in sys.modules)"

    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


@pytest.mark.parametrize(
    ("probability", "text"), [(0.0, "< 1 %"), (0.014, "1 %"), (0.5, "50 %"), (0.99, "99 %"), (0.999, "> 99 %")]
)
def test_no_probability_reads_as_certainty(probability: float, text: str) -> None:
    assert percent(probability) == text


def test_words_for_people_repeat_no_code(broken_result: StudyResult) -> None:
    assert headline(broken_result).endswith("(threshold 50 %, balanced)")
    assert notes(broken_result) == ["Not or not wholly judged, because not seen whole: C1."]
