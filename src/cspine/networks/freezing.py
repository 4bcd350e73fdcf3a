"""Chooses which layers of a network are trained."""

import keras

from cspine.errors import UsageError
from cspine.networks.backbones import BACKBONES, NAME
from cspine.networks.options import WHOLE, Learning, LearningStage


def set_trainable(network: keras.Model, stage: LearningStage, *, fine_only: bool = False) -> None:
    """Sets what learns in a stage; the network must be compiled afterwards.

    Layers of a backbone that are not trained work as in inference, and so does batch normalisation of a pretrained backbone unless
    the stage says otherwise: statistics of a few slices would destroy what the backbone was trained to see.

    Args:
        network: A slice network, or its part that learns from patches.
        stage: What learns.
        fine_only: Whether nothing is read from the backbone but its fine features; no layer after them learns then.

    Raises:
        UsageError: The layer to tune from does not exist.
    """
    if stage.learning is Learning.ALL:
        network.trainable = True  # and so are all layers within that were not set apart
        return
    learning, unread = _learning(network, stage), beyond_fine(network) if fine_only else []
    for layer in network.get_layer(NAME).layers:
        layer.trainable = layer in learning and layer not in unread


def prepare_heads(network: keras.Model, stage: LearningStage) -> None:
    """Sets what learns in a network whose evidence was trained on patches, beside the layers that patches do not know.

    That is the backbone after its fine features, where these are all that the evidence is read from and the last stage trains it:
    it names the levels, and with its initial weights, or with those of photographs, it could not. What patches trained stays,
    batch normalisation too.

    Args:
        network: With the layers that patches trained, none of them trainable.
        stage: The last stage of the whole network.
    """
    if not getattr(network, "near", False):
        return
    backbone, learning, beyond = network.get_layer(NAME), _learning(network, stage), beyond_fine(network)
    backbone.trainable = True
    for layer in backbone.layers:
        layer.trainable = layer in beyond and layer in learning


def beyond_fine(network: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a backbone that come after its fine features."""
    names = _names(network)
    return list(network.get_layer(NAME).layers[names.index(BACKBONES[_backbone_of(names)].endpoints[0]) + 1 :])


def first_tuned(network: keras.Model, name: str) -> int:
    """Returns the number of a layer among those of the backbone; of the usual one where ``name`` is empty, 0 for :data:`WHOLE`.

    Raises:
        UsageError: The backbone has no such layer.
    """
    if name == WHOLE:
        return 0
    names = _names(network)
    wanted = name or BACKBONES[_backbone_of(names)].tuned_from
    if wanted not in names:
        known = ", ".join(_some(names))
        raise UsageError(f"network.tuned_from must be a layer of {_backbone_of(names)}, for instance {known}. Received: {wanted}")
    return names.index(wanted)


def _learning(network: keras.Model, stage: LearningStage) -> list[keras.layers.Layer]:
    """Returns the layers of the backbone that learn in a stage."""
    layers = list(network.get_layer(NAME).layers)
    if stage.learning is Learning.ALL:
        return layers
    if stage.learning is Learning.HEADS:
        return []
    tuned = layers[first_tuned(network, stage.tuned_from) :]
    return [layer for layer in tuned if stage.normalisation or not isinstance(layer, keras.layers.BatchNormalization)]


def _names(network: keras.Model) -> list[str]:
    return [layer.name for layer in network.get_layer(NAME).layers]


def _backbone_of(names: list[str]) -> str:
    return next(name for name, one in BACKBONES.items() if one.endpoints[0] in names)


def _some(names: list[str]) -> list[str]:
    """Returns some layers, without those that are named by a counter."""
    own = [
        name for name in names if not name.startswith(("conv2d", "batch_normalization", "activation", "max_pooling", "average_"))
    ]
    return own[:: max(1, len(own) // 8)]
