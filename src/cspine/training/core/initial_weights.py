"""Initial weights of a package, so that training goes on from what others were trained to."""

from collections.abc import Iterator

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.errors import TrainingError
from cspine.modelpack import Package, PackageManifest, load_localiser
from cspine.runtime.openvino import ov

_KERNELS = {"Convolution", "ConvolutionBackpropData"}
_VECTORS = {"Add", "Multiply"}


def set_weights_of_package(network: keras.Model, path_or_name: str, role: str) -> keras.Model:
    """Puts the weights of a network of a localiser's package in the place of fresh ones.

    Args:
        network: A fresh :class:`cspine.networks.unet3d.UNet3D`; it is changed.
        path_or_name: A folder, or the name of a shipped package; nothing is done if empty.
        role: ``coarse`` or ``fine``.

    Returns:
        The network.

    Raises:
        PackageError: There is no such package.
        TrainingError: Its network has other layers.
    """
    if not path_or_name:
        return network
    package = load_localiser(path_or_name)
    if role not in (own.role for own in package.manifest.networks):
        raise TrainingError(
            f"Initial weights need a network in the role {role}. {package.manifest.name} has none; leave initial_weights out."
        )
    weights = list(_weights(package, role))
    if [weight.shape for weight in weights] != [tuple(own.shape) for own in network.weights]:
        raise TrainingError(
            f"Initial weights need a network of the same layers. Those of {role} in {package.manifest.name} are others; "
            "set network as the package was trained, or leave initial_weights out."
        )
    network.set_weights(weights)
    return network


def _model_of(package: Package[PackageManifest], role: str) -> ov.Model:
    content = package.network(role)
    return ov.Core().read_model(content.graph, content.weights)


def _weights(package: Package[PackageManifest], role: str) -> Iterator[NDArray[np.float32]]:
    """Gives weights as Keras orders and lays them out: kernels ``(z, y, x, in, out)``, and vectors."""
    for node in _model_of(package, role).get_ordered_ops():
        if node.get_type_name() != "Constant" or not node.get_element_type().is_real() or node.data.size < 2:
            continue
        users = {port.get_node().get_type_name() for port in node.output(0).get_target_inputs()}
        if users <= _KERNELS:
            yield np.moveaxis(node.data, (0, 1), (-1, -2)).astype(np.float32)
        elif users <= _VECTORS:
            yield node.data.astype(np.float32).ravel()
