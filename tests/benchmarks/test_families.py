from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.families import LEAKY, ROWS, TITLES, Place, Row, page
from cspine.evaluation.report import to_csv
from cspine.recipes import load_slice_recipe
from cspine.training.core.settings import parse_assignments, with_settings
from cspine.training.slices.settings import SliceRecipe
from tests.evaluation.reports import report

PLACE = Place(Path("out"), 1000)


def as_trained(row: Row) -> SliceRecipe:
    """The recipe of a row, with what its command sets."""
    words = PLACE.command(row)
    assigned = parse_assignments([value for word, value in pairwise(words) if word == "--set"])
    return with_settings(load_slice_recipe(row.recipe), assigned)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_row_sees_as_many_slices_of_the_same_patients_on_the_same_schedule(row: Row) -> None:
    found, first = as_trained(row), as_trained(ROWS[0])

    assert replace(found.sampling, held_back_share=0.0) == first.sampling
    assert found.fit.batch * found.fit.batches * found.fit.epochs == 8000
    assert (found.input, found.fit.learning_rate, found.split.folds) == (first.input, first.fit.learning_rate, first.split.folds)


def test_every_family_has_a_row_and_so_have_boxes_and_studies_without_masks() -> None:
    recipes = {row.recipe for row in ROWS}

    assert recipes >= {"custom_cnn", "densenet121", "inception_v3", "inception_resnet_v2", "unet_transfer", "leaky_protocol"}
    assert any("--boxes" in row.options for row in ROWS)
    assert any("--pseudo-labels" in row.options for row in ROWS)


def test_the_page_is_made_of_what_evaluation_writes(tmp_path: Path) -> None:
    place, rows = Place(tmp_path, 10), [row for row in ROWS if row.name in ("custom_cnn", LEAKY)]
    for row in rows:
        for folder in (place.evaluated(row), place.evaluated(row).with_name(f"{row.name}_itself")):
            folder.mkdir(parents=True)
            (folder / "evaluation.csv").write_text(to_csv(report()), encoding="utf-8")
        place.spent(row).write_text('{"seconds": 2.0, "busy": 1.0}')

    lines = list(page(place, rows))

    (line,) = [line for line in lines if line.startswith("| custom_cnn |")]
    assert line.count(" | ") == len(TITLES) - 1
    assert line.endswith("| 1 | 2 |")
    assert "| what the leaky protocol reports: accuracy of entries | 0.857 |" in lines
