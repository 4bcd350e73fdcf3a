"""The run on a GPU, on a processor: its batches are those of training, and all of it works."""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="the run on a GPU needs JAX")

import jax
import keras

from benchmarks.gpu.necks import Slices, prepared_neck
from benchmarks.gpu.plan import FULL, MOST_BYTES, TINY, recipe_of, volume_bytes
from benchmarks.gpu.sampling import device_data, patch_batch, slice_batch
from cspine.training.core.part_settings import PatchSettings
from cspine.training.slices.batches import SliceSampler, TrainingStudy
from cspine.training.slices.settings import SliceAugmentation, SliceSamplingSettings
from tests.training.synthetic import recipe, stack

STILL = SliceAugmentation(**dict.fromkeys(SliceAugmentation.__dataclass_fields__, 0.0))
RECIPE = replace(recipe(batch=64), augmentation=STILL, patches=PatchSettings(size=(32, 32), batch=64, epochs=1, shift_px=0))
STUDIES = [TrainingStudy.of(stack(i, i if i < 3 else None), RECIPE) for i in range(5)]
SLICES = Slices.of([prepared_neck(study, RECIPE) for study in STUDIES])


@pytest.fixture(scope="module", autouse=True)
def _quickly_compiled() -> Iterator[None]:
    """Has JAX compile in haste: what runs once takes longer to optimise than to run."""
    config: Any = jax.config  # its methods have no types
    before = config.read("jax_disable_most_optimizations")
    config.update("jax_disable_most_optimizations", True)
    yield
    config.update("jax_disable_most_optimizations", before)


def test_slices_are_as_likely_as_in_training() -> None:
    sampler, rng = SliceSampler(STUDIES, SliceSamplingSettings(0.5, 0.5, 0.0)), np.random.default_rng(0)
    drawn = np.zeros(len(SLICES.grey))
    for _ in range(4000):
        study, number = sampler.sample(rng)
        drawn[SLICES.first[study] + number] += 1 / 4000

    chances = np.diff(np.asarray(device_data(SLICES)["cumulative"]), axis=1, prepend=0)

    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(drawn, chances[:2].mean(axis=0), atol=0.04)
    assert chances[0].max() > 0.3


def test_a_slice_on_the_device_is_fed_as_training_feeds_it() -> None:
    data = device_data(SLICES)

    images, targets = slice_batch(data, jax.random.key(1), RECIPE)

    whole = np.concatenate([study.stack.input(RECIPE.input, 0, len(study.stack.hu)) for study in STUDIES])
    found = [np.abs(whole - np.asarray(image)).reshape(len(whole), -1).max(axis=1).argmin() for image in images]
    wanted = np.concatenate([study.targets.fracture for study in STUDIES])
    for image, number, fracture in zip(np.asarray(images), found, np.asarray(targets["fracture"]), strict=True):
        np.testing.assert_allclose(image, whole[number], atol=1 / 255)
        np.testing.assert_array_equal(fracture, wanted[number])
    assert targets["level_map"].shape == (64, 4, 4, 8)
    np.testing.assert_allclose(np.asarray(targets["level_map"]).sum(axis=-1), 1, atol=1e-6)


def test_the_plan_fits_the_device_and_the_weights_that_come_back_are_named() -> None:
    recipes = [recipe_of(row, FULL) for row in FULL.rows]

    assert all(volume_bytes(FULL.training_set.studies, one) < 60 << 30 for one in recipes)
    fed = {(one.input, one.training_input, one.labels, one.sampling, one.seed) for one in recipes}
    assert len(fed) == 1  # one data set on the device serves all rows
    assert sum(row.patch_seconds + row.slice_seconds for row in FULL.rows) < FULL.seconds
    assert MOST_BYTES == 16 << 20


@pytest.mark.slow
def test_a_tiny_run_on_a_processor_writes_tables_scores_and_weights(tmp_path: Path) -> None:
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}

    command = [sys.executable, "-m", "benchmarks.gpu", str(tmp_path), "--tiny", "--jobs", "1", "--seconds", "3000"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert row["reached"] == "trained", row
    assert row["patches"]["steps"] > 0
    assert row["slices"]["steps"] > 0
    with (tmp_path / "results.csv").open(newline="") as file:
        (line,) = list(csv.DictReader(file))
    assert line["row"] == "custom_cnn"
    assert 0 < float(line["all-negative accuracy"]) <= 1
    assert len((tmp_path / "custom_cnn-unseen.csv").read_text().splitlines()) == 2
    assert (tmp_path / "custom_cnn.npz").stat().st_size < MOST_BYTES


def test_what_the_clock_does_not_allow_is_told_and_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())  # the script sets another, where none is set
    from benchmarks.gpu.__main__ import _Begun, _rows
    from benchmarks.gpu.results import write

    begun = _Begun(replace(TINY, seconds=1.0), tmp_path, time.monotonic(), calibrated=Future(), unseen=Future())
    table = write(_rows(begun, SLICES), {}, tmp_path)

    assert "custom_cnn | not begun: " in table


def test_patches_on_the_device_lie_on_fractures_as_often_as_asked() -> None:
    # the synthetic studies have boxes, not fracture masks: their marks are made such
    data = device_data(SLICES)
    marks = np.asarray(data["marks"])
    data["marks"] = jax.device_put(marks + 16 * ((marks & 16) > 0))  # a box becomes a fracture mask

    images, cells = patch_batch(data, jax.random.key(0), RECIPE)

    assert images.shape == (64, 32, 32, 3)
    assert cells.shape == (64, 4, 4, 1)
    assert np.asarray(cells).any(axis=(1, 2, 3)).mean() == pytest.approx(0.5, abs=0.2)
