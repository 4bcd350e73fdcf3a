"""Networks that were trained on photographs, as sources of features: what each wants to see, and where its features are."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from cspine.errors import TrainingError, UsageError
from cspine.networks.normalisation import FusedBatchNormalization
from cspine.networks.options import IMAGENET, NONE

NAME = "backbone"
"""What the backbone is called within a network."""

CELLS = (8, 16, 32)
"""Pixels along a side of the cells of its features."""

_BEFORE, _END = "before ", "end"
"""Precedes the name of a layer whose input is meant; and what the last layer may be called whose name is not fixed."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """One network of :mod:`keras.applications`.

    The third and further convolutions of the Inception networks leave out the border of the image; ``border`` gives it back, so
    that a cell of eight pixels is where the cell of the same number of any other network is.

    Attributes:
        function: Its name there.
        file: Its ImageNet weights there, without the classifier.
        endpoints: Layers whose outputs have cells of :data:`CELLS`, ``before`` and a layer whose input has, or the ``end``.
        tuned_from: The first layer that fine-tuning usually changes: from cells of 16 pixels on.
        scale: Factor of each channel, from 0..1 to what the network was trained on.
        offset: Added to each channel after that.
        border: Pixels of air before and after the rows and columns.
        window: Cells that one step to half the resolution covers, along each axis.
        prepares: Whether keras.applications makes what the network was trained on of its input, unless that is left out.
    """

    function: str
    file: str
    endpoints: tuple[str, str, str]
    tuned_from: str
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    border: tuple[int, int]
    window: int
    prepares: bool = False


_SMALLEST = (96, 96)

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours of ImageNet."""

_OF_DEVIATION = (1 / _DEVIATION[0], 1 / _DEVIATION[1], 1 / _DEVIATION[2])
_OF_MEAN = (-_MEAN[0] / _DEVIATION[0], -_MEAN[1] / _DEVIATION[1], -_MEAN[2] / _DEVIATION[2])

BACKBONES = {
    "densenet121": Backbone(  # Huang et al., 2017
        function="DenseNet121",
        file="densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        endpoints=("pool3_relu", "pool4_relu", "relu"),
        tuned_from="conv4_block1_0_bn",
        scale=_OF_DEVIATION,
        offset=_OF_MEAN,
        border=(0, 0),
        window=2,
    ),
    "inception_v3": Backbone(  # Szegedy et al., 2016
        function="InceptionV3",
        file="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        endpoints=("mixed2", "mixed7", "mixed10"),
        tuned_from="mixed3",
        scale=(2.0, 2.0, 2.0),
        offset=(-1.0, -1.0, -1.0),
        border=(10, 9),
        window=3,
    ),
    "inception_resnet_v2": Backbone(  # Szegedy et al., 2017
        function="InceptionResNetV2",
        file="inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        endpoints=("block35_10_ac", "block17_20_ac", "conv_7b_ac"),
        tuned_from="mixed_6a",
        scale=(2.0, 2.0, 2.0),
        offset=(-1.0, -1.0, -1.0),
        border=(10, 9),
        window=3,
    ),
    "efficientnet_v2_s": Backbone(  # Tan and Le, 2021
        function="EfficientNetV2S",
        file="efficientnetv2-s_notop.h5",
        endpoints=("block3d_add", "block5i_add", "top_activation"),
        tuned_from="block4a_expand_conv",
        scale=(255 / 128, 255 / 128, 255 / 128),
        offset=(-1.0, -1.0, -1.0),
        border=(0, 0),
        window=2,
        prepares=True,
    ),
    "convnext_tiny": Backbone(  # Liu et al., 2022
        function="ConvNeXtTiny",
        file="convnext_tiny_notop.h5",
        endpoints=(
            f"{_BEFORE}convnext_tiny_downsampling_block_1",
            f"{_BEFORE}convnext_tiny_downsampling_block_2",
            _END,
        ),
        tuned_from="convnext_tiny_downsampling_block_1",
        scale=_OF_DEVIATION,
        offset=_OF_MEAN,
        border=(0, 0),
        window=2,
        prepares=True,
    ),
}


def backbone_named(name: str) -> Backbone:
    """Returns the backbone of a name.

    Raises:
        UsageError: There is none.
    """
    if name not in BACKBONES:
        raise UsageError(f"There is no backbone {name}. Known: {', '.join(BACKBONES)}.")
    return BACKBONES[name]


def features(backbone: Backbone, size: Sequence[int | None], seeds: Iterator[int], *, coarsest: int = CELLS[-1]) -> keras.Model:
    """Returns a network from prepared channels to the features of :attr:`Backbone.endpoints`, with fresh weights.

    Args:
        backbone: Which.
        size: Rows and columns, border included; ``None`` where they vary.
        seeds: Where the seeds of its weights are taken from.
        coarsest: Pixels of the last cells that it gives, one of :data:`CELLS`.
    """
    whole = keras.models.clone_model(_application(backbone, size, weights=None), clone_function=_with_fused_normalisation)
    network = _up_to(whole, backbone.endpoints[: CELLS.index(coarsest) + 1])
    for variable in network.trainable_variables:
        if variable.name == "kernel":
            variable.assign(keras.initializers.HeNormal(seed=next(seeds))(variable.shape))
    return network


def _up_to(whole: keras.Model, endpoints: Sequence[str]) -> keras.Model:
    return keras.Model(whole.inputs, [_tensor(whole, name) for name in endpoints], name=NAME)


def _tensor(whole: keras.Model, endpoint: str) -> Any:
    if endpoint == _END:
        return whole.output
    if endpoint.startswith(_BEFORE):
        return whole.get_layer(endpoint.removeprefix(_BEFORE)).input
    return whole.get_layer(endpoint).output


def _with_fused_normalisation(layer: keras.layers.Layer) -> keras.layers.Layer:
    kind = FusedBatchNormalization if type(layer) is keras.layers.BatchNormalization else type(layer)
    return kind.from_config(layer.get_config())


def fetch_pretrained(name: str, weights: str) -> None:
    """Gets weights and checks whether they fit, on the smallest slice that every backbone takes.

    Args:
        name: Which backbone.
        weights: As of :func:`load_pretrained`, but not ``none``.

    Raises:
        TrainingError: As :func:`load_pretrained`.
    """
    _source(backbone_named(name), _SMALLEST, weights)


def load_pretrained(network: keras.Model, name: str, weights: str) -> None:
    """Puts weights into the backbone of a network.

    Args:
        network: Has a layer :data:`NAME`.
        name: Which backbone that is.
        weights: ``imagenet``, ``none`` to leave it as it is, or the path of an HDF5 file of the backbone without its classifier, in
            the layout of :mod:`keras.applications`.

    Raises:
        TrainingError: ImageNet's cannot be fetched, or the file is missing or of another network. Nothing is changed then.
    """
    if weights == NONE:
        return
    backbone, layer = backbone_named(name), network.get_layer(NAME)
    whole = _source(backbone, layer.input_shape[1:3], weights)
    layer.set_weights(_up_to(whole, backbone.endpoints[: len(layer.outputs)]).get_weights())


def _source(backbone: Backbone, size: Sequence[int | None], weights: str) -> keras.Model:
    return _imagenet(backbone, size) if weights == IMAGENET else _from_file(backbone, size, Path(weights))


def _imagenet(backbone: Backbone, size: Sequence[int | None]) -> keras.Model:
    try:
        return _application(backbone, size, weights=IMAGENET)
    except Exception as error:  # keras raises a bare Exception when it cannot fetch
        raise TrainingError(
            f"ImageNet weights of {backbone.function} must be downloaded, and that failed ({_first(error)}). "
            f"Give --weights PATH with {backbone.file} of keras.applications, or --weights none to train from scratch."
        ) from error


def _from_file(backbone: Backbone, size: Sequence[int | None], path: Path) -> keras.Model:
    if not path.is_file():
        raise TrainingError(f"Weights need imagenet, none or the path of a file. There is no file {path}; give another --weights.")
    whole = _application(backbone, size, weights=None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # keras only warns where a file lacks the weights of some layers
            whole.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise TrainingError(
            f"{path} must hold the weights of {backbone.function} without its classifier, as {backbone.file} does. "
            f"It does not ({_first(error)}); give another --weights."
        ) from error
    return whole


def _application(backbone: Backbone, size: Sequence[int | None], weights: str | None) -> Any:
    make = getattr(keras.applications, backbone.function)
    bare = {"include_preprocessing": False} if backbone.prepares else {}
    return make(include_top=False, weights=weights, input_shape=(*size, 3), **bare)


def _first(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")[:160]
