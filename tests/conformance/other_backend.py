"""Trains a small network on whatever framework ``KERAS_BACKEND`` names, and says what it says: run by a test in another process."""

import sys
from pathlib import Path

import keras
import numpy as np

from cspine.training.core.backend import prepare_backend, seed_everything
from cspine.training.core.loop import compiled
from cspine.training.slices.family import slice_task
from tests.training.synthetic import SPEC, Silent, fold_data, recipe


def main(folder: Path) -> None:
    """Writes ``network.keras``, and ``told.npz`` with its losses and its answers to some slices."""
    settings = recipe(learning_rate=0.02)
    prepare_backend(1)
    seed_everything(settings.seed)
    task = slice_task(settings, fold_data(), Silent())
    network = compiled(task, settings.fit)
    images, targets = task.batches(0, 0)[0]
    losses = []
    for _ in range(8):
        network.reset_metrics()
        losses.append(float(network.train_on_batch(images, targets, return_dict=True)["loss"]))
    slices = np.random.default_rng(0).random((2, *SPEC.size, SPEC.channels), dtype=np.float32)
    answers = {name: keras.ops.convert_to_numpy(answer) for name, answer in network.predict_on_batch(slices).items()}
    network.save(folder / "network.keras", include_optimizer=False)
    np.savez(folder / "told.npz", backend=keras.backend.backend(), losses=losses, slices=slices, **answers)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
