"""The network of the founding description: convolution, pooling and dropout from scratch, a slice in, seven sigmoids out."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import keras
from keras import layers

from cspine.networks.convolution import Convolution
from cspine.networks.heads import SliceHeads

_FINE = 3
"""Halvings after which the heads read the slice: cells of eight pixels."""


@keras.saving.register_keras_serializable(package="cspine")
class CustomCNN(keras.Model):
    """A slice network without pretrained parts.

    Convolutions with pooling go down until a cell sees the whole neck; what they find there is brought back up beside the fine
    features. One head says for each cell which level it is in. The other says how much it looks fractured, from the fine features
    alone; the fracture of a level is a smooth maximum of the latter within the former.

    Args:
        input_shape: Rows, columns and channels of a slice.
        widths: Filters after each halving, the stem first.
        head_width: Filters of the map that the heads read.
        dropout: Share of feature maps that are dropped before the heads.
        fracture_map: Whether a further output says where a reader would draw a box.
        seed: Of the fresh weights and of dropout.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        widths: Sequence[int],
        head_width: int = 64,
        dropout: float = 0.2,
        fracture_map: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        # Layers
        seeds = count(seed * 1000)
        stem = Convolution("stem", widths[0], seeds, size=5, strides=2)
        firsts = [Convolution(f"stage{i}a", width, seeds) for i, width in enumerate(widths[1:], 1)]
        seconds = [Convolution(f"stage{i}b", width, seeds) for i, width in enumerate(widths)]
        context = Convolution("context", head_width, seeds, size=1)
        neck = Convolution("neck", head_width, seeds)
        near = Convolution("near", head_width, seeds, size=1)
        heads = SliceHeads(seeds, dropout=dropout, fracture_map=fracture_map)

        # Functional model
        image = keras.Input(tuple(input_shape), name="slice")
        x = seconds[0](stem(image))
        fine = x
        for halvings, (first, second) in enumerate(zip(firsts, seconds[1:], strict=True), 2):
            x = second(first(layers.MaxPooling2D(name=f"pool{halvings}")(x)))
            fine = x if halvings == _FINE else fine
        wide = layers.UpSampling2D(2 ** (len(widths) - _FINE), interpolation="bilinear", name="context_up")(context(x))
        cells = neck(layers.Concatenate(name="fine_and_context")([fine, wide]))
        evident = near(fine)
        super().__init__(inputs=image, outputs=heads(cells, near=evident), **kwargs)
        self._heads, self._evident = heads, evident

        # Config
        self.slice_shape = tuple(input_shape)
        self.widths = tuple(widths)
        self.head_width = head_width
        self.dropout = dropout
        self.fracture_map = fracture_map
        self.seed = seed

    def on_patches(self) -> keras.Model:
        """Returns the part that says of each cell of 8 x 8 pixels whether it is fractured, with the weights of this network."""
        return self._heads.on_patches(self.inputs[0], self._evident)

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "input_shape": self.slice_shape,
            "widths": self.widths,
            "head_width": self.head_width,
            "dropout": self.dropout,
            "fracture_map": self.fracture_map,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "CustomCNN":  # noqa: ARG003
        """Returns the network that :meth:`get_config` described."""
        return cls(**config)
