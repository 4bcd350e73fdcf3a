"""Transfer learning: a network that was trained on photographs, a slice and its two neighbours in, seven sigmoids out."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import keras

from cspine.networks.backbones import backbone_named
from cspine.networks.freezing import beyond_fine
from cspine.networks.heads import SliceHeads
from cspine.networks.pyramid import Pyramid


@keras.saving.register_keras_serializable(package="cspine")
class TransferNetwork(keras.Model):
    """A pretrained backbone under the heads of a slice network.

    A grey slice becomes three channels as the slice below, the slice and the slice above. What the backbone expects of its input
    is part of the network.

    Args:
        input_shape: Rows, columns and channels of a slice; three channels.
        backbone: A name of :data:`cspine.networks.backbones.BACKBONES`.
        head_width: Filters of the map that the heads read.
        dropout: Share of feature maps that are dropped before the heads.
        fracture_map: Whether a further output says where a reader would draw a box.
        near: Whether a fracture is looked for in the fine features of the backbone alone.
        magnify: Side of the square of pixels that the backbone sees for one pixel of the slice: 1 or 2.
        seed: Of the fresh weights and of dropout.
    """

    def __init__(  # noqa: PLR0913  # a network names everything that its config holds
        self,
        *,
        input_shape: Sequence[int],
        backbone: str,
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
        pyramid = Pyramid(backbone_named(backbone), input_shape[:2], head_width, seeds, magnify=magnify)
        heads = SliceHeads(seeds, dropout=dropout, fracture_map=fracture_map)

        # Functional model
        image = keras.Input(tuple(input_shape), name="slice")
        cells, fine = pyramid(image)
        evident = fine if near else cells
        super().__init__(inputs=image, outputs=heads(cells, near=evident), **kwargs)
        self._heads, self._evident = heads, evident

        # Config
        self.slice_shape = tuple(input_shape)
        self.backbone = backbone
        self.head_width = head_width
        self.dropout = dropout
        self.fracture_map = fracture_map
        self.near = near
        self.magnify = magnify
        self.seed = seed

    def on_patches(self) -> keras.Model:
        """Returns the part that says of each cell of 8 x 8 pixels whether it is fractured, with the weights of this network.

        With ``near``, the layers of the backbone after its fine features are no part of the evidence, and are not trained.
        """
        if self.near:
            for layer in beyond_fine(self):
                layer.trainable = False
        return self._heads.on_patches(self.inputs[0], self._evident)

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "input_shape": self.slice_shape,
            "backbone": self.backbone,
            "head_width": self.head_width,
            "dropout": self.dropout,
            "fracture_map": self.fracture_map,
            "near": self.near,
            "magnify": self.magnify,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "TransferNetwork":  # noqa: ARG003
        """Returns the network that :meth:`get_config` described."""
        return cls(**config)
