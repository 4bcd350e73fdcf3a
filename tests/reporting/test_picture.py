import sys
from dataclasses import replace
from pathlib import Path
from subprocess import run

import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from cspine.anatomy import Level
from cspine.errors import OutputError
from cspine.evidence import Prediction
from cspine.reporting import write_result
from cspine.reporting.picture import draw, most_suspicious
from cspine.reporting.words import headline, moment, notes, percent, spanned
from cspine.results import Assessment, KeySlice, LevelStatus, Reason, StudyResult
from cspine.study import Study
from tests.reporting.restored import archived, stored_otherwise


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

    assert "Not assessed: not hounsfield" in words
    assert any("are something else" in word for word in words)
    assert not any("%" in word and word[0] == "C" for word in words)


def test_words_keep_within_the_page(broken_result: StudyResult, broken_neck: Study) -> None:
    long = replace(broken_result, reasons=(*broken_result.reasons, Reason("long", "Many words for a small matter. " * 12)))
    long = replace(long, study=replace(long.study, name="neck" * 40))
    figure = draw(long, broken_neck)
    figure.canvas.draw()
    width, height = figure.bbox.width, figure.bbox.height

    for artist in figure.findobj(lambda one: isinstance(one, Text) and bool(one.get_text())):
        box = artist.get_window_extent()
        assert -1 <= box.x0 <= box.x1 <= width + 1, artist
        assert -1 <= box.y0 <= box.y1 <= height + 1, artist


def test_the_most_suspicious_level_comes_first(broken_result: StudyResult) -> None:
    first, *_ = most_suspicious(broken_result)

    assert first.level.name == "C4"
    assert len(most_suspicious(broken_result)) == 2


def test_a_level_of_eleven_percent_is_nearer_to_half_than_one_percent_to_a_fifth(broken_result: StudyResult) -> None:
    output = {"C2": Assessment(0.11, 0.49), "C5": Assessment(0.01, 0.19)}
    quiet = Assessment(0.0001, 0.5)
    levels = tuple(replace(one, assessment=one.assessment and output.get(one.level.name, quiet)) for one in broken_result.levels)

    assert [one.level.name for one in most_suspicious(replace(broken_result, levels=levels))] == ["C2", "C5"]


def test_the_file_is_a_picture(broken_result: StudyResult, broken_neck: Study, tmp_path: Path) -> None:
    (name,) = write_result(Prediction(broken_result), broken_neck, tmp_path, ["png"]).files

    height, width, _ = imread(tmp_path / name).shape
    assert name == "result.png"
    assert width == 1560
    assert 800 < height < 1500


def test_a_folder_that_is_not_there_is_said(broken_result: StudyResult, broken_neck: Study, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"result\.png cannot be written to .*missing: No such file"):
        write_result(Prediction(broken_result), broken_neck, tmp_path / "missing", ["png"])


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
    assert notes(broken_result) == [
        "Not assessed, or only in part, because the scan does not show all of them: C1.",
        "C1 should be in view, and was not found.",
    ]


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.48, 0.71, "62 % (48–71 %)"),
        (0.615, 0.624, "62 %"),
        (None, None, "62 %"),
        (0.001, 0.7, "62 % (< 1 to 70 %)"),
        (0.6, 0.999, "62 % (60 to > 99 %)"),
    ],
)
def test_the_range_over_passes_stands_in_brackets(low: float | None, high: float | None, text: str) -> None:
    assert spanned(Assessment(0.62, 0.5, low, high)) == text


def _with_range(result: StudyResult) -> StudyResult:
    """Returns the result as if each probability came from two passes of which one says 0.04, and C2 were 100 % and seen in part."""
    levels = tuple(
        replace(finding, assessment=replace(finding.assessment, low=min(0.04, finding.assessment.probability), high=0.996))
        if finding.assessment
        else finding
        for finding in result.levels
    )
    whole = replace(levels[1], status=LevelStatus.PARTLY_IN_VIEW, assessment=Assessment(0.99, 0.5, 0.04, 0.996))
    return replace(result, overall=Assessment(0.62, 0.5, 0.48, 0.71), levels=(levels[0], whole, *levels[2:]))


def test_the_picture_says_in_words_what_is_unsure(broken_result: StudyResult, broken_neck: Study) -> None:
    words = _words(_with_range(broken_result), broken_neck)

    assert {"any, unsure", "C4, unsure"} <= set(words)
    assert {"62 %\n(48–71 %)", "99 %\n(4 to > 99 %)\npartly in view"} <= set(words)
    assert headline(_with_range(broken_result)) == "Fracture suspected, unsure: 62 % (48–71 %; threshold 50 %, balanced)"
    assert any(word.startswith("C2  99 % (4 to > 99 %), key image ") for word in words)


def test_a_picture_names_what_it_shows_and_the_stored_images_to_open(broken_result: StudyResult, broken_neck: Study) -> None:
    sagittal = stored_otherwise(broken_neck, (2, 0, 1))
    images = sagittal.volume.grid.shape[0]
    levels = tuple(replace(one, key_slice=one.key_slice and KeySlice(30, None)) for one in broken_result.levels)
    result = replace(broken_result, levels=levels)

    words = _words(result, archived(sagittal, [200 - index for index in range(images)]))

    shown = [word for word in words if word.startswith(("C4  ", "C5  ", "C6  "))]
    assert all(word.endswith(", axial, reformatted") for word in shown)
    assert shown
    assert any("Key images, stored sagittal, numbered by Instance Number: C4 170, " in word for word in words)
    assert not any("sagittal image" in word for word in words)


def test_a_picture_says_when_it_was_made_in_words(broken_result: StudyResult, broken_neck: Study) -> None:
    words = _words(replace(broken_result, created="2024-02-29T23:30:15+01:00"), broken_neck)

    assert any(word.endswith("29 February 2024, 22:30 UTC") for word in words)
    assert moment("") == ""


@pytest.mark.parametrize("shift_mm", range(-12, 13, 3))
def test_no_letter_of_a_side_covers_the_name_of_a_level(broken_result: StudyResult, broken_neck: Study, shift_mm: float) -> None:
    """One of the letters would stand in the middle, wherever the levels lie."""
    levels = []
    for one in broken_result.levels:
        if one.centre_mm is None or one.box_mm is None:
            levels.append(one)
            continue
        (x, y, z), box = one.centre_mm, one.box_mm
        shift = shift_mm if one.level in (Level.C3, Level.C4, Level.C5, Level.C6) else 0
        levels.append(replace(one, centre_mm=(x, y, z + shift), box_mm=box))
    figure = draw(replace(broken_result, levels=tuple(levels)), broken_neck)
    figure.canvas.draw()
    side = figure.axes[0].texts
    letters = [artist.get_window_extent() for artist in side if artist.get_text() in ("A", "P")]
    names = [artist.get_window_extent() for artist in side if artist.get_text() in Level.__members__]

    assert len(names) == 6
    assert not any(letter.overlaps(name) for letter in letters for name in names)


def test_ranges_do_not_run_into_one_another(broken_result: StudyResult, broken_neck: Study) -> None:
    figure = draw(_with_range(broken_result), broken_neck)
    figure.canvas.draw()
    (strip_title,) = (
        artist.get_window_extent() for artist in figure.findobj(Text) if artist.get_text().startswith("Probability of a fracture")
    )
    boxes = [artist.get_window_extent() for artist in figure.findobj(Text) if "%" in artist.get_text()]

    assert len(boxes) == 12
    for i, one in enumerate(boxes):
        assert 0 <= one.x0 <= one.x1 <= figure.bbox.width
        assert one.y1 < strip_title.y0 or one.y0 > strip_title.y1
        assert not any(one.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize("threshold", [0.02, 0.08, 0.16, 0.22, 0.3, 0.6])
def test_no_threshold_runs_through_what_stands_above_a_bar(
    broken_result: StudyResult, broken_neck: Study, threshold: float
) -> None:
    assessed = replace(broken_result.levels[1], assessment=Assessment(0.04, threshold, 0.004, 0.18))
    figure = draw(replace(broken_result, levels=(broken_result.levels[0], assessed, *broken_result.levels[2:])), broken_neck)
    figure.canvas.draw()

    (words,) = (artist for artist in figure.findobj(Text) if artist.get_text().startswith("4 %\n"))
    extent = words.get_window_extent()
    assert words.axes is not None
    height = words.axes.transData.transform((0, threshold))[1]
    assert not extent.y0 <= height <= extent.y1
