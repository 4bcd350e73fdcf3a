"""Puts the weights of a trained network, or of some of its layers, into a fresh one."""

from collections.abc import Callable
from pathlib import Path

import keras

from cspine.errors import TrainingError
from cspine.networks.loading import load_network

Build = Callable[[], keras.Model]
"""Makes a network with its initial weights."""


def set_weights_of_file(network: keras.Model, path: Path) -> keras.Model:
    """Puts the weights of a trained network in the place of fresh ones.

    Args:
        network: A fresh network; it is changed.
        path: A ``.keras`` file of a network of the same layers.

    Returns:
        The network.

    Raises:
        TrainingError: There is no such file, or its network has other layers.
    """
    try:
        network.set_weights(load_network(path).get_weights())
    except ValueError as error:
        raise TrainingError(
            f"Initial weights need a network of the same layers. {path} has others; set network as it was trained, or leave "
            "initial_weights out."
        ) from error
    return network


def with_file(build: Build, path: Path) -> keras.Model:
    """Returns a network with the weights of a trained one of the same layers."""
    return set_weights_of_file(build(), path)


def with_layers_of(build: Build, trained: Path, *, frozen: bool = False) -> keras.Model:
    """Returns a network with the layers of another, found by name; frozen, their batch normalisation stays as it is too."""
    network = build()
    for layer in load_network(trained).layers:
        if layer.weights:
            own = network.get_layer(layer.name)
            own.set_weights(layer.get_weights())
            own.trainable = not frozen
    return network
