import numpy as np

from cspine.phantoms import render
from cspine.phantoms.model.prevertebral import sample_prevertebral_swelling, with_prevertebral_swelling
from tests.phantoms.necks import plain_neck


def test_the_throat_moves_forwards_at_the_height_of_the_fracture() -> None:
    tissue, height = plain_neck().tissue, plain_neck().centres_mm["C4"][2]
    pushed = with_prevertebral_swelling(tissue, [height, height], [3.0, 5.0])
    moved = tissue.course.airway_mm[:, 1] - pushed.course.airway_mm[:, 1]
    nearest = int(np.argmin(np.abs(tissue.course.airway_heights_mm - height)))

    assert np.argmax(moved) == nearest
    assert 3.0 < moved.max() <= 5.0
    assert abs(moved[0]) < 0.1


def test_without_a_fracture_hardly_any_throat_is_swollen() -> None:
    tissue = plain_neck().tissue
    sampled = [sample_prevertebral_swelling(np.random.default_rng(seed), tissue, plain_neck().bones) for seed in range(200)]
    moved = [not np.array_equal(one.course.airway_mm, tissue.course.airway_mm) for one in sampled]

    assert 0.005 < np.mean(moved) < 0.1


def test_nothing_else_moves() -> None:
    from dataclasses import replace

    neck = plain_neck()
    grid = neck.scan_grid((3.0, 3.0, 3.0), 150.0)
    before = render(neck, grid)
    after = render(replace(neck, tissue=with_prevertebral_swelling(neck.tissue, [neck.centres_mm["C3"][2]], [4.0])), grid)

    assert np.array_equal(before.labels.labels, after.labels.labels)
    assert not np.array_equal(before.volume.hu, after.volume.hu)
