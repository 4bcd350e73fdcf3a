"""Features of cells of eight pixels of the slices of a vertebra, by a small backbone of our own or by one from photographs."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from cspine.networks.backbones import backbone_named
from cspine.networks.convolution import Convolution, fresh
from cspine.networks.pyramid import Pyramid
from cspine.specs import FRACTURE_CELL

_FINE = 3
"""Halvings after which cells are classified: :data:`FRACTURE_CELL` pixels."""

_COLOURS, _COARSEST = 3, 16


class OwnFeaturesOfSlices:
    """Pairs of convolutions with pooling between; what the coarsest sees is brought back up beside the fine cells."""

    def __init__(self, widths: Sequence[int], close: int, seeds: Iterator[int], *, residual: bool) -> None:
        self._stem = Convolution("stem", widths[0], seeds, size=5, strides=2)
        self._pairs = [_pair(f"stage{i}", width, seeds) for i, width in enumerate(widths[1:], 1)]
        self._context = Convolution("context", widths[_FINE - 1], seeds, size=1)
        self._neck = Convolution("neck", widths[_FINE - 1], seeds, size=1)
        self._up = 2 ** (len(widths) - _FINE)
        self._close = _pair("close", close, seeds) if close else None
        self._residual = residual

    def __call__(self, slices: Any) -> Any:
        """Returns features of cells ``(n, rows / 8, columns / 8, width)``."""
        x = self._stem(slices)
        if self._close:
            x = self._bridged(*self._close, x, "bridge1")
        fine = x
        for halvings, pair in enumerate(self._pairs, 2):
            x = self._bridged(*pair, layers.MaxPooling2D(name=f"pool{halvings}")(x), f"bridge{halvings}")
            fine = x if halvings == _FINE else fine
        wide = layers.UpSampling2D(self._up, interpolation="bilinear", name="context_up")(self._context(x))
        return self._neck(layers.Concatenate(name="fine_and_context")([fine, wide]))

    def _bridged(self, first: Convolution, second: Convolution, x: Any, name: str) -> Any:
        x = first(x)
        return layers.Add(name=name)([x, second(x)]) if self._residual else second(x)


class PretrainedFeaturesOfSlices:
    """A backbone that was trained on photographs, up to cells of 16 pixels; the mask of the vertebra joins its features.

    It begins with the slice and its neighbours as the three colours, and learns which of the slices around to mix into them.

    Args:
        backbone: A name of :data:`cspine.networks.backbones.BACKBONES`.
        channels: Of a slice: its neighbours and itself, and the mask of the vertebra last.
        width: Filters of the features.
        seeds: Where the seeds of fresh weights are taken from.
    """

    def __init__(self, backbone: str, channels: int, width: int, seeds: Iterator[int]) -> None:
        start = keras.initializers.Constant(_middle_three(channels - 1)[None, None])
        self._colours = layers.Conv2D(_COLOURS, 1, use_bias=False, kernel_initializer=start, name="colours")
        self._pyramid = Pyramid(backbone_named(backbone), (None, None), width, seeds, coarsest=_COARSEST)
        self._share = layers.AveragePooling2D(FRACTURE_CELL, name="mask_of_cells")
        self._joined = layers.Conv2D(width, 1, activation="relu", kernel_initializer=fresh(seeds), name="fine_and_mask")

    def __call__(self, slices: Any) -> Any:
        """Returns features of cells ``(n, rows / 8, columns / 8, width)``."""
        cells, _ = self._pyramid(self._colours(slices[..., :-1]))
        return self._joined(layers.Concatenate(name="with_mask")([cells, self._share(slices[..., -1:])]))


def _middle_three(slices: int) -> Any:
    """Returns what takes the middle one of some slices and the two around it, ``(slices, 3)``."""
    middle = slices // 2
    kernel = np.zeros((slices, _COLOURS), np.float32)
    for colour, index in enumerate((middle - 1, middle, middle + 1)):
        kernel[min(max(index, 0), slices - 1), colour] = 1
    return kernel


def _pair(name: str, width: int, seeds: Iterator[int]) -> tuple[Convolution, Convolution]:
    return Convolution(f"{name}a", width, seeds), Convolution(f"{name}b", width, seeds)
