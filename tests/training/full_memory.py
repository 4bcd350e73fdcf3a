"""A device whose memory holds so many examples and no more, for tests without a GPU."""

from types import SimpleNamespace
from typing import Any

import keras
import pytest


def hold_examples(patch: pytest.MonkeyPatch, most: int, *, trains: bool = True) -> list[int]:
    """Lets steps of more than ``most`` examples fail as TensorFlow fails where memory is full.

    Args:
        patch: Undoes it.
        most: How many examples find room.
        trains: Whether steps that find room are made; otherwise nothing is.

    Returns:
        The sizes of batches that were tried, in this order; it grows.
    """
    import tensorflow as tf

    fit, tried = keras.Model.fit, list[int]()

    def limited(model: keras.Model, batches: Any, **options: Any) -> Any:
        tried.append(len(batches[0][0]))
        if tried[-1] > most:
            raise tf.errors.ResourceExhaustedError(None, None, f"OOM when allocating tensor with shape[{tried[-1]},64,64,64]")
        return fit(model, batches, **options) if trains else SimpleNamespace(history={"loss": [0.0]})

    patch.setattr(keras.Model, "fit", limited)
    return tried


def pretend_gpu(patch: pytest.MonkeyPatch) -> None:
    """Lets this processor count as a GPU."""
    patch.setattr("cspine.training.core.batch_size.accelerator", lambda: "GPU of a test")
