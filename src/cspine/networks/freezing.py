"""Chooses which layers of a network are trained."""

import keras

from cspine.errors import UsageError
from cspine.networks.backbones import NAME, backbone_named
from cspine.networks.options import Learning, LearningStage


def set_trainable(network: keras.Model, stage: LearningStage) -> None:
    """Sets what learns in a stage; the network must be compiled afterwards.

    Layers of a backbone that are not trained work as in inference, and so does batch normalisation of a pretrained backbone unless
    the stage says otherwise: statistics of a few slices would destroy what the backbone was trained to see.

    Raises:
        UsageError: The layer to tune from does not exist.
    """
    if stage.learning is Learning.ALL:
        network.trainable = True  # and so are all layers within
        return
    backbone = network.get_layer(NAME)
    first = first_tuned(network, stage.tuned_from) if stage.learning is Learning.TUNING else len(backbone.layers)
    for number, layer in enumerate(backbone.layers):
        fixed = isinstance(layer, keras.layers.BatchNormalization) and not stage.normalisation
        layer.trainable = number >= first and not fixed


def prepare_heads(network: keras.Model, stage: LearningStage) -> None:
    """Sets what learns in a network whose evidence was trained on patches, beside the layers that patches do not know.

    That is the backbone after its fine features, where these are all that the evidence is read from and nothing was trained before:
    it names the levels, and with its initial weights it could not. What patches trained stays, batch normalisation too.

    Args:
        network: With the layers that patches trained, none of them trainable.
        stage: The last stage of the whole network.
    """
    if stage.learning is Learning.ALL and getattr(network, "near", False):
        beyond = beyond_fine(network)
        network.get_layer(NAME).trainable = True
        for layer in network.get_layer(NAME).layers:
            layer.trainable = layer in beyond


def beyond_fine(network: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a backbone that come after its fine features."""
    layers, fine = network.get_layer(NAME).layers, backbone_named(network.backbone).endpoints[0]
    return list(layers[[layer.name for layer in layers].index(fine) + 1 :])


def first_tuned(network: keras.Model, name: str) -> int:
    """Returns the number of a layer among those of the backbone; of the usual one where ``name`` is empty.

    Raises:
        UsageError: The backbone has no such layer.
    """
    backbone = network.get_layer(NAME)
    wanted = name or backbone_named(network.backbone).tuned_from
    names = [layer.name for layer in backbone.layers]
    if wanted not in names:
        raise UsageError(
            f"network.tuned_from must be a layer of {network.backbone}, for instance {', '.join(_some(names))}. Received: {name}"
        )
    return names.index(wanted)


def _some(names: list[str]) -> list[str]:
    """Returns some layers, without those that are named by a counter."""
    own = [
        name for name in names if not name.startswith(("conv2d", "batch_normalization", "activation", "max_pooling", "average_"))
    ]
    return own[:: max(1, len(own) // 8)]
