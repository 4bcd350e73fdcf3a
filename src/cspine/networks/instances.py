"""Layers of the network that classifies vertebra by vertebra: from cells to slices, to vertebrae, to the study."""

import math
from typing import Any

import keras
from keras import ops

_NOTHING = 1e-4
"""Less of a vertebra in a cell than this is none: it bounds logarithms."""

_HIDDEN = -1e4
"""Added to what must not be attended to."""


@keras.saving.register_keras_serializable(package="cspine")
class Refold(keras.layers.Layer):
    """Other axes behind the first: parts of a study become entries of a batch, or the other way round.

    Args:
        shape: Of one entry.
    """

    def __init__(self, shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def call(self, x: Any) -> Any:
        """Returns ``(n, *shape)``, however many that are."""
        return ops.reshape(x, (-1, *self.shape))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:  # noqa: ARG002
        """Returns the shape, with as many entries as there are."""
        return (None, *self.shape)

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {**super().get_config(), "shape": self.shape}


@keras.saving.register_keras_serializable(package="cspine")
class OwnCells(keras.layers.Layer):
    """Computes how much of a cell belongs to the vertebra: the mean of the last channel, or a share of that of a cell next to it.

    Args:
        cell: Pixels of a cell along rows and columns.
        neighbour_weight: This share; with 0 only the cell itself counts.
    """

    def __init__(self, cell: int, neighbour_weight: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell, self.neighbour_weight = cell, neighbour_weight

    def call(self, slices: Any) -> Any:
        """Returns shares ``(n, rows / cell, columns / cell, 1)`` of slices ``(n, rows, columns, channels)``."""
        own = ops.average_pool(slices[..., -1:], self.cell, self.cell)
        return ops.maximum(own, self.neighbour_weight * ops.max_pool(own, 3, 1, padding="same")) if self.neighbour_weight else own

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns one number per cell."""
        n, rows, columns, _ = input_shape
        return (n, (rows or 0) // self.cell, (columns or 0) // self.cell, 1)

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {**super().get_config(), "cell": self.cell, "neighbour_weight": self.neighbour_weight}


@keras.saving.register_keras_serializable(package="cspine")
class OwnFeatures(keras.layers.Layer):
    """Computes the largest and the mean of each feature over the cells of the vertebra, and a smooth maximum of their evidence."""

    def call(self, inputs: list[Any]) -> tuple[Any, Any]:
        """Returns features ``(n, 2 width + 1)`` and the logit of the slice ``(n, 1)``.

        Takes features ``(n, r, c, width)``, evidence ``(n, r, c, 1)`` and shares ``(n, r, c, 1)``.
        """
        features, evidence, own = inputs
        logit = ops.logsumexp(evidence + ops.log(own + _NOTHING), axis=(1, 2))
        most = ops.max(features * own, axis=(1, 2))
        mean = ops.sum(features * own, axis=(1, 2)) / (ops.sum(own, axis=(1, 2)) + 1.0)
        return ops.concatenate([most, mean, logit], axis=-1), logit

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[tuple[int | None, ...], ...]:
        """Returns the shapes of both."""
        n, width = input_shape[0][0], input_shape[0][-1] or 0
        return (n, 2 * width + 1), (n, 1)


@keras.saving.register_keras_serializable(package="cspine")
class InView(keras.layers.Layer):
    """Computes which levels are in the scan: those that have a mask anywhere."""

    def call(self, crops: Any) -> Any:
        """Returns 1 or 0, ``(n, 7)``, of crops ``(n, 7, slices, rows, columns, channels)``."""
        return ops.cast(ops.max(crops[..., -1], axis=(2, 3, 4)) > 0, crops.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns one number per level."""
        return input_shape[:2]


@keras.saving.register_keras_serializable(package="cspine")
class SliceAttention(keras.layers.Layer):
    """Gated attention over the slices of a vertebra (Ilse, Tomczak and Welling, 2018).

    Args:
        width: Of its gates.
        seed: Of its weights.
    """

    def __init__(self, width: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.seed = width, seed
        start = [keras.initializers.GlorotUniform(seed=seed + i) for i in range(3)]
        same = self.dtype_policy
        self._content = keras.layers.Dense(width, "tanh", kernel_initializer=start[0], dtype=same, name="content")
        self._gate = keras.layers.Dense(width, "sigmoid", kernel_initializer=start[1], dtype=same, name="gate")
        self._weight = keras.layers.Dense(1, kernel_initializer=start[2], dtype=same, name="weight")

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """Makes the weights."""
        self._content.build(input_shape[0])
        self._gate.build(input_shape[0])
        self._weight.build((*input_shape[0][:-1], self.width))

    def call(self, inputs: list[Any]) -> tuple[Any, Any]:
        """Returns features of vertebrae ``(n, 7, width + 1)`` and the weights of their slices ``(n, 7, slices)``.

        Takes features ``(n, 7, slices, width)`` and logits of slices ``(n, 7, slices, 1)``. The last feature is a smooth maximum
        of the logits.
        """
        features, logits = inputs
        weights = ops.softmax(self._weight(self._content(features) * self._gate(features)), axis=2)
        largest = ops.logsumexp(logits, axis=2)
        return ops.concatenate([ops.sum(weights * features, axis=2), largest], axis=-1), weights[..., 0]

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[tuple[int | None, ...], ...]:
        """Returns the shapes of both."""
        n, levels, slices, width = input_shape[0]
        return (n, levels, (width or 0) + 1), (n, levels, slices)

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {**super().get_config(), "width": self.width, "seed": self.seed}


@keras.saving.register_keras_serializable(package="cspine")
class StudyTokens(keras.layers.Layer):
    """A token of the study before those of its vertebrae, each of which learns which level it is; and who may be attended to.

    Args:
        seed: Of its weights.
    """

    def __init__(self, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """Makes the weights."""
        _, levels, width = input_shape[0]
        start = keras.initializers.RandomNormal(stddev=0.02, seed=self.seed)
        self._place = self.add_weight(shape=((levels or 0) + 1, width), initializer=start, name="place")

    def call(self, inputs: list[Any]) -> tuple[Any, Any]:
        """Returns tokens ``(n, 8, width)``, and what is added to attention ``(n, 1, 1, 8)``.

        Takes tokens of vertebrae ``(n, 7, width)`` and which are there ``(n, 7)``.
        """
        tokens, there = inputs
        first = ops.zeros_like(tokens[:, :1])
        seen = ops.concatenate([ops.ones_like(there[:, :1]), there], axis=1)
        return ops.concatenate([first, tokens], axis=1) + self._place, ((1 - seen) * _HIDDEN)[:, None, None, :]

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[tuple[int | None, ...], ...]:
        """Returns the shapes of both."""
        n, levels, width = input_shape[0]
        return (n, (levels or 0) + 1, width), (n, 1, 1, (levels or 0) + 1)

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package="cspine")
class SelfAttention(keras.layers.Layer):
    """Attention of tokens to one another with several heads (Vaswani et al., 2017); its mask is added, which exports everywhere.

    Args:
        heads: How many; they share the width.
        seed: Of its weights.
    """

    def __init__(self, heads: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.seed = heads, seed

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """Makes the weights."""
        width = input_shape[0][-1]
        start = [keras.initializers.GlorotUniform(seed=self.seed + i) for i in range(2)]
        same = self.dtype_policy
        self._in = keras.layers.Dense(3 * (width or 0), kernel_initializer=start[0], dtype=same, name="in")
        self._out = keras.layers.Dense(width, kernel_initializer=start[1], dtype=same, name="out")
        self._in.build(input_shape[0])
        self._out.build(input_shape[0])

    def call(self, inputs: list[Any]) -> Any:
        """Returns tokens ``(n, t, width)`` of tokens ``(n, t, width)`` and a mask ``(n, 1, 1, t)``."""
        tokens, mask = inputs
        count, width = tokens.shape[1:]
        parts = ops.reshape(self._in(tokens), (-1, count, 3, self.heads, width // self.heads))
        query, key, value = (ops.transpose(parts[:, :, i], (0, 2, 1, 3)) for i in range(3))
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / math.sqrt(width // self.heads) + mask
        found = ops.transpose(ops.matmul(ops.softmax(scores, axis=-1), value), (0, 2, 1, 3))
        return self._out(ops.reshape(found, (-1, count, width)))

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Returns the shape of the tokens."""
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {**super().get_config(), "heads": self.heads, "seed": self.seed}


@keras.saving.register_keras_serializable(package="cspine")
class NoisyOr(keras.layers.Layer):
    """The logit of any of the levels that are there, were they independent."""

    def call(self, inputs: list[Any]) -> Any:
        """Returns logits ``(n, 1)`` of logits ``(n, 7)`` and which are there ``(n, 7)``."""
        logits, there = inputs
        none = -ops.sum(there * ops.softplus(logits), axis=1, keepdims=True)  # logarithm of the chance of none
        none = ops.minimum(none, -_NOTHING)
        return ops.log1p(-ops.exp(none)) - none

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Returns one number."""
        return (input_shape[0][0], 1)
