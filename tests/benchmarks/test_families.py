import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import keras
import pytest

from benchmarks.families import TITLES, draw_curves, page
from benchmarks.family_rows import LEAKY, ROWS, Place, Row, do_row
from benchmarks.family_training import Size, entries_of, evaluate_row, train_row
from cspine.errors import UsageError
from cspine.evaluation.report import to_csv
from cspine.recipes import load_slice_recipe
from cspine.training.core.runs import CALIBRATION
from cspine.training.core.settings import Precision, parse_assignments, with_settings
from cspine.training.slices.settings import SliceRecipe
from tests.evaluation.reports import report
from tests.training.synthetic import recipe, stack

PLACE = Place(Path("out"), 1000, 600, Precision.MIXED_BFLOAT16)


def as_trained(row: Row) -> SliceRecipe:
    """Returns the recipe of a row, with what its command sets."""
    words = PLACE.command(row)
    assigned = parse_assignments([value for word, value in pairwise(words) if word == "--set"])
    return with_settings(load_slice_recipe(row.recipe), assigned)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_row_sees_as_many_slices_of_the_same_patients_on_the_same_schedule(row: Row) -> None:
    found, first = as_trained(row), as_trained(ROWS[0])

    assert replace(found.sampling, held_back_share=0.0) == first.sampling
    assert found.fit.batch * found.fit.batches * found.fit.epochs == 16000
    if row.name != LEAKY:
        assert found.patches.batch * found.patches.batches * found.patches.epochs == 28800
        assert found.heads.epochs == 1
    assert found.fit.precision is Precision.MIXED_BFLOAT16
    assert (found.input, found.split.folds) == (first.input, first.split.folds)


def test_every_family_has_a_row_and_so_have_boxes_and_studies_without_masks() -> None:
    recipes = {row.recipe for row in ROWS}

    assert recipes >= {"custom_cnn", "densenet121", "inception_v3", "inception_resnet_v2", "unet_transfer", "leaky_protocol"}
    assert any("--boxes" in row.options for row in ROWS)
    assert any("--pseudo-labels" in row.options for row in ROWS)


def test_entries_are_counted_over_the_slices_of_unseen_studies() -> None:
    studies, settings = [stack(0, 2), stack(1, None)], recipe()
    model = settings.network.build(settings.input, seed=0)
    model.get_layer("evidence").bias.assign([50.0])  # everything is fractured

    found = entries_of(model, studies, settings, step=1)

    assert entries_of(model, studies, settings).slices == 2 * 3  # one in twelve
    assert found.slices == 2 * 28
    assert found.all_negative == pytest.approx(1 - 1 / (2 * 28 * 7))  # one slice of one level of one study
    assert found.accuracy == pytest.approx(1 / (2 * 28 * 7))


def test_a_network_is_as_large_as_its_layers() -> None:
    image = keras.Input((8, 6, 3))
    model = keras.Model(image, {"maps": keras.layers.Conv2D(5, 3, padding="same", name="maps")(image)})

    assert Size.of(model) == Size(weights=5 * (3 * 9 + 1), multiplications=8 * 6 * 5 * 3 * 9)


def test_a_row_that_was_killed_goes_on_and_one_that_is_done_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, row, words = Place(tmp_path, 10), ROWS[0], []
    monkeypatch.setattr("benchmarks.command.run", lambda *given: words.append(given))
    place.runs.mkdir(parents=True)
    home = place.runs / row.name

    train_row(place, row)
    (home / "fold-0").mkdir(parents=True)
    (home / "run.json").write_text("{}")
    train_row(place, row)
    (home / "fold-0" / "held_out.csv").write_text("")
    train_row(place, row)

    assert len(words) == 2
    assert "--resume" not in words[0]
    assert words[1][:3] == ("train", row.recipe, "--resume")
    assert "--set" not in words[1]
    assert json.loads(place.spent(row).read_text()).keys() == {"seconds", "busy"}


def test_what_is_calibrated_and_evaluated_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, row, words = Place(tmp_path, 10), ROWS[0], []
    monkeypatch.setattr("benchmarks.command.run", lambda *given: words.append(given[0]))
    for path in (place.evaluated(row) / "evaluation.csv", place.entries(row), place.size(row)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    evaluate_row(place, row)
    (place.runs / row.name / "fold-0").mkdir(parents=True)
    (place.runs / row.name / "fold-0" / CALIBRATION).touch()
    evaluate_row(place, row)

    assert words == ["calibrate"]


def test_a_row_waits_for_its_teacher_alone() -> None:
    waiting = {row.name: row.after for row in ROWS if row.after}
    students = {row.name for row in ROWS if "--pseudo-labels" in row.options}

    assert waiting.keys() == students
    assert all(f"{{runs}}/{teacher}" in next(row.options for row in ROWS if row.name == name) for name, teacher in waiting.items())


def test_a_row_whose_command_failed_names_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, row = Place(tmp_path, 10), ROWS[0]
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")

    with pytest.raises(UsageError, match=r"^The row custom_cnn ended with exit code 2\. Read .*custom_cnn\.log\.$"):
        do_row(place, row, "tensorflow")

    assert "has neither" in place.log(row).read_text()


def test_curves_are_drawn_of_rows_that_have_a_log(tmp_path: Path) -> None:
    place, (row, other, *_) = Place(tmp_path, 10), ROWS
    home = place.runs / row.name / "fold-0"
    (home / "patches").mkdir(parents=True)
    (home / "log.csv").write_text("epoch,loss,auroc_slices\n1,0.5,0.6\n2,0.4,nan\n")
    (home / "patches" / "log.csv").write_text("epoch,loss,auroc_patches\n1,0.5,0.6\n")

    draw_curves(place, [row, other])

    assert (place.runs / "learning.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_is_made_of_what_evaluation_writes(tmp_path: Path) -> None:
    place, rows = Place(tmp_path, 10), [row for row in ROWS if row.name in ("custom_cnn", LEAKY)]
    for row in rows:
        for folder in (place.evaluated(row), place.evaluated(row).with_name(f"{row.name}_itself")):
            folder.mkdir(parents=True)
            (folder / "evaluation.csv").write_text(to_csv(report()), encoding="utf-8")
        place.entries(row).write_text('{"slices": 9, "accuracy": 0.97, "all_negative": 0.98}')
        place.size(row).write_text('{"weights": 560000, "multiplications": 4210000000}')
        place.spent(row).write_text('{"seconds": 2.0, "busy": 1.0}')

    lines = list(page(place, rows))

    (line,) = [line for line in lines if line.startswith("| custom_cnn |")]
    assert line.count(" | ") == len(TITLES) - 1
    assert line.endswith("| 0.970 | 0.980 | 0.6 | 4.2 | 1 | 2 |")
    assert "| what the leaky protocol reports: accuracy of entries | 0.857 |" in lines
