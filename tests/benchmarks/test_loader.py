"""The throughput of input pipelines: what is counted, and what can be measured."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.loader import slices_in, task_of
from cspine.datasets import read_dataset
from cspine.errors import UsageError
from cspine.recipes import load_recipe
from tests.datasets.by_hand import write_folder


@pytest.mark.parametrize(("shape", "count"), [((16, 128, 128, 3), 16), ((2, 7, 16, 128, 160, 6), 224)])
def test_slices_of_a_batch_are_counted_whatever_they_belong_to(shape: tuple[int, ...], count: int) -> None:
    assert slices_in(np.broadcast_to(np.float32(0), shape)) == count


def test_the_flagship_is_fed_with_the_slices_of_its_vertebrae(tmp_path: Path) -> None:
    recipe = load_recipe("vertebra_mil")
    cases = read_dataset(write_folder(tmp_path / "data")).cases[:2]

    images, _ = task_of(recipe, cases, tmp_path / "cache").batches(0, 0)[0]

    assert slices_in(images) == recipe.fit.batch * 7 * 16


def test_a_recipe_that_makes_its_necks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^A recipe that learns from studies is needed\. localiser makes its necks itself\.$"):
        task_of(load_recipe("localiser"), [], tmp_path)
