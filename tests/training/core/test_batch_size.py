import sys
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import pytest
import tensorflow as tf

from cspine.errors import TrainingError, UsageError
from cspine.recipes import load_recipe
from cspine.training.core.backend import ran_out_of_memory
from cspine.training.core.batch_size import LARGEST, check_accelerator, largest_batch, with_batch
from cspine.training.core.family import TrainingPlace
from cspine.training.core.loop import TrainingTask
from cspine.training.core.settings import FitSettings, settings
from cspine.training.localiser.family import LocaliserFamily
from cspine.training.refiner.family import RefinerFamily
from cspine.training.slices.family import slice_task
from tests.training.full_memory import hold_examples
from tests.training.localiser import small as localiser
from tests.training.refiner import small as refiner
from tests.training.synthetic import Silent, fit, fold_data, recipe

FIT = FitSettings(batch=16, batches=250, learning_rate=0.002)


def task() -> TrainingTask[Any]:
    return slice_task(recipe(), fold_data(), Silent())


@pytest.mark.parametrize(
    ("room", "devices", "tried", "found"),
    [
        (40, 1, [4, 8, 16, 32, 64], (32, 64)),
        (32, 1, [4, 8, 16, 32, 64], (32, 64)),
        (4, 1, [4, 8], (4, 8)),
        (10_000, 1, [4, 8, 16, 32, 64], (4 * LARGEST, None)),
        (5, 1, [16, 8, 4], (4, 8)),
        (5, 1, [12, 6, 3], (3, 6)),
        (7, 2, [12, 6], (6, 12)),
    ],
)
def test_the_largest_batch_is_the_recipes_times_a_power_of_two_that_finds_room(
    monkeypatch: pytest.MonkeyPatch, room: int, devices: int, tried: list[int], found: tuple[int, int | None]
) -> None:
    sizes = hold_examples(monkeypatch, room, trains=False)
    monkeypatch.setattr("cspine.training.core.batch_size.compiled", lambda *_, **__: keras.Sequential())

    assert largest_batch(task(), replace(FIT, batch=tried[0]), devices, Silent()) == found
    assert sizes == tried


@pytest.mark.parametrize(("devices", "smallest"), [(1, 3), (2, 6)])
def test_a_device_that_holds_not_even_the_smallest_batch_is_told(
    monkeypatch: pytest.MonkeyPatch, devices: int, smallest: int
) -> None:
    hold_examples(monkeypatch, 1)
    monkeypatch.setattr("cspine.training.core.batch_size.compiled", lambda *_, **__: keras.Sequential())

    with pytest.raises(TrainingError, match=f"too small for a step of {smallest}, the smallest batch of fit.batch=auto"):
        largest_batch(task(), replace(FIT, batch=12), devices, Silent())


def test_a_step_that_fails_for_another_reason_is_no_question_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise tf.errors.InvalidArgumentError(None, None, "Incompatible shapes")

    monkeypatch.setattr(keras.Model, "fit", broken)

    with pytest.raises(tf.errors.InvalidArgumentError, match="Incompatible shapes"):
        largest_batch(task(), FIT, 1, Silent())


@pytest.mark.parametrize(("batch", "batches", "rate"), [(64, "63", "0.004"), (16, "250", "0.002"), (8, "500", "0.00141421")])
def test_an_epoch_keeps_its_examples_and_rates_follow_the_root_of_the_batch(batch: int, batches: str, rate: str) -> None:
    flagship: Any = load_recipe("vertebra_mil")
    flagship = replace(flagship, fit=FIT, heads=replace(flagship.heads, learning_rate=0.01))

    changed = settings(with_batch(flagship, batch))

    assert (changed["fit.batch"], changed["fit.batches"], changed["fit.learning_rate"]) == (str(batch), batches, rate)
    assert float(changed["heads.learning_rate"]) == pytest.approx(0.01 * (batch / 16) ** 0.5, rel=1e-5)
    assert changed | {key: settings(flagship)[key] for key in _CHANGES} == settings(flagship)


_CHANGES = ("fit.batch", "fit.batches", "fit.learning_rate", "heads.learning_rate")


def test_a_recipe_of_one_batch_an_epoch_keeps_it() -> None:
    assert with_batch(recipe(batch=4, batches=1), 64).fit.batches == 1


def test_a_full_memory_is_known_by_what_tensorflow_and_numpy_raise() -> None:
    with pytest.raises(tf.errors.ResourceExhaustedError) as full:
        tf.zeros((1 << 40, 1 << 10))

    assert ran_out_of_memory(full.value)
    assert ran_out_of_memory(MemoryError())
    assert ran_out_of_memory(tf.errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"))
    assert not ran_out_of_memory(tf.errors.InvalidArgumentError(None, None, "shapes"))
    assert not ran_out_of_memory(RuntimeError("out of memory"))


def test_a_full_memory_is_known_by_what_torch_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    class OutOfMemoryError(RuntimeError):
        """Stands for that of torch, which need not be here."""

    torch = SimpleNamespace(cuda=SimpleNamespace(OutOfMemoryError=OutOfMemoryError))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr("keras.backend.backend", lambda: "torch")

    assert ran_out_of_memory(OutOfMemoryError("Tried to allocate 20.00 GiB."))
    assert ran_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"))
    assert not ran_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not ran_out_of_memory(ValueError("out of memory"))


def test_a_memory_that_fills_in_training_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hold_examples(monkeypatch, 2)

    with pytest.raises(TrainingError, match=r"A step of 4 examples does not fit into the memory of the device\. Start a new run"):
        fit(recipe(), fold_data(), tmp_path, Silent())


def test_a_processor_is_refused() -> None:
    with pytest.raises(UsageError, match=r"fit\.batch=auto fills the memory of a GPU, and tensorflow sees none"):
        check_accelerator()


@pytest.mark.parametrize("family", [LocaliserFamily(localiser.RECIPE), RefinerFamily(refiner.RECIPE)], ids=["localiser", "refiner"])
def test_families_that_make_their_necks_try_steps_on_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, family: Any) -> None:
    batch = family.recipe.fit.batch
    monkeypatch.setattr(keras.Model, "compile", partialmethod(keras.Model.compile, run_eagerly=True))
    tried = hold_examples(monkeypatch, batch)

    task_of_one = family.trial_task((), TrainingPlace(tmp_path), Silent())

    assert largest_batch(task_of_one, family.recipe.fit, 1, Silent()) == (batch, 2 * batch)
    assert tried == [batch, 2 * batch]
    assert len(list(tmp_path.rglob("*.npz"))) == 2  # one to learn from, one that is held out
