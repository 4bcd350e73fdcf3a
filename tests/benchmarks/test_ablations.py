from itertools import pairwise

import pytest

from benchmarks import ablations
from benchmarks.localiser import ablations as of_localisers
from cspine.recipes import load_recipe
from cspine.training.core.settings import parse_assignments, with_settings


@pytest.mark.parametrize("row", ablations.ROWS, ids=[row.name for row in ablations.ROWS])
def test_every_setting_of_a_row_acts_on_the_flagship(row: ablations.Row) -> None:
    changes = parse_assignments([value for word, value in pairwise(row.settings()) if word == "--set"])

    assert with_settings(load_recipe("vertebra_mil"), changes) != load_recipe("vertebra_mil")


@pytest.mark.parametrize("row", of_localisers.ROWS, ids=[row.name for row in of_localisers.ROWS])
def test_every_setting_of_a_row_acts_on_a_localiser(row: ablations.Row) -> None:
    words = f"{of_localisers.BUDGET} {row.options.format(out='OUT')}".split()
    changes = parse_assignments([value for word, value in pairwise(words) if word == "--set"])

    assert with_settings(load_recipe("localiser"), changes, on_data=False) != load_recipe("localiser")
