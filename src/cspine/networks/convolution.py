"""Convolution, batch normalisation, ReLU: what networks from scratch are made of."""

from collections.abc import Iterator
from typing import Any

import keras
from keras import layers


class Convolution:
    """Convolution, batch normalisation, ReLU: layers of the model that uses them."""

    def __init__(self, name: str, filters: int, seeds: Iterator[int], *, size: int = 3, strides: int = 1) -> None:
        self._layers = (
            layers.Conv2D(
                filters, size, strides, padding="same", use_bias=False, kernel_initializer=fresh(seeds), name=f"{name}_convolution"
            ),
            layers.BatchNormalization(momentum=0.98, name=f"{name}_normalisation"),
            layers.ReLU(name=f"{name}_relu"),
        )

    def __call__(self, x: Any) -> Any:
        """Returns what comes out of all three."""
        for layer in self._layers:
            x = layer(x)
        return x


def fresh(seeds: Iterator[int]) -> keras.initializers.Initializer:
    """Returns fresh weights of a convolution (He et al., 2015), from the next seed."""
    return keras.initializers.HeNormal(seed=next(seeds))
