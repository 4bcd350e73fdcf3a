"""Reads the weights of a package that classifies vertebra by vertebra back into a network that can be trained on.

Export folds each batch normalisation into the convolution before it. Here it is unfolded: the convolution keeps the folded
kernel, and the normalisation gets the statistics of the convolution's output for the stored samples of the package, with a scale
and an offset that undo them. So the network predicts the same as the package, also while it is trained, when the statistics are
those of the batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.errors import TrainingError
from cspine.modelpack import Package, Samples, VertebraManifest, load_package
from cspine.networks.instances import SelfAttention, SliceAttention, StudyTokens
from cspine.runtime.openvino import ov
from cspine.training.core.layer_weights import Build, set_weights_of_file

AGREEMENT = 1e-3
"""By how much an output may differ from what the package stores of its trained network."""

_CONSTANT, _RESHAPES = "Constant", {"Reshape", "Transpose", "Convert"}
_KERNELS = {"Convolution", "MatMul"}
_FEWEST = 2
"""A constant of fewer numbers is one of arithmetic."""

Array = NDArray[np.float32]


def with_initial_weights(build: Build, source: str) -> keras.Model:
    """Returns a network that begins with the weights of a trained one of the same layers.

    Args:
        build: Makes the network.
        source: A ``.keras`` file, or a package by folder or name.

    Raises:
        PackageError: There is no such package.
        TrainingError: There is no such file, or the layers are others.
    """
    if source.endswith(".keras"):
        return set_weights_of_file(build(), Path(source))
    return set_weights_of_vertebra_package(build(), source)


def set_weights_of_vertebra_package(network: keras.Model, path_or_name: str) -> keras.Model:
    """Puts the weights of a package in the place of fresh ones.

    Args:
        network: A fresh :class:`cspine.networks.vertebra_mil.VertebraMIL`; it is changed.
        path_or_name: A folder, or the name of a shipped package.

    Returns:
        The network.

    Raises:
        PackageError: There is no such package.
        TrainingError: It is of another kind, or its network has other layers.
    """
    package = load_package(path_or_name)
    manifest = package.manifest
    if not isinstance(manifest, VertebraManifest):
        raise TrainingError(
            f"Initial weights need a package of kind {VertebraManifest.KIND}. {manifest.name} is of kind {manifest.kind}; give "
            "another, or leave initial_weights out."
        )
    role = manifest.networks[0].role
    samples = package.samples(role)
    _Exported.of(package, role).put_into(network)
    if samples.inputs.shape[1:] != network.input_shape[1:] or _difference(network, samples) > AGREEMENT:
        raise _other_layers(manifest.name)
    _unfold(network, samples.inputs)
    return network


def _other_layers(name: str) -> TrainingError:
    return TrainingError(
        f"Initial weights need a network of the same layers and input. Those of {name} are others; set network and input as the "
        "package was trained, or leave initial_weights out."
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """A convolution or a matrix product with what is added to it.

    Attributes:
        kernel: As Keras lays it out, ``(rows, columns, in, out)`` or ``(in, out)``.
        bias: ``(out,)``.
        follows: What is done to it next, as OpenVINO calls that.
    """

    kernel: Array
    bias: Array
    follows: str


@dataclass(frozen=True, slots=True, eq=False)
class _Exported:
    """Holds the weights of an exported network, in the order of its graph.

    Attributes:
        name: Of the package.
        linear: Convolutions and matrix products.
        scales: Of layer normalisations.
        offsets: Of layer normalisations.
        places: What is added to tokens, ``(8, width)``; one, in a network of ours.
    """

    name: str
    linear: list[_Linear]
    scales: list[Array]
    offsets: list[Array]
    places: list[Array]

    @classmethod
    def of(cls, package: Package[Any], role: str) -> "_Exported":
        """Reads them."""
        content = package.network(role)
        nodes = ov.Core().read_model(content.graph, content.weights).get_ordered_ops()
        linear = [found for node in nodes if node.get_type_name() in _KERNELS and (found := _linear(node)) is not None]
        biases = {id_ for _, id_ in linear}
        vectors: dict[str, list[Array]] = {"Multiply": [], "Add": []}
        for node in nodes:
            if node.get_type_name() != _CONSTANT or not node.get_element_type().is_real() or node.data.size < _FEWEST:
                continue
            users = {port.get_node().get_type_name() for port in node.output(0).get_target_inputs()}
            if len(users) == 1 and users <= set(vectors) and node.get_friendly_name() not in biases:
                vectors[users.pop()].append(np.squeeze(node.data.astype(np.float32)))
        places = [vector for vector in vectors["Add"] if vector.ndim > 1]
        return cls(
            package.manifest.name,
            [found for found, _ in linear],
            vectors["Multiply"],
            [vector for vector in vectors["Add"] if vector.ndim == 1],
            places,
        )

    def put_into(self, network: keras.Model) -> None:
        """Puts them into a network; every one must have its place, and every layer its weights.

        Raises:
            TrainingError: The network has other layers.
        """
        for layer, values in self._by_layer(network.layers):
            layer.set_weights(values)
        if self.linear or self.scales or self.offsets or self.places:
            raise _other_layers(self.name)

    def _by_layer(self, layers: Sequence[keras.layers.Layer]) -> Iterator[tuple[keras.layers.Layer, list[Array]]]:
        """Yields the values of each layer; what is given is taken out of the lists."""
        for layer in layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                continue  # it comes with its convolution
            if isinstance(layer, keras.layers.Conv2D) and not layer.use_bias:
                found = self._taken(layer.kernel.shape)
                follower = next(one for one in layers if one.name == layer.name.replace("_convolution", "_normalisation"))
                yield layer, [found.kernel]
                yield follower, _identity(found.bias, follower.epsilon)
            elif isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
                yield layer, self._pair(layer.kernel.shape)
            elif isinstance(layer, SliceAttention):
                kernels = zip(layer.weights[::2], ("Tanh", "Sigmoid", None), strict=True)  # content and gate have one shape
                yield layer, [part for kernel, follows in kernels for part in self._pair(kernel.shape, follows)]
            elif isinstance(layer, SelfAttention):
                yield layer, [part for kernel in layer.weights[::2] for part in self._pair(kernel.shape)]
            elif isinstance(layer, StudyTokens):
                yield layer, [self._first(self.places, layer.weights[0].shape)]
            elif isinstance(layer, keras.layers.LayerNormalization):
                gamma, beta = layer.weights
                yield layer, [self._first(self.scales, gamma.shape), self._first(self.offsets, beta.shape)]

    def _pair(self, shape: Sequence[int], follows: str | None = None) -> list[Array]:
        found = self._taken(shape, follows)
        return [found.kernel, found.bias]

    def _taken(self, shape: Sequence[int], follows: str | None = None) -> _Linear:
        """Returns the first that is left of a shape, and before an operation if one is named."""
        for number, one in enumerate(self.linear):
            if one.kernel.shape == tuple(shape) and follows in (None, one.follows):
                return self.linear.pop(number)
        raise _other_layers(self.name)

    def _first(self, left: list[Array], shape: Sequence[int]) -> Array:
        if not left or left[0].shape != tuple(shape):
            raise _other_layers(self.name)
        return left.pop(0)


def _linear(node: Any) -> tuple[_Linear, str] | None:
    """Returns what a convolution or a matrix product by constants does, and the name of the constant that is added."""
    weights = node.input_value(1).get_node()
    if weights.get_type_name() != _CONSTANT:
        return None
    kernel = np.asarray(weights.data, dtype=np.float32)
    if node.get_type_name() == "Convolution":
        kernel = np.moveaxis(kernel, (0, 1), (-1, -2))
    elif node.get_attributes()["transpose_b"]:
        kernel = kernel.T
    added = _next(node)
    constant = next((one for one in _sources(added) if one.get_type_name() == _CONSTANT), None)
    if added.get_type_name() != "Add" or constant is None or constant.data.size != kernel.shape[-1]:
        return None
    return _Linear(kernel, constant.data.astype(np.float32).ravel(), _next(added).get_type_name()), constant.get_friendly_name()


def _next(node: Any) -> Any:
    """Returns what is done next to what a node gives, its shape aside; the first of several."""
    user = min(node.output(0).get_target_inputs(), key=lambda port: port.get_node().get_friendly_name()).get_node()
    return _next(user) if user.get_type_name() in _RESHAPES else user


def _sources(node: Any) -> list[Any]:
    return [port.get_source_output().get_node() for port in node.inputs()]


def _difference(network: keras.Model, samples: Samples) -> float:
    """Returns the largest difference of what a network predicts from what is stored."""
    predicted = network(samples.inputs, training=False)
    return max(
        float(np.abs(keras.ops.convert_to_numpy(predicted[name]) - stored).max()) for name, stored in samples.outputs.items()
    )


def _identity(bias: Array, epsilon: float) -> list[Array]:
    """Returns the weights of a normalisation that adds numbers, and does nothing else."""
    ones = np.ones_like(bias)
    return [ones, bias, np.zeros_like(bias), ones - np.float32(epsilon)]


def _unfold(network: keras.Model, crops: Array) -> None:
    """Gives each normalisation the statistics of what it normalises in some crops; what the network predicts stays the same."""
    pairs = [
        (layer, network.get_layer(layer.name.replace("_convolution", "_normalisation")))
        for layer in network.layers
        if isinstance(layer, keras.layers.Conv2D) and not layer.use_bias
    ]
    outputs = {f"{layer.name}_{power}": _mean(layer.output, power) for layer, _ in pairs for power in (1, 2)}
    means = keras.tree.map_structure(keras.ops.convert_to_numpy, keras.Model(network.input, outputs)(crops, training=False))
    shown = (crops[..., -1] > 0).any(axis=(3, 4)).ravel()
    for layer, normalisation in pairs if shown.any() else ():
        mean, square = (means[f"{layer.name}_{power}"][shown].mean(axis=0, dtype=np.float64) for power in (1, 2))
        _, bias, *_ = normalisation.get_weights()
        variance = np.maximum(square - mean**2, 0)
        scale = np.sqrt(variance + normalisation.epsilon)
        normalisation.set_weights([one.astype(np.float32) for one in (scale, bias + mean, mean, variance)])


def _mean(maps: Any, power: int) -> Any:
    """Returns the mean of a power of each map, ``(n, maps)``."""
    return keras.ops.mean(maps**power, axis=(1, 2))
