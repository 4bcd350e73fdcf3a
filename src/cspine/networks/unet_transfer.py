"""A U-Net says which pixel is which vertebra; a pretrained network sees the slice with these maps and says what is broken."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import keras
import numpy as np
from keras import layers

from cspine.networks.backbones import backbone_named
from cspine.networks.convolution import fresh
from cspine.networks.heads import LEVELS, SliceHeads
from cspine.networks.layers import WithoutBackground
from cspine.networks.options import CELL
from cspine.networks.pyramid import Pyramid
from cspine.networks.unet import UNet

_COLOURS = 3


@keras.saving.register_keras_serializable(package="cspine")
class UNetTransferNetwork(keras.Model):
    """A U-Net before a pretrained backbone under the heads of a slice network.

    The maps of the U-Net are mixed into the three channels of the slice, one weight for each pair, which are zero in the beginning:
    the backbone first sees the slice as it is. The cells of the levels are the mean of the maps.

    Args:
        input_shape: Rows, columns and channels of a slice; three channels.
        backbone: A name of :data:`cspine.networks.backbones.BACKBONES`.
        widths: Filters of the U-Net, at the resolution of the slice and after each halving.
        head_width: Filters of the map that the heads read.
        dropout: Share of feature maps that are dropped before the heads.
        fracture_map: Whether there is a map of where a reader would draw a box. It is read from the features of the backbone.
        near: Whether a fracture is looked for in the fine features of the backbone alone, which then ends there.
        magnify: Side of the square of pixels that the backbone sees for one pixel of the slice: 1 or 2.
        seed: Of the fresh weights and of dropout.
    """

    def __init__(  # noqa: PLR0913  # a network names everything that its config holds
        self,
        *,
        input_shape: Sequence[int],
        backbone: str,
        widths: Sequence[int],
        head_width: int = 64,
        dropout: float = 0.2,
        fracture_map: bool = False,
        near: bool = False,
        magnify: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        # Layers
        seeds = count(seed * 1000)
        unet = UNet(widths, seeds)
        levels = layers.Conv2D(LEVELS + 1, 1, kernel_initializer=fresh(seeds), name="maps_logits")
        as_it_is = keras.initializers.Constant(np.eye(_COLOURS + LEVELS, _COLOURS)[None, None])
        mixed = layers.Conv2D(_COLOURS, 1, kernel_initializer=as_it_is, name="slice_and_maps")
        pyramid = Pyramid(backbone_named(backbone), input_shape[:2], head_width, seeds, magnify=magnify, coarsest=8 if near else 32)
        heads = SliceHeads(seeds, dropout=dropout, fracture_map=fracture_map, own_levels=False)

        # Functional model
        image = keras.Input(tuple(input_shape), name="slice")
        maps = layers.Activation("softmax", dtype="float32", name="maps")(levels(unet(image)))
        cells, _ = pyramid(mixed(layers.Concatenate(name="channels")([image, WithoutBackground(name="bone")(maps)])))
        outputs = heads(cells, layers.AveragePooling2D(CELL, dtype="float32", name="level_map")(maps))
        super().__init__(inputs=image, outputs=outputs | {"maps": maps}, **kwargs)
        self._heads, self._pyramid = heads, pyramid

        # Config
        self.slice_shape = tuple(input_shape)
        self.backbone = backbone
        self.widths = tuple(widths)
        self.head_width = head_width
        self.dropout = dropout
        self.fracture_map = fracture_map
        self.near = near
        self.magnify = magnify
        self.seed = seed

    def on_patches(self) -> keras.Model:
        """Returns the part that says of each cell of 8 x 8 pixels whether it is fractured, with the weights of this network.

        It sees the slice as it is, without the maps of the U-Net, as the whole network does in the beginning: a patch does not
        tell which vertebra it shows.
        """
        return self._heads.on_patches(self.inputs[0], self._pyramid(self.inputs[0])[0])

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "input_shape": self.slice_shape,
            "backbone": self.backbone,
            "widths": self.widths,
            "head_width": self.head_width,
            "dropout": self.dropout,
            "fracture_map": self.fracture_map,
            "near": self.near,
            "magnify": self.magnify,
            "seed": self.seed,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,  # noqa: ARG003
    ) -> "UNetTransferNetwork":
        """Returns the network that :meth:`get_config` described."""
        return cls(**config)
