"""Fills the memory of the framework that ``KERAS_BACKEND`` names, and says which batch was found: run by a test elsewhere."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cspine.errors import TrainingError
from cspine.training.core.backend import prepare_backend
from cspine.training.core.batch_size import largest_batch
from cspine.training.core.loop import TrainingTask, Validation, train_network
from cspine.training.core.settings import FitSettings
from tests.training.synthetic import Silent

_ROOM = 9
_TOO_MUCH = 1 << 45


class Filling(keras.layers.Layer):
    """Hands on what it gets; more than :data:`_ROOM` examples need more memory than there is."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape that it gets: JAX need not try the layer without a size."""
        return input_shape

    def call(self, inputs: Any) -> Any:
        """Returns the inputs."""
        backend = keras.backend.backend()
        if backend == "tensorflow":  # its graph is made once for all sizes
            import tensorflow as tf

            count = tf.where(tf.shape(inputs, tf.int64)[0] > _ROOM, tf.constant(_TOO_MUCH, tf.int64), 1)
            return inputs + tf.reduce_sum(tf.zeros(count[None]))
        if backend == "torch" and inputs.shape[0] > _ROOM:
            import torch  # type: ignore[import-not-found,unused-ignore]

            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 32.00 TiB.")
        if backend == "jax" and inputs.shape[0] > _ROOM:
            import jax

            numbers = jax.lax.iota(jax.numpy.float32, _TOO_MUCH) * jax.numpy.sin(jax.lax.stop_gradient(inputs.mean()))
            return inputs + jax.lax.stop_gradient(jax.numpy.sort(numbers)[7])
        return inputs


class Numbers(keras.utils.PyDataset):
    """An epoch of a few batches."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._batch = np.ones((size, 3), np.float32), np.ones((size, 2), np.float32)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._batch


def network() -> keras.Model:
    """Returns one small layer, behind one that needs much memory."""
    numbers = keras.Input((3,))
    return keras.Model(numbers, keras.layers.Dense(2)(Filling()(numbers)))


def main(folder: Path) -> None:
    """Writes what came of it, ``told.json``."""
    prepare_backend(1)
    fit = FitSettings(epochs=1, batch=4, batches=2)
    losses, validation = keras.losses.MeanSquaredError(), Validation({}, 0.0)
    task = TrainingTask(network, lambda *_: Numbers(4), losses, lambda: None, lambda *_: validation)
    found = largest_batch(task, fit, 1, Silent())
    try:
        train_network(replace(task, batches=lambda *_: Numbers(16)), replace(fit, batch=16), 0, folder / "run", Silent())
        refused = ""
    except TrainingError as error:
        refused = str(error)
    told = {"backend": keras.backend.backend(), "found": found, "refused": refused}
    (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
