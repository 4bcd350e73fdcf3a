from dataclasses import replace

import numpy as np
import pytest

from cspine.errors import TrainingError
from cspine.networks.options import BackboneName
from cspine.networks.settings import UNetTransferSettings
from cspine.training.core.marks import UNKNOWN
from cspine.training.slices.batches import SliceBatches, SliceSampler, TrainingStudy
from cspine.training.slices.settings import SliceSamplingSettings
from cspine.training.slices.stacks import SliceStack
from tests.training.synthetic import SPEC, recipe, stack


def samples(**how: bool) -> list[TrainingStudy]:
    return [TrainingStudy.of(stack(i, i if i < 3 else None, **how), recipe()) for i in range(6)]


def test_a_batch_follows_from_its_number_and_not_from_where_the_epoch_began() -> None:
    whole, rest = SliceBatches(samples(), recipe(), 0, 4), SliceBatches(samples(), recipe(), 0, 4, first=3)

    (images, targets), (same_images, same_targets) = whole[4], rest[1]

    assert [len(whole), len(rest)] == [5, 2]
    np.testing.assert_array_equal(images, same_images)
    np.testing.assert_array_equal(targets["level_map"], same_targets["level_map"])
    assert not np.array_equal(images, SliceBatches(samples(), recipe(), 0, 5)[4][0])
    assert not np.array_equal(images, SliceBatches(samples(), recipe(), 1, 4)[4][0])


def test_a_batch_has_the_shares_that_are_asked_for() -> None:
    settings = SliceSamplingSettings(fractured_share=0.4, intact_share=0.3, anywhere_share=0.0)
    given = samples()
    sampler, rng = SliceSampler(given, settings), np.random.default_rng(0)

    drawn = [sampler.sample(rng) for _ in range(2000)]

    broken = np.array([given[study].targets.fracture[number] > 0 for study, number in drawn])
    beside = [
        study < 3 and given[study].targets.visible[number, study] > 0 and not given[study].targets.fracture[number].any()
        for study, number in drawn
    ]
    assert broken.any(axis=1).mean() == pytest.approx(0.4, abs=0.05)
    assert broken[:, :3].sum(axis=0) / broken.sum() == pytest.approx([1 / 3] * 3, abs=0.06)
    assert np.mean(beside) == pytest.approx(0.3, abs=0.06)


def test_what_is_not_known_of_a_study_without_a_mask_is_marked_so() -> None:
    _, targets = SliceBatches(samples(mask=False), recipe(), 0, 0)[0]

    assert (targets["level_map"] == UNKNOWN).all()
    assert (targets["visible"] == UNKNOWN).all()
    assert (targets["fracture"] >= 0).any()


def test_a_slice_is_fed_as_the_service_feeds_it() -> None:
    from cspine.imaging.slices import network_input
    from cspine.volume import Volume

    one = stack(1, 2)

    whole = network_input(Volume(one.hu.astype(np.float32), one.grid), SPEC)

    np.testing.assert_array_equal(one.input(SPEC, 0, 28), whole)
    np.testing.assert_array_equal(np.concatenate([one.input(SPEC, 0, 1), one.input(SPEC, 1, 9), one.input(SPEC, 9, 28)]), whole)


def test_a_study_without_a_label_cannot_be_trained_on() -> None:
    one = stack(1, None)
    unlabelled = SliceStack(replace(one.case, fractured=None), one.hu, one.marks, one.grid)

    with pytest.raises(TrainingError, match="needs labelled studies"):
        TrainingStudy.of(unlabelled, recipe())


def test_a_map_of_boxes_is_known_in_boxed_studies_only() -> None:
    network = UNetTransferSettings(BackboneName.DENSENET121, fracture_map=True)
    settings = replace(recipe(), network=network, fit=replace(recipe().fit, batch=40, batches=1))
    studies = [stack(0, 2), stack(1, 2, boxes=False), stack(2, 2, mask=False)]

    targets = [SliceBatches([TrainingStudy.of(one, settings)], settings, 0, 0)[0][1] for one in studies]

    assert all(tuple(target) == network.outputs for target in targets)
    known = [{name: bool((target[name] >= 0).all()) for name in ("level_map", "maps", "fracture_map")} for target in targets]
    assert known == [
        {"level_map": True, "maps": True, "fracture_map": True},
        {"level_map": True, "maps": True, "fracture_map": False},
        {"level_map": False, "maps": False, "fracture_map": True},
    ]
    assert 0 < (targets[0]["fracture_map"] > 0).mean() < 0.5
    assert (targets[1]["fracture_map"] == UNKNOWN).all()
