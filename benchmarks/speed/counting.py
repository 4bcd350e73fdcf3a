"""Counts the multiplications of a network from its graph."""

from collections.abc import Callable
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cspine.network_content import NetworkContent
from cspine.runtime.openvino import ov

if TYPE_CHECKING:
    import keras

Shape = tuple[int, ...]


def multiplications(content: NetworkContent, shape: Shape) -> int:
    """Returns how often a network multiplies and adds for one input: in convolutions and matrix products, nothing else.

    Args:
        content: The network, OpenVINO IR.
        shape: Of its input.
    """
    network = ov.Core().read_model(content.graph, content.weights)
    network.reshape({network.input(0): ov.PartialShape(list(shape))})
    return sum(_OF[kind](node) for node in network.get_ops() if (kind := node.get_type_name()) in _OF)


def exported(model: "keras.Model") -> NetworkContent:
    """Returns a network as it is served: OpenVINO IR."""
    from cspine.training.core.conversion import write_ir

    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "network.xml"
        write_ir(model, path)
        return NetworkContent(path.name, path.read_bytes(), path.with_suffix(".bin").read_bytes())


def _convolution(node: Any) -> int:
    """Counts for each value that comes out: weights are ``(out, in, *kernel)``."""
    return prod(_output(node)) * prod(_input(node, 1)[1:])


def _grouped(node: Any) -> int:
    """Counts for each value that comes out: weights are ``(groups, out, in, *kernel)``."""
    return prod(_output(node)) * prod(_input(node, 1)[2:])


def _transposed(node: Any) -> int:
    """Counts for each value that comes in: weights are ``(in, out, *kernel)``."""
    return prod(_input(node, 0)) * prod(_input(node, 1)[1:])


def _transposed_grouped(node: Any) -> int:
    """Counts for each value that comes in: weights are ``(groups, in, out, *kernel)``."""
    return prod(_input(node, 0)) * prod(_input(node, 1)[2:])


def _product(node: Any) -> int:
    summed = -2 if node.get_attributes()["transpose_a"] else -1
    return prod(_output(node)) * _input(node, 0)[summed]


def _input(node: Any, number: int) -> Shape:
    return tuple(node.input_value(number).get_shape())


def _output(node: Any) -> Shape:
    return tuple(node.output(0).get_shape())


_OF: dict[str, Callable[[Any], int]] = {
    "Convolution": _convolution,
    "GroupConvolution": _grouped,
    "ConvolutionBackpropData": _transposed,
    "GroupConvolutionBackpropData": _transposed_grouped,
    "MatMul": _product,
}
