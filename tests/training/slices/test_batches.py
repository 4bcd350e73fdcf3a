from dataclasses import replace

import numpy as np
import pytest

from cspine.errors import TrainingError
from cspine.networks.settings import BackboneName, UNetTransferSettings
from cspine.training.slices.batches import Sample, SliceBatches, SliceSampler, boxed_cells, cells, fracture_cells, levels_of
from cspine.training.slices.labels import BOX_BIT, FRACTURE_BIT, UNKNOWN
from cspine.training.slices.settings import SamplingSettings
from cspine.training.slices.stacks import Stack
from tests.training.synthetic import SPEC, recipe, stack


def samples(**how: bool) -> list[Sample]:
    return [Sample.of(stack(i, i if i < 3 else None, **how), recipe()) for i in range(6)]


def test_a_batch_follows_from_its_number_and_not_from_where_the_epoch_began() -> None:
    whole, rest = SliceBatches(samples(), recipe(), epoch=4), SliceBatches(samples(), recipe(), epoch=4, first=3)

    (images, targets), (same_images, same_targets) = whole[4], rest[1]

    assert [len(whole), len(rest)] == [5, 2]
    np.testing.assert_array_equal(images, same_images)
    np.testing.assert_array_equal(targets["level_map"], same_targets["level_map"])
    assert not np.array_equal(images, SliceBatches(samples(), recipe(), epoch=5)[4][0])
    assert not np.array_equal(images, SliceBatches(samples(), recipe(), epoch=4, fold=1)[4][0])


def test_a_batch_has_the_shares_that_are_asked_for() -> None:
    settings = SamplingSettings(fractured_share=0.4, beside_share=0.3, anywhere_share=0.0)
    given = samples()
    sampler, rng = SliceSampler(given, settings), np.random.default_rng(0)

    drawn = [sampler.draw(rng) for _ in range(2000)]

    broken = np.array([given[study].targets.fracture[number] > 0 for study, number in drawn])
    beside = [
        study < 3 and given[study].targets.visible[number, study] > 0 and not given[study].targets.fracture[number].any()
        for study, number in drawn
    ]
    assert broken.any(axis=1).mean() == pytest.approx(0.4, abs=0.05)
    assert broken[:, :3].sum(axis=0) / broken.sum() == pytest.approx([1 / 3] * 3, abs=0.06)
    assert np.mean(beside) == pytest.approx(0.3, abs=0.06)


def test_what_is_not_known_of_a_study_without_a_mask_is_marked_so() -> None:
    _, targets = SliceBatches(samples(mask=False), recipe(), epoch=0)[0]

    assert (targets["level_map"] == UNKNOWN).all()
    assert (targets["visible"] == UNKNOWN).all()
    assert (targets["fracture"] >= 0).any()


def test_cells_say_how_much_of_them_is_each_level() -> None:
    marks = np.zeros((16, 24), dtype=np.uint8)
    marks[0:8, 0:4] = 2
    marks[8:16, 16:24] = 7 + BOX_BIT
    marks[0, 23] = 8

    shares = cells(marks)

    assert shares.shape == (2, 3, 8)
    np.testing.assert_allclose(shares.sum(axis=-1), 1)
    np.testing.assert_allclose(shares[0, 0, [0, 2]], 0.5)
    assert shares[1, 2, 7] == 1
    assert shares[0, 2, 0] == 1


def test_a_slice_is_fed_as_the_service_feeds_it() -> None:
    from cspine.imaging.slices import network_input
    from cspine.volume import Volume

    one = stack(1, 2)

    whole = network_input(Volume(one.hu.astype(np.float32), one.grid), SPEC)

    np.testing.assert_array_equal(one.input(SPEC, 0, 28), whole)
    np.testing.assert_array_equal(np.concatenate([one.input(SPEC, 0, 1), one.input(SPEC, 1, 9), one.input(SPEC, 9, 28)]), whole)


def test_a_study_without_a_label_cannot_be_learnt_from() -> None:
    one = stack(1, None)
    unlabelled = Stack(replace(one.case, fractured=None), one.hu, one.marks, one.grid)

    with pytest.raises(TrainingError, match="needs labelled studies"):
        Sample.of(unlabelled, recipe())


def test_maps_know_c1_to_c7_and_nothing_else() -> None:
    marks = np.array([[0, 7, 8], [BOX_BIT, BOX_BIT + 3, 1]], dtype=np.uint8)

    np.testing.assert_array_equal(levels_of(marks), [[0, 7, 0], [0, 3, 1]])


def test_cells_say_how_much_of_them_is_boxed() -> None:
    marks = np.zeros((16, 8), dtype=np.uint8)
    marks[8:12, :] = BOX_BIT + 2
    marks[0:8] = 5

    np.testing.assert_array_equal(boxed_cells(marks), [[[0.0]], [[0.5]]])


def test_cells_say_whether_a_fracture_is_in_them() -> None:
    marks = np.zeros((24, 8), dtype=np.uint8)
    marks[8:16, 0] = FRACTURE_BIT + 2
    marks[16, :2] = FRACTURE_BIT + BOX_BIT
    marks[0:8] = BOX_BIT + 5

    np.testing.assert_allclose(fracture_cells(marks)[..., 0], [[0.0], [1.0], [2 / 64 / 0.1]], rtol=1e-6)


def test_a_map_of_boxes_is_known_in_boxed_studies_only() -> None:
    network = UNetTransferSettings(BackboneName.DENSENET121, fracture_map=True)
    settings = replace(recipe(), network=network, sampling=SamplingSettings(batch=40, batches=1))
    studies = [stack(0, 2), stack(1, 2, boxes=False), stack(2, 2, mask=False)]

    targets = [SliceBatches([Sample.of(one, settings)], settings, epoch=0)[0][1] for one in studies]

    assert all(tuple(target) == network.outputs for target in targets)
    known = [{name: bool((target[name] >= 0).all()) for name in ("level_map", "maps", "fracture_map")} for target in targets]
    assert known == [
        {"level_map": True, "maps": True, "fracture_map": True},
        {"level_map": True, "maps": True, "fracture_map": False},
        {"level_map": False, "maps": False, "fracture_map": True},
    ]
    assert 0 < (targets[0]["fracture_map"] > 0).mean() < 0.5
    assert (targets[1]["fracture_map"] == UNKNOWN).all()
