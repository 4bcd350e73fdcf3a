"""The flagship: it classifies each vertebra slice by slice, and then the seven together."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import keras
from keras import layers

from cspine.networks.convolution import fresh
from cspine.networks.instances import InView, NoisyOr, OwnCells, OwnFeatures, Refold, SelfAttention, SliceAttention, StudyTokens
from cspine.networks.options import VertebraBackbone
from cspine.networks.slice_features import OwnFeaturesOfSlices, PretrainedFeaturesOfSlices
from cspine.specs import FRACTURE_CELL

_RARE = -4.0
"""Logit of a fracture before training, of a cell and of a vertebra."""

_EXACT = "float32"
"""What the layers behind the backbone calculate in, whatever the policy is: sums of logits are too coarse in bfloat16."""


@keras.saving.register_keras_serializable(package="cspine")
class VertebraMIL(keras.Model):
    """Multiple-instance learning over the slices of each vertebra, then attention among the vertebrae.

    A convolutional backbone sees every slice (with its neighbours and the mask of the vertebra as channels) and says of
    each cell of eight pixels how much it looks fractured. What lies in the vertebra's own cells makes the features of the slice;
    gated attention weighs the slices of a vertebra. The seven vertebrae, and a token for the study, attend to one another.
    Slices and vertebrae are folded into the batch, so that everything is convolution or attention.

    Answers ``fracture`` ``(n, 7)``, ``overall`` ``(n, 1)``, ``slices`` ``(n, 7, slices)``, how much each slice looks fractured,
    ``attention`` ``(n, 7, slices)``, its weight, and ``fracture_map`` ``(n, 7, slices, rows / 8, columns / 8)``, all in 0..1.

    Args:
        input_shape: Of the crops of one study, ``(7, slices, rows, columns, channels)``.
        widths: Filters after each halving of a slice, the stem first; four at least.
        close: Filters of a pair of convolutions right behind the stem, before anything is pooled; 0 is none.
        residual: Whether pairs of convolutions are bridged (He et al., 2016).
        width: Of the features of slices and of tokens.
        mixers: Layers of attention among the vertebrae; with 0 each is classified alone, and any fracture is their noisy-OR.
        heads: Of each such layer.
        dropout: Share of features that are dropped.
        neighbour_weight: How much cells next to those of a vertebra count as its own.
        backbone: What classifies the cells of a slice: our own, or a name of :data:`cspine.networks.backbones.BACKBONES`, for which
            ``widths``, ``close`` and ``residual`` count nothing.
        seed: Of the fresh weights and of dropout.
    """

    def __init__(  # noqa: PLR0913  # a network names everything that its config holds
        self,
        *,
        input_shape: Sequence[int],
        widths: Sequence[int] = (16, 32, 64, 96),
        close: int = 0,
        residual: bool = False,
        width: int = 96,
        mixers: int = 2,
        heads: int = 4,
        dropout: float = 0.2,
        neighbour_weight: float = 0.0,
        backbone: str = VertebraBackbone.OWN,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        # Layers
        levels, slices, rows, columns, channels = input_shape
        seeds = count(seed * 1000)
        features_of = (
            OwnFeaturesOfSlices(widths, close, seeds, residual=residual)
            if backbone == VertebraBackbone.OWN
            else PretrainedFeaturesOfSlices(backbone, channels, width, seeds)
        )
        evidence = _logit("evidence", seeds, convolution=True)
        embed = layers.Dense(width, activation="relu", kernel_initializer=fresh(seeds), dtype=_EXACT, name="slice_features")
        attend = SliceAttention(width, seed=next(seeds), dtype=_EXACT, name="attend")
        describe = layers.Dense(width, kernel_initializer=fresh(seeds), dtype=_EXACT, name="vertebra_features")
        mixer = [_Mixer(f"mixer{i}", width, heads, dropout, seeds) for i in range(mixers)]
        level, study = _logit("level", seeds), _logit("study", seeds, before=0.0)

        # Functional model
        crops = keras.Input(tuple(input_shape), name="crops")
        there = InView(dtype=_EXACT, name="in_view")(crops)
        flat = Refold((rows, columns, channels), name="fold")(crops)
        cells = features_of(flat)
        broken = evidence(cells)
        features, slice_logits = OwnFeatures(dtype=_EXACT, name="own")(
            [cells, broken, OwnCells(FRACTURE_CELL, neighbour_weight, dtype=_EXACT, name="own_cells")(flat)]
        )
        features = layers.Dropout(dropout, seed=next(seeds), dtype=_EXACT, name="dropout")(embed(features))
        features = Refold((levels, slices, width), dtype=_EXACT, name="unfold_features")(features)
        slice_logits = Refold((levels, slices, 1), dtype=_EXACT, name="unfold_slices")(slice_logits)
        vertebrae, weights = attend([features, slice_logits])
        tokens, mask = StudyTokens(seed=next(seeds), dtype=_EXACT, name="tokens")([describe(vertebrae), there])
        for mix in mixer:
            tokens = mix(tokens, mask)
        level_logits = Refold((levels,), dtype=_EXACT, name="level_logits")(
            level(layers.Concatenate(dtype=_EXACT, name="of_level")([tokens[:, 1:], vertebrae]))
        )
        overall = NoisyOr(dtype=_EXACT, name="noisy_or")([level_logits, there])
        if mixer:
            overall = layers.Add(dtype=_EXACT, name="of_study")([overall, study(tokens[:, 0])])
        maps = Refold((levels, slices, rows // FRACTURE_CELL, columns // FRACTURE_CELL), dtype=_EXACT, name="unfold_map")(broken)
        logits = {
            "fracture": level_logits,
            "overall": overall,
            "slices": Refold((levels, slices), dtype=_EXACT, name="slice_logits")(slice_logits),
            "fracture_map": maps,
        }
        outputs = {name: layers.Activation("sigmoid", dtype=_EXACT, name=name)(logit) for name, logit in logits.items()}
        outputs["attention"] = layers.Activation("linear", dtype=_EXACT, name="attention")(weights)
        super().__init__(inputs=crops, outputs=outputs, **kwargs)
        self._features_of, self._evidence = features_of, evidence

        # Config
        self.crops_shape = tuple(input_shape)
        self.widths = tuple(widths)
        self.close = close
        self.residual = residual
        self.width = width
        self.mixers = mixers
        self.heads = heads
        self.dropout = dropout
        self.neighbour_weight = neighbour_weight
        self.backbone = str(backbone)
        self.seed = seed

    def on_slices(self, size: Sequence[int]) -> keras.Model:
        """Returns the part that classifies cells, on slices of any size, with the very weights of this network.

        Args:
            size: Rows and columns, in multiples of what the backbone halves.

        Returns:
            Takes slices ``(n, rows, columns, channels)`` and says ``(n, rows / 8, columns / 8, 1)``, in 0..1.
        """
        slices = keras.Input((*size, self.crops_shape[-1]), name="slices")
        cells = layers.Activation("sigmoid", dtype=_EXACT, name="cells")(self._evidence(self._features_of(slices)))
        return keras.Model(slices, cells, name="cells_of_slices")

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "input_shape": self.crops_shape,
            "widths": self.widths,
            "close": self.close,
            "residual": self.residual,
            "width": self.width,
            "mixers": self.mixers,
            "heads": self.heads,
            "dropout": self.dropout,
            "neighbour_weight": self.neighbour_weight,
            "backbone": self.backbone,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "VertebraMIL":  # noqa: ARG003
        """Returns the network that :meth:`get_config` described."""
        return cls(**config)


class _Mixer:
    """Attention of tokens to one another and what follows it, each after a normalisation and beside a bridge."""

    def __init__(self, name: str, width: int, heads: int, dropout: float, seeds: Iterator[int]) -> None:
        self._name = name
        self._before, self._between = (
            layers.LayerNormalization(epsilon=1e-5, dtype=_EXACT, name=f"{name}_{place}") for place in ("before", "between")
        )
        self._attend = SelfAttention(heads, seed=next(seeds), dtype=_EXACT, name=f"{name}_attention")
        self._expand = layers.Dense(
            2 * width, activation="relu", kernel_initializer=fresh(seeds), dtype=_EXACT, name=f"{name}_expand"
        )
        self._project = layers.Dense(width, kernel_initializer=fresh(seeds), dtype=_EXACT, name=f"{name}_project")
        self._drops = [layers.Dropout(dropout, seed=next(seeds), dtype=_EXACT, name=f"{name}_dropout{i}") for i in range(2)]

    def __call__(self, tokens: Any, mask: Any) -> Any:
        """Returns tokens ``(n, 8, width)``."""
        attended = self._drops[0](self._attend([self._before(tokens), mask]))
        tokens = layers.Add(dtype=_EXACT, name=f"{self._name}_attended")([tokens, attended])
        projected = self._drops[1](self._project(self._expand(self._between(tokens))))
        return layers.Add(dtype=_EXACT, name=f"{self._name}_projected")([tokens, projected])


def _logit(name: str, seeds: Iterator[int], *, before: float = _RARE, convolution: bool = False) -> layers.Layer:
    """Returns a layer to one number, which is about ``before`` before training."""
    start = {
        "kernel_initializer": keras.initializers.GlorotUniform(seed=next(seeds)),
        "bias_initializer": keras.initializers.Constant(before),
    }
    return layers.Conv2D(1, 1, name=name, **start) if convolution else layers.Dense(1, dtype=_EXACT, name=name, **start)
