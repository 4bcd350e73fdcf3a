"""Defines what settings and networks both know: names, cells, stages of training."""

from dataclasses import dataclass
from enum import StrEnum

CELL = 8
"""Pixels along a side of a cell of the map of levels."""

IMAGENET, NONE = "imagenet", "none"
"""What weights may be called instead of a path."""


WHOLE = "all"
"""What the first layer that is fine-tuned may be called instead: all layers of the backbone are."""


class BackboneName(StrEnum):
    """Networks that were trained on photographs."""

    DENSENET121 = "densenet121"
    INCEPTION_V3 = "inception_v3"
    INCEPTION_RESNET_V2 = "inception_resnet_v2"


class VertebraBackbone(StrEnum):
    """Networks that classify the slices of a vertebra: our own small one, and those that were trained on photographs."""

    OWN = "own"
    DENSENET121 = "densenet121"
    INCEPTION_V3 = "inception_v3"
    INCEPTION_RESNET_V2 = "inception_resnet_v2"
    EFFICIENTNET_V2_S = "efficientnet_v2_s"
    CONVNEXT_TINY = "convnext_tiny"


class Learning(StrEnum):
    """Says which part of a network learns."""

    ALL = "all"
    HEADS = "heads"
    TUNING = "tuning"


@dataclass(frozen=True, slots=True)
class LearningStage:
    """A stretch of training.

    Attributes:
        learning: Which part learns: all of it; what is not of the backbone; or that and the end of the backbone.
        rate: Factor of the learning rate of the recipe.
        epochs: How many; the last stage takes what is left.
        tuned_from: For fine-tuning, the first layer of the backbone that learns; the usual one where empty, or :data:`WHOLE`.
        normalisation: Whether batch normalisation of the fine-tuned layers learns too, or stays as it is.
    """

    learning: Learning = Learning.ALL
    rate: float = 1.0
    epochs: int = 0
    tuned_from: str = ""
    normalisation: bool = False
