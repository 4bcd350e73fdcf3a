from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import OutputError, TrainingError, UsageError
from cspine.training.localiser import pool
from cspine.training.localiser.pool import PoolPart, classes_of, make_pool, read_pool_image, sample_pool_image
from cspine.training.localiser.settings import PoolSettings
from tests.training.localiser.small import RECIPE, SPEC


def silent(_text: str) -> None:
    """Says nothing."""


def test_classes_keep_c1_to_c7_and_join_what_lies_below_and_all_other_bone() -> None:
    labels = np.array([0, 1, 7, 8, 9, 19, 20, 200], dtype=np.uint8)

    np.testing.assert_array_equal(classes_of(labels), [0, 1, 7, 8, 8, 8, 9, 9])


def test_a_neck_follows_from_settings_and_number_alone() -> None:
    one, again, other = (sample_pool_image(RECIPE.pool, SPEC, PoolPart.TRAIN, number) for number in (1, 1, 2))

    np.testing.assert_array_equal(one.hu, again.hu)
    np.testing.assert_array_equal(one.classes, again.classes)
    assert (one.hu != other.hu).any()
    assert one.hu.shape == one.classes.shape == (22, 22, 22)


def test_necks_to_validate_on_are_others_than_those_of_the_training_set() -> None:
    training, validation = (sample_pool_image(RECIPE.pool, SPEC, part, 1).hu for part in PoolPart)

    assert (training != validation).any()


def test_a_trunk_holds_no_cervical_vertebra() -> None:
    settings = replace(RECIPE.pool, trunks=1.0)

    for number in range(3):
        classes = sample_pool_image(settings, SPEC, PoolPart.TRAIN, number).classes
        assert set(np.unique(classes)) <= {0, 8, 9}
        assert (classes == 8).any()


def test_a_pool_is_made_once_and_what_is_missing_is_added(tmp_path: Path) -> None:
    paths = make_pool(tmp_path / "pool", RECIPE, tuple(PoolPart), 1, silent)
    before = {path: path.stat().st_mtime_ns for path in paths[PoolPart.TRAIN]}
    paths[PoolPart.VALIDATE][0].unlink()

    again = make_pool(tmp_path / "pool", RECIPE, tuple(PoolPart), 1, silent)

    assert again == paths
    assert {path: path.stat().st_mtime_ns for path in paths[PoolPart.TRAIN]} == before
    stored = read_pool_image(paths[PoolPart.VALIDATE][0])
    np.testing.assert_array_equal(stored.hu, sample_pool_image(RECIPE.pool, SPEC, PoolPart.VALIDATE, 0).hu)
    assert len(list((tmp_path / "pool").iterdir())) == 5


def test_a_damaged_neck_and_a_place_in_the_way_are_told(tmp_path: Path) -> None:
    (tmp_path / "neck.npz").write_bytes(b"none")
    with pytest.raises(TrainingError, match="A neck of the pool is damaged"):
        read_pool_image(tmp_path / "neck.npz")
    with pytest.raises(OutputError, match="A pool of necks needs a folder that can be written"):
        make_pool(tmp_path / "neck.npz" / "pool", RECIPE, tuple(PoolPart), 1, silent)


@pytest.mark.parametrize("wrong", [{"necks": 0}, {"held_out": 0}, {"trunks": 1.5}, {"wide": -0.5}])
def test_a_pool_of_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=rf"pool\.{next(iter(wrong))} must be (1 or more\.|0 or more and 1 or less\.)"):
        PoolSettings(**wrong)  # type: ignore[arg-type]


def test_the_wide_preset_is_trained_on_and_never_validated_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(pool, "sample_neck", lambda _rng, variation, **_: asked.append(variation.name))

    for part, wide in ((PoolPart.TRAIN, 1.0), (PoolPart.TRAIN, 0.0), (PoolPart.VALIDATE, 1.0)):
        pool.sample_pool_neck(np.random.default_rng(0), part, 0.5, wide)

    assert asked == ["wide", "typical", "typical"]
