"""The rehearsal: what is multiplied, what is not, and where steps are cut."""

from pathlib import Path

import pytest

from benchmarks.rehearsal import RECIPES, Cost, Row, StepWatch, measured, shortened, steps_of
from cspine.recipes import load_recipe
from cspine.training.core.settings import FitSettings, settings, with_settings


def test_what_grows_with_the_studies_is_multiplied_and_a_training_is_not() -> None:
    grows = Row("cache", Cost(busy=36.0, seconds=40.0, memory_gib=1.5, disk_gib=0.25) / 2)
    stays = Row("train", Cost(busy=3.6, seconds=4.0), steps=500)

    assert grows.line() == "| cache | 18.00 | 20.00 | 1.5 | 0.125 | 1.0 h, 25 GiB | 10.1 h, 252 GiB |"
    assert stays.line() == "| train | 3.60 | 4.00 |  |  | 0.5 h | 0.5 h |"


@pytest.mark.parametrize("name", RECIPES)
def test_a_shortened_training_has_one_epoch_of_each_part(name: str) -> None:
    recipe = load_recipe(name)

    short = with_settings(recipe, shortened(recipe, 3))

    assert steps_of(short) == {"patches": 3, "heads": 3, "whole": 3}
    assert settings(short)["split.folds"] == "2"
    assert all(count > 400 for count in steps_of(recipe).values())


def test_a_step_takes_the_median_from_end_to_end_in_its_own_part(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, clock = StepWatch(), iter([10.0, 11.0, 13.0, 14.0, 50.0, 55.0])
    monkeypatch.setattr("benchmarks.rehearsal.time.perf_counter", lambda: next(clock))
    monkeypatch.setattr("benchmarks.rehearsal.time.process_time", lambda: 0.0)

    for home, size, count in ((Path("fold-0/patches"), 48, 4), (Path("fold-0"), 2, 2)):
        watch.begins(home, 1, FitSettings(batch=size))
        for number in range(count):
            watch.batch(number + 1, count, {})

    assert {part: cost.seconds for part, cost in watch.costs().items()} == {"patches": 1.0, "whole": 5.0}
    assert watch.sizes == {"patches": 48, "whole": 2}


def test_what_an_act_leaves_is_counted_and_what_was_there_is_not(tmp_path: Path) -> None:
    (tmp_path / "before").write_bytes(bytes(1 << 20))

    cost = measured(tmp_path, lambda: (tmp_path / "after").write_bytes(bytes(1 << 18)))

    assert cost.disk_gib == 2**-12
