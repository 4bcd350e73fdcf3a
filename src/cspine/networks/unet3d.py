"""A 3-D U-Net that classifies each voxel by the vertebra it belongs to (Cicek et al., 2016)."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import keras
from keras import layers

from cspine.networks.convolution import fresh


@keras.saving.register_keras_serializable(package="cspine")
class UNet3D(keras.Model):
    """Encoder and decoder with bridges, in three dimensions; each map is normalised by itself (Ulyanov et al., 2016).

    Args:
        input_shape: Voxels of a window and its channels, ``(z, y, x, c)``.
        widths: Filters at full resolution and after each halving.
        classes: What a voxel may be.
        output: The name of what it says.
        seed: Of the fresh weights.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        widths: Sequence[int],
        classes: int,
        output: str = "levels",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        # Layers
        seeds = count(seed * 1000)
        down = [_Pair(f"down{i}", width, seeds) for i, width in enumerate(widths)]
        expand = [
            layers.Conv3DTranspose(width, 2, strides=2, kernel_initializer=fresh(seeds), name=f"up{i}_expand")
            for i, width in enumerate(widths[:-1])
        ]
        up = [_Pair(f"up{i}", width, seeds) for i, width in enumerate(widths[:-1])]
        logits = layers.Conv3D(classes, 1, kernel_initializer=fresh(seeds), name=f"{output}_logits")

        # Functional model
        window = keras.Input(tuple(input_shape), name="window")
        x, bridges = window, []
        for i, pair in enumerate(down):
            x = pair(layers.MaxPooling3D(name=f"down{i}_pool")(x) if i else x)
            bridges.append(x)
        for i in reversed(range(len(up))):
            x = layers.Concatenate(name=f"up{i}_bridge")([bridges[i], expand[i](x)])
            x = up[i](x)
        probabilities = layers.Activation("softmax", dtype="float32", name=output)(logits(x))
        super().__init__(inputs=window, outputs={output: probabilities}, **kwargs)

        # Config
        self.window_shape = tuple(input_shape)
        self.widths = tuple(widths)
        self.classes = classes
        self.output_role = output
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "input_shape": self.window_shape,
            "widths": self.widths,
            "classes": self.classes,
            "output": self.output_role,
            "seed": self.seed,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,  # noqa: ARG003
    ) -> "UNet3D":
        """Returns the network that :meth:`get_config` described."""
        return cls(**config)


def of_any_window(trained: keras.Model) -> keras.Model:
    """Returns the same network for inputs of any size.

    Args:
        trained: A :class:`UNet3D` of some window.

    Returns:
        Takes windows ``(n, z, y, x, c)`` whose sides can be halved as often as the network does; its weights are copies.
    """
    config = trained.get_config()
    config["input_shape"] = (None, None, None, config["input_shape"][-1])
    twin = type(trained).from_config(config)
    twin.set_weights(trained.get_weights())
    return twin


class _Pair:
    """Two convolutions, each with normalisation and a leaky rectifier."""

    def __init__(self, name: str, width: int, seeds: Iterator[int]) -> None:
        self._layers = [layer for part in "ab" for layer in _convolution(f"{name}{part}", width, seeds)]

    def __call__(self, x: Any) -> Any:
        for layer in self._layers:
            x = layer(x)
        return x


def _convolution(name: str, width: int, seeds: Iterator[int]) -> tuple[layers.Layer, ...]:
    return (
        layers.Conv3D(width, 3, padding="same", use_bias=False, kernel_initializer=fresh(seeds), name=f"{name}_convolution"),
        layers.GroupNormalization(-1, name=f"{name}_normalisation"),
        layers.LeakyReLU(0.01, name=f"{name}_relu"),
    )
