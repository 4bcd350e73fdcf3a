"""Layers that the families share."""

from typing import Any

import keras
from keras import ops

_SMALLEST = 1e-4
"""Less of a level than this in a cell is none: it bounds the logit of a fracture where a level is not in the slice."""


@keras.saving.register_keras_serializable(package="cspine")
class EvidencePooling(keras.layers.Layer):
    """Pools one map of fracture evidence, by the maps of the levels, to one logit per level.

    ``logit = log(sum over cells of level_map * exp(evidence)) + bias``: a smooth maximum of the evidence over the cells in which
    the level lies, so that a gap of few pixels counts wherever it is, and counts for the level that it is in. All levels share the
    evidence, and learn from one another's fractures.

    Args:
        levels: How many levels are classified; the map of cells has one entry more, background first.
    """

    def __init__(self, levels: int = 7, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = levels
        self.bias = self.add_weight(shape=(levels,), initializer="zeros", name="bias")

    def call(self, inputs: list[Any]) -> Any:
        """Returns logits ``(n, levels)`` of evidence ``(n, rows, columns, 1)`` and cells ``(n, rows, columns, levels + 1)``."""
        evidence, level_map = inputs
        inside = ops.log(level_map[..., 1:] + _SMALLEST)
        return ops.logsumexp(evidence + inside, axis=(1, 2)) + self.bias

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Returns ``(n, levels)``."""
        return (input_shape[0][0], self.levels)

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {**super().get_config(), "levels": self.levels}


@keras.saving.register_keras_serializable(package="cspine")
class LevelAreas(keras.layers.Layer):
    """The logarithm of the area of each level in a slice, in cells, from the map of cells."""

    def call(self, level_map: Any) -> Any:
        """Returns logarithms ``(n, levels)`` of the sums of cells ``(n, rows, columns, levels + 1)``, background left out."""
        return ops.log(ops.sum(level_map[..., 1:], axis=(1, 2)) + _SMALLEST)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns ``(n, levels)``."""
        return (input_shape[0], (input_shape[-1] or 1) - 1)


@keras.saving.register_keras_serializable(package="cspine")
class WithoutBackground(keras.layers.Layer):
    """The maps of the levels alone, from maps whose first is the background."""

    def call(self, maps: Any) -> Any:
        """Returns maps ``(n, rows, columns, levels)`` of maps ``(n, rows, columns, levels + 1)``."""
        return maps[..., 1:]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape, one map less."""
        return (*input_shape[:-1], (input_shape[-1] or 1) - 1)
