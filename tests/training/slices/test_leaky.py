from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from cspine.errors import UsageError
from cspine.training.core.settings import SplitSettings
from cspine.training.slices.batches import SliceSampler, TrainingStudy, held_back_slices
from cspine.training.slices.family import leaky_accuracy
from cspine.training.slices.settings import SliceRecipe, SliceSamplingSettings, Target
from tests.training.synthetic import SPEC, Silent, recipe, stack


def leaky() -> SliceRecipe:
    given = recipe()
    labels = replace(given.labels, target=Target.VISIBLE)
    return replace(given, labels=labels, sampling=replace(given.sampling, held_back_share=0.3))


def constant(answer: float) -> keras.Model:
    """Returns a network that predicts the same of every level."""
    image = keras.Input((*SPEC.size, SPEC.channels))
    says = layers.Rescaling(0.0, answer)(layers.Dense(7)(layers.GlobalAveragePooling2D()(image)))
    return keras.Model(image, {"fracture": says, "visible": says})


def test_its_target_is_what_a_slice_shows_whoever_is_broken() -> None:
    broken, intact = (TrainingStudy.of(stack(1, level), leaky()).targets.fracture for level in (3, None))

    np.testing.assert_array_equal(broken, intact)
    assert broken[24:, 0].all()
    assert not broken[:24, 0].any()


def test_no_network_is_trained_on_slices_that_are_held_back() -> None:
    settings = leaky()
    samples = [TrainingStudy.of(stack(i, i % 7 if i % 2 else None), settings) for i in range(4)]
    sampler, rng = SliceSampler(samples, settings.sampling), np.random.default_rng(0)

    drawn = {sampler.sample(rng) for _ in range(3000)}

    kept = {(i, int(z)) for i, sample in enumerate(samples) for z in np.flatnonzero(sample.held_back)}
    assert kept
    assert not drawn & kept
    assert drawn | kept == {(i, z) for i in range(4) for z in range(28)}


def test_the_same_slices_are_held_back_every_time_and_others_of_another_patient() -> None:
    one, again, other = (held_back_slices(uid, 400, leaky()) for uid in ("1.2.3", "1.2.3", "1.2.4"))

    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert one.mean() == pytest.approx(0.3, abs=0.08)


def test_who_says_that_nothing_is_there_is_right_six_times_of_seven() -> None:
    settings = leaky()
    stacks = [stack(i, 2) for i in range(3)]

    none, all_there = (leaky_accuracy(constant(answer), stacks, settings, Silent()) for answer in (0.1, 0.9))

    assert none is not None
    assert all_there is not None
    assert none.accuracy == none.all_negative == pytest.approx(6 / 7)
    assert all_there.accuracy == pytest.approx(1 / 7)
    assert none.slices == sum(TrainingStudy.of(one, settings).held_back.sum() for one in stacks)


def test_an_honest_recipe_has_no_such_accuracy() -> None:
    assert leaky_accuracy(constant(0.1), [stack(1, 2)], recipe(), Silent()) is None


def test_a_split_or_a_sampling_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="split needs two folds"):
        SplitSettings(folds=1)
    for share in (1.0, -0.1, float("nan")):
        with pytest.raises(UsageError, match=r"sampling\.held_back_share must be 0 or more and below 1"):
            SliceSamplingSettings(held_back_share=share)
