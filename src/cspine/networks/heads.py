"""Turns features of cells into the outputs of every slice network."""

from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from cspine.networks.convolution import fresh
from cspine.networks.layers import EvidencePooling, LevelAreas

LEVELS = 7

_RARE = -5.0
"""Evidence before training: a fracture is rare."""

_RARELY_BOXED = -3.0
"""Logit of a box on a cell before training."""


class SliceHeads:
    """The heads of a slice network: layers of the model that uses them.

    One says for each cell which level it is in, another how much it looks fractured; the fracture of a level is a smooth maximum of
    the latter within the former. With a fracture map a third says how likely a reader's box lies on the cell, and is read by the
    second.

    Args:
        seeds: Where the seeds of fresh weights and of dropout are taken from.
        dropout: Share of feature maps that are dropped.
        fracture_map: Whether there is a fracture map.
        own_levels: Whether the levels of the cells are predicted here, or come from elsewhere.
    """

    def __init__(self, seeds: Iterator[int], *, dropout: float, fracture_map: bool, own_levels: bool = True) -> None:
        self._drop = layers.SpatialDropout2D(dropout, seed=next(seeds), name="dropout")
        self._drop_near = layers.SpatialDropout2D(dropout, seed=next(seeds), name="dropout_near")
        self._level_map = (
            layers.Conv2D(LEVELS + 1, 1, kernel_initializer=fresh(seeds), name="level_map_logits") if own_levels else None
        )
        self._evidence = _logit("evidence", _RARE, seeds)
        self._boxed = _logit("fracture_map_logits", _RARELY_BOXED, seeds) if fracture_map else None
        self._visible = layers.Dense(LEVELS, kernel_initializer="identity", name="visible_logits")

    def __call__(self, cells: Any, levels: Any = None, near: Any = None) -> dict[str, Any]:
        """Returns outputs by name.

        Args:
            cells: Features, ``(n, rows, columns, width)``.
            levels: How much of each cell is background and C1..C7, ``(n, rows, columns, 8)``, where that is not predicted here.
            near: Features of which each sees little more than its cell, for the evidence: who sees a whole neck may learn which
                necks are fractured instead of what a fracture looks like. ``cells`` if ``None``.
        """
        logits, boxed = self._logits(cells if near is None else near)
        cells = self._drop(cells)
        if self._level_map is not None:
            levels = layers.Activation("softmax", dtype="float32", name="level_map")(self._level_map(cells))
        outputs = {}
        if boxed is not None:
            outputs["fracture_map"] = layers.Activation("sigmoid", dtype="float32", name="fracture_map")(boxed)
        fracture = EvidencePooling(LEVELS, dtype="float32", name="evidence_pooling")([logits, levels])
        visible = self._visible(LevelAreas(dtype="float32", name="areas")(levels))
        return {
            "fracture": layers.Activation("sigmoid", dtype="float32", name="fracture")(fracture),
            "visible": layers.Activation("sigmoid", dtype="float32", name="visible")(visible),
            "level_map": levels,
            **outputs,
        }

    def on_patches(self, image: Any, near: Any) -> keras.Model:
        """Returns the part of a network that says how much each cell looks fractured, ``(n, rows, columns, 1)`` in 0..1.

        Args:
            image: The input of the network.
            near: Features of its cells that the evidence is read from.
        """
        logits, _ = self._logits(near)
        return keras.Model(image, layers.Activation("sigmoid", dtype="float32", name="cells")(logits), name="cells_of_slices")

    def _logits(self, near: Any) -> tuple[Any, Any]:
        """Returns the evidence for a fracture of each cell, and the logit of a box on it, where there is such a map."""
        near = self._drop_near(near)
        if self._boxed is None:
            return self._evidence(near), None
        boxed = self._boxed(near)
        return self._evidence(layers.Concatenate(name="near_and_fracture_map")([near, boxed])), boxed


def _logit(name: str, before: float, seeds: Iterator[int]) -> layers.Conv2D:
    """Returns a convolution to one number per cell, which is ``before`` before training."""
    bias = keras.initializers.Constant(before)
    return layers.Conv2D(1, 1, kernel_initializer=fresh(seeds), bias_initializer=bias, name=name)
