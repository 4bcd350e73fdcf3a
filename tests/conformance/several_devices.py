"""Trains a tiny network on one and on two devices of JAX, and says how it goes: run by a test in another process."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from cspine.errors import UsageError
from cspine.training.core.backend import on_devices
from cspine.training.core.loop import train_network
from cspine.training.slices.family import slice_task
from tests.training.synthetic import KilledError, KillingReporter, Silent, fold_data, recipe, stored_arrays


def trained(home: Path, devices: int, reporter: Silent, **fit: float | int) -> int:
    """Trains a network, and returns on how many devices each of its weights lies."""
    settings, found = recipe(**fit), list[int]()

    def served(network: keras.Model) -> keras.Model:
        found.extend(len(weight.value.sharding.device_set) for weight in network.weights)
        return network

    with on_devices(devices):
        task = replace(slice_task(settings, fold_data(), reporter), served=served)
        train_network(task, settings.fit, settings.seed, home, reporter)
    assert len(set(found)) == 1, found
    return found[0]


def interrupted(home: Path) -> int:
    """Trains on two devices, is killed in the second epoch, and goes on."""
    try:
        return trained(home, 2, KillingReporter(after=7), checkpoint_minutes=0.0)
    except KilledError:
        return trained(home, 2, Silent(), checkpoint_minutes=0.0)


def refused(home: Path, devices: int, batch: int) -> str:
    """Returns why a network is not trained."""
    try:
        trained(home, devices, Silent(), batch=batch)
    except (UsageError, ValueError) as error:
        return str(error)
    return ""


def difference(one: Path, other: Path) -> float:
    """Returns the largest difference of a number in two checkpoints: of weights, optimiser, state of dropout."""
    first, second = stored_arrays(one), stored_arrays(other)
    return max(float(np.abs(first[name].astype(np.float64) - second[name]).max()) for name in first)


def main(folder: Path) -> None:
    """Writes what came of it, ``told.json``."""
    one, two = folder / "one", folder / "two"
    told = {
        "lie_on": [trained(one, 1, Silent()), interrupted(two)],
        "difference": difference(one, two),
        "uneven": refused(folder / "uneven", 2, 3),
        "too_many": refused(folder / "many", 3, 3),
        "left": keras.distribution.distribution() is None,
    }
    (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
