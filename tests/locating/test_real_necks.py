"""The shipped localiser on two real necks: arms beside the head, and a head of 256 grey levels that ends in C5."""

import json
from pathlib import Path

import pytest

from benchmarks.localiser.marked import compare
from cspine.locating import Localiser
from cspine.reading import read_study
from cspine.results import LevelStatus

MARKS = json.loads((Path(__file__).parents[2] / "benchmarks/localiser/marks/real_necks.json").read_text())


@pytest.mark.parametrize("name", MARKS)
def test_each_marked_level_is_named_right_and_no_other_is_assessed(shared_data: Path, name: str) -> None:
    located = Localiser()(read_study(shared_data / "real_necks" / f"{name}.nii.gz").volume)

    named = compare(located, MARKS[name])
    assert all(one.right and one.sure for one in named), named
    assert {one.level.name for one in located.vertebrae if one.status is LevelStatus.ASSESSED} == set(MARKS[name])
