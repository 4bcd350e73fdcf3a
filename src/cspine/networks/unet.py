"""An encoder and a decoder with bridges between them (Ronneberger et al., 2015)."""

from collections.abc import Iterator, Sequence
from typing import Any

from keras import layers

from cspine.networks.convolution import Convolution, fresh


class UNet:
    """Features at the resolution of the slice that know of the whole neck: layers of the model that uses them.

    Args:
        widths: Filters at the resolution of the slice and after each halving.
        seeds: Where the seeds of fresh weights are taken from.
    """

    def __init__(self, widths: Sequence[int], seeds: Iterator[int]) -> None:
        self._down = [_Pair(f"down{i}", width, seeds) for i, width in enumerate(widths)]
        self._expand = [
            layers.Conv2DTranspose(width, 2, strides=2, kernel_initializer=fresh(seeds), name=f"up{i}_expand")
            for i, width in enumerate(widths[:-1])
        ]
        self._up = [_Pair(f"up{i}", width, seeds) for i, width in enumerate(widths[:-1])]

    def __call__(self, x: Any) -> Any:
        """Returns features ``(n, rows, columns, widths[0])`` of channels ``(n, rows, columns, channels)``."""
        bridges = []
        for i, pair in enumerate(self._down):
            x = pair(layers.MaxPooling2D(name=f"down{i}_pool")(x) if i else x)
            bridges.append(x)
        for i in reversed(range(len(self._up))):
            x = layers.Concatenate(name=f"up{i}_bridge")([bridges[i], self._expand[i](x)])
            x = self._up[i](x)
        return x


class _Pair:
    """Two convolutions."""

    def __init__(self, name: str, width: int, seeds: Iterator[int]) -> None:
        self._first, self._second = (Convolution(f"{name}{part}", width, seeds) for part in "ab")

    def __call__(self, x: Any) -> Any:
        return self._second(self._first(x))
