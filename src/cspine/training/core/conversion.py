"""Converts a Keras network to OpenVINO IR: the same bytes for the same network, whole operations where its graph spells them out.

A normalisation of every map by itself (Ulyanov et al., 2016) leaves Keras as a dozen operations on tensors that are channels last,
whose means OpenVINO takes by its slowest means: seven tenths of the time of a 3-D U-Net. OpenVINO has one operation for it, with
scale, offset and rectifier done in the same pass.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cspine.runtime.openvino import ov

passes, op = import_module("openvino.passes"), import_module("openvino.opset13")  # after our own import, which reports nothing

_CONSTANT = "Constant"


def write_ir(network: keras.Model, path: Path) -> None:
    """Writes the network as ``path`` (``.xml``) and its weights beside it (``.bin``).

    OpenVINO and TensorFlow name nodes and tensors by counters of the process; here they are named by their order.

    Args:
        network: A network with one input and a dictionary of outputs.
        path: Where the description goes.
    """
    raw = path.with_name(f"raw-{path.name}")
    network.export(str(raw), format="openvino", verbose=False)
    model = ov.Core().read_model(raw)
    fuse_normalisation(model)
    names = [set(port.get_names()) & set(network.output) for port in model.outputs]
    for number, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{number}")
        for port in node.outputs():
            port.get_tensor().set_names(set())
    for port, name in zip(model.outputs, names, strict=True):
        port.get_tensor().set_names(name)
    model.inputs[0].get_tensor().set_names({network.inputs[0].name})
    model.set_friendly_name(path.stem)
    ov.save_model(model, path, compress_to_fp16=False)


def fuse_normalisation(model: Any) -> int:
    """Puts one operation where a normalisation by map is spelled out.

    Args:
        model: An ``openvino.Model``; it is changed. It says the same as before, up to the order in which numbers are added.

    Returns:
        How many normalisations there were.
    """
    fuse = _FuseNormalisation()
    manager = passes.Manager()
    manager.register_pass(fuse)
    manager.run_passes(model)
    model.validate_nodes_and_infer_types()
    return fuse.count


class _FuseNormalisation(passes.MatcherPass):  # type: ignore[name-defined]  # it is imported by name
    """Finds ``x * g + (b - mean * g)``, ``g = gamma / sqrt(variance + epsilon)``, over groups of one map each."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._source = passes.AnyInput()
        self._grouped = _node("Reshape", self._source, _node(_CONSTANT))
        self._axes, self._epsilon, self._power = _node(_CONSTANT), _node(_CONSTANT), _node(_CONSTANT)
        self._gamma, self._beta, self._minus = _node(_CONSTANT), _node(_CONSTANT), _node(_CONSTANT)

        mean = _node("ReduceMean", self._grouped, self._axes)
        variance = _node("ReduceMean", _node("SquaredDifference", self._grouped, mean), _node(_CONSTANT))
        inverse = _node("Power", _node("Add", variance, self._epsilon), self._power)
        factor = _node("Multiply", inverse, self._gamma)
        offset = _node("Add", _node("Multiply", _node("Multiply", mean, self._minus), factor), self._beta)
        scaled = _node("Add", _node("Multiply", self._grouped, factor), offset)
        self.register_matcher(passes.Matcher(_node("Reshape", scaled, _node(_CONSTANT)), "normalisation"), self._replace)

    def _replace(self, matcher: Any) -> bool:
        found = matcher.get_pattern_value_map()
        rank = found[self._source].get_partial_shape().rank.get_length()
        group = found[self._grouped].get_partial_shape()
        axes = [*range(1, rank - 1), rank]
        whole = group.rank.get_length() == rank + 1 and group[rank].is_static and group[rank].get_length() == 1
        spelled = (_number(found[self._power]), _number(found[self._minus])) == (-0.5, -1.0)
        if not (whole and spelled and sorted(_values(found[self._axes]).ravel()) == axes):
            return False
        self._put(matcher.get_match_root(), found, rank)
        self.count += 1
        return True

    def _put(self, root: Any, found: Any, rank: int) -> None:
        """Puts channels first for the operation; OpenVINO drops transpositions that undo one another."""
        shape = (1, -1, *[1] * (rank - 2))
        gamma, beta = (_values(found[node]).reshape(shape) for node in (self._gamma, self._beta))
        first = op.transpose(found[self._source], np.array([0, rank - 1, *range(1, rank - 1)]))
        normal = op.mvn(first, np.arange(2, rank), True, _number(found[self._epsilon]), "inside_sqrt")
        last = op.transpose(op.add(op.multiply(normal, gamma), beta), np.array([0, *range(2, rank), 1]))
        ov.utils.replace_node(root, last)


def _node(kind: str, *inputs: Any) -> Any:
    return passes.WrapType(f"opset13.{kind}", list(inputs)) if inputs else passes.WrapType(f"opset13.{kind}")


def _values(port: Any) -> Any:
    return port.get_node().data


def _number(port: Any) -> float:
    return float(_values(port).ravel()[0])
