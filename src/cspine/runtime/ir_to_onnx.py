"""Writes a network that is OpenVINO IR as ONNX, operation by operation, for engines elsewhere."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from cspine.errors import PackageError
from cspine.network_content import NetworkContent
from cspine.runtime.openvino import ov

OPSET, _IR_VERSION = 18, 9
"""Of December 2022: what most engines of today read."""

_TYPES = {
    "f32": TensorProto.FLOAT,
    "f64": TensorProto.DOUBLE,
    "i32": TensorProto.INT32,
    "i64": TensorProto.INT64,
    "u8": TensorProto.UINT8,
    "boolean": TensorProto.BOOL,
}
_SAME = {
    **{name: name for name in ("Abs", "Add", "And", "Equal", "Erf", "Exp", "Floor", "Greater", "GreaterEqual", "Less")},
    **{name: name for name in ("LessEqual", "Log", "Sigmoid", "Sqrt", "Tanh")},
    "Ceiling": "Ceil",
    "Divide": "Div",
    "LogicalAnd": "And",
    "LogicalNot": "Not",
    "LogicalOr": "Or",
    "Maximum": "Max",
    "Minimum": "Min",
    "Multiply": "Mul",
    "Negative": "Neg",
    "Power": "Pow",
    "Relu": "Relu",
    "Select": "Where",
    "SoftPlus": "Softplus",
    "Subtract": "Sub",
}
"""Operations that differ in their name alone, or not at all."""

_END = np.iinfo(np.int64).max


def to_onnx(content: NetworkContent) -> bytes:
    """Returns the network as an ONNX model, with the same names of input and outputs, and sizes that may vary where they may.

    Args:
        content: OpenVINO IR; a network that is ONNX already is returned as it is.

    Raises:
        PackageError: It cannot be read, or holds an operation that is not translated.
    """
    if content.suffix == ".onnx":
        return content.graph
    try:
        network = ov.Core().read_model(content.graph, content.weights)
    except RuntimeError as error:
        raise PackageError(f"OpenVINO cannot read {content.name}. Export the package again.") from error
    graph = _Graph(content.name)
    inputs = [graph.input(node) for node in network.get_parameters()]
    outputs = [graph.output(node) for node in network.get_results()]
    made = helper.make_graph(graph.nodes, content.name.rpartition(".")[0], inputs, outputs, graph.constants)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(made, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="cspine")
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


class _Graph:
    """Grows by what outputs need; whatever only tells a shape that ONNX derives itself is left out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names: dict[tuple[str, int], str] = {}

    def input(self, node: Any) -> onnx.ValueInfoProto:
        """Declares an input under its name."""
        port = node.output(0)
        name = self._names[_key(port)] = port.get_any_name()
        return _declared(name, port)

    def output(self, node: Any) -> onnx.ValueInfoProto:
        """Translates what an output needs, and declares it under its name."""
        port = node.input_value(0)
        name = sorted(port.get_names())[0]
        self.nodes.append(helper.make_node("Identity", [self.value(port)], [name]))
        return _declared(name, port)

    def value(self, port: Any) -> str:
        """Returns the name of a value; what calculates it is translated first where it is not yet."""
        waiting = [port]
        while waiting:  # no recursion: networks are deeper than Python's stack
            node = waiting[-1].get_node()
            lacking = [one for one in _needed(node) if _key(one) not in self._names]
            if _key(waiting[-1]) in self._names or not lacking:
                done = waiting.pop()
                if _key(done) not in self._names:
                    self._translate(node)
            else:
                waiting.extend(lacking)
        return self._names[_key(port)]

    def _translate(self, node: Any) -> None:
        kind = node.get_type_name()
        if kind == "Constant":
            name = self.constant(np.array(node.data))
        elif kind in _SAME:
            name = self.add(_SAME[kind], [self._names[_key(one)] for one in node.input_values()])
        elif kind in _OTHERS:
            name = _OTHERS[kind](self, node, [self._names[_key(one)] for one in _needed(node)])
        else:
            raise PackageError(f"{self.name} cannot be written as ONNX: the operation {kind} is not translated.")
        self._names[_key(node.output(0))] = name

    def constant(self, values: NDArray[Any]) -> str:
        """Adds a constant."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name))
        return name

    def whole(self, *values: int) -> str:
        """Adds a constant of whole numbers, ``(n,)``."""
        return self.constant(np.array(values, dtype=np.int64))

    def add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """Adds an operation with one output."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def refuse(self, node: Any, what: str) -> PackageError:
        """Returns what is raised for a form of an operation that is not translated."""
        return PackageError(f"{self.name} cannot be written as ONNX: a {node.get_type_name()} {what} is not translated.")


def _key(port: Any) -> tuple[str, int]:
    return port.get_node().get_name(), port.get_index()  # unique within a network


def _needed(node: Any) -> list[Any]:
    """Returns the inputs that are translated; that of a shape which ONNX derives from strides is not."""
    values = list(node.input_values())
    return values[:2] if node.get_type_name() == "ConvolutionBackpropData" else values


def _declared(name: str, port: Any) -> onnx.ValueInfoProto:
    shape = port.get_partial_shape()
    dims = [one.get_length() if one.is_static else "batch" if axis == 0 else f"{name}_{axis}" for axis, one in enumerate(shape)]
    return helper.make_tensor_value_info(name, _TYPES[port.get_element_type().get_type_name()], dims)


def _rank(port: Any) -> int:
    return int(port.get_partial_shape().rank.get_length())


def _fixed(graph: _Graph, node: Any, index: int) -> list[int]:
    """Returns an input that must be a constant of whole numbers."""
    source = node.input_value(index).get_node()
    if source.get_type_name() != "Constant":
        raise graph.refuse(node, "whose settings are calculated")
    return [int(value) for value in np.ravel(source.data)]


def _windows(given: dict[str, Any]) -> dict[str, Any]:
    """Returns strides and padding as ONNX has them."""
    same = {"same_upper": "SAME_UPPER", "same_lower": "SAME_LOWER", "valid": "VALID"}
    padding = str(given["auto_pad"]).lower()
    pads = {"auto_pad": same[padding]} if padding in same else {"pads": [*given["pads_begin"], *given["pads_end"]]}
    return {"strides": list(given["strides"]), **pads}


def _convolution(graph: _Graph, node: Any, inputs: list[str]) -> str:
    given = node.get_attributes()
    return graph.add("Conv", inputs, dilations=list(given["dilations"]), **_windows(given))


def _grouped_convolution(graph: _Graph, node: Any, inputs: list[str]) -> str:
    given, weights = node.get_attributes(), node.input_value(1).get_node()
    if weights.get_type_name() != "Constant":
        raise graph.refuse(node, "whose weights are calculated")
    values = np.array(weights.data)
    kernel = graph.constant(values.reshape(-1, *values.shape[2:]))
    windows = {"dilations": list(given["dilations"]), **_windows(given)}
    return graph.add("Conv", [inputs[0], kernel], group=values.shape[0], **windows)


def _transposed_convolution(graph: _Graph, node: Any, inputs: list[str]) -> str:
    given, weights = node.get_attributes(), node.input_value(1).get_partial_shape()
    strides, kernel = list(given["strides"]), [axis.get_length() for axis in list(weights)[2:]]
    if len(node.input_values()) > 2 and (strides != kernel or any(given["output_padding"])):
        raise graph.refuse(node, "whose pieces overlap")  # only then does the shape follow from the strides alone
    return graph.add("ConvTranspose", inputs, dilations=list(given["dilations"]), **_windows(given))


def _pooling(graph: _Graph, node: Any, inputs: list[str]) -> str:
    given = node.get_attributes()
    shape = {"kernel_shape": list(given["kernel"]), "ceil_mode": int("ceil" in str(given["rounding_type"]).lower())}
    if node.get_type_name() == "MaxPool":
        dilations = {"dilations": list(given["dilations"])} if "dilations" in given else {}
        return graph.add("MaxPool", inputs, **shape, **dilations, **_windows(given))
    counted = int(not given["exclude-pad"])
    return graph.add("AveragePool", inputs, count_include_pad=counted, **shape, **_windows(given))


def _reduction(graph: _Graph, node: Any, inputs: list[str]) -> str:
    axes = graph.whole(*_fixed(graph, node, 1))
    return graph.add(node.get_type_name(), [inputs[0], axes], keepdims=int(node.get_attributes()["keep_dims"]))


def _product(graph: _Graph, node: Any, inputs: list[str]) -> str:
    given = node.get_attributes()
    sides = []
    for index, key in enumerate(("transpose_a", "transpose_b")):
        axes = [*range(_rank(node.input_value(index)))]
        turned = [*axes[:-2], axes[-1], axes[-2]]
        sides.append(graph.add("Transpose", [inputs[index]], perm=turned) if given[key] and len(axes) > 1 else inputs[index])
    return graph.add("MatMul", sides)


def _reshape(graph: _Graph, node: Any, inputs: list[str]) -> str:
    copies = bool(node.get_attributes()["special_zero"])
    return graph.add("Reshape", [inputs[0], _long(graph, node, inputs)], allowzero=int(not copies))


def _long(graph: _Graph, node: Any, inputs: list[str]) -> str:
    """Returns the second input, a shape, as the type that ONNX wants."""
    constant = node.input_value(1).get_node().get_type_name() == "Constant"
    return graph.whole(*_fixed(graph, node, 1)) if constant else graph.add("Cast", [inputs[1]], to=TensorProto.INT64)


def _shape(graph: _Graph, node: Any, inputs: list[str]) -> str:
    kind = node.output(0).get_element_type().get_type_name()
    shape = graph.add("Shape", inputs)
    return shape if kind == "i64" else graph.add("Cast", [shape], to=_TYPES[kind])


def _cast(graph: _Graph, node: Any, inputs: list[str]) -> str:
    return graph.add("Cast", inputs[:1], to=_TYPES[node.output(0).get_element_type().get_type_name()])


def _gathered(graph: _Graph, node: Any, inputs: list[str]) -> str:
    if node.get_attributes().get("batch_dims", 0):
        raise graph.refuse(node, "by batches")
    return graph.add("Gather", inputs[:2], axis=_fixed(graph, node, 2)[0])


def _rectified(graph: _Graph, node: Any, inputs: list[str]) -> str:
    """Spreads a slope for each channel, the second axis in OpenVINO, over the other axes."""
    count = int(np.prod(list(node.input_value(1).get_shape())))
    axes = [-1, *[1] * (_rank(node.input_value(0)) - 2)] if count > 1 else [1]
    return graph.add("PRelu", [inputs[0], graph.add("Reshape", [inputs[1], graph.whole(*axes)])])


def _normalised(graph: _Graph, node: Any, inputs: list[str]) -> str:
    given, port = node.get_attributes(), node.input_value(0)
    axes, channels = sorted(_fixed(graph, node, 1)), port.get_partial_shape()[1]
    inside = "inside" in str(given["eps_mode"]).lower() and bool(given["normalize_variance"])
    if axes != [*range(2, _rank(port))] or channels.is_dynamic or not inside:
        raise graph.refuse(node, "over other axes than those of a map")
    count = channels.get_length()
    ones, zeros = (graph.constant(np.full(count, value, dtype=np.float32)) for value in (1, 0))
    return graph.add("InstanceNormalization", [inputs[0], ones, zeros], epsilon=float(given["eps"]))


def _resized(graph: _Graph, node: Any, inputs: list[str]) -> str:
    given = node.get_attributes()
    mode = {"linear_onnx": "linear", "nearest": "nearest"}.get(str(given["mode"]).lower())
    if mode is None or given["antialias"] or any((*given["pads_begin"], *given["pads_end"])):
        raise graph.refuse(node, "in this mode")
    if "sizes" not in str(given["shape_calculation_mode"]).lower():
        raise graph.refuse(node, "by factors")
    axes = _fixed(graph, node, 2) if len(inputs) > 2 else [*range(_rank(node.input_value(0)))]
    # sizes of all axes: ONNX Runtime loses those of some when it moves a transposition past
    sizes = graph.add("ScatterElements", [graph.add("Shape", inputs[:1]), graph.whole(*axes), _long(graph, node, inputs)])
    how = {"mode": mode, "coordinate_transformation_mode": str(given["coordinate_transformation_mode"]).lower()}
    nearest = {"nearest_mode": str(given["nearest_mode"]).lower()} if mode == "nearest" else {}
    return graph.add("Resize", [inputs[0], "", "", sizes], **how, **nearest)


def _sliced(graph: _Graph, node: Any, inputs: list[str]) -> str:
    """Takes a part as numpy does, with new axes, an ellipsis, and axes that vanish."""
    given, rank = node.get_attributes(), _rank(node.input_value(0))
    begin, end = _fixed(graph, node, 1), _fixed(graph, node, 2)
    steps = _fixed(graph, node, 3) if len(inputs) > 3 else [1] * len(begin)
    marks = {name: [*given[f"{name}_mask"], *[0] * len(begin)] for name in ("begin", "end", "new_axis", "shrink_axis", "ellipsis")}
    axis, made, cuts, new, gone = 0, 0, [], [], []
    for index, (first, last, step) in enumerate(zip(begin, end, steps, strict=True)):
        if marks["ellipsis"][index]:
            rest = sum(not marks["new_axis"][later] for later in range(index + 1, len(begin)))
            made, axis = made + rank - rest - axis, rank - rest
        elif marks["new_axis"][index]:
            new.append(made)
            made += 1
        elif marks["shrink_axis"][index]:
            cuts.append((axis, first, first + 1 if first != -1 else _END, 1))
            gone.append(axis)
            axis += 1
        else:
            low = (0 if step > 0 else _END) if marks["begin"][index] else first
            high = (_END if step > 0 else -_END) if marks["end"][index] else last
            cuts.append((axis, low, high, step))
            axis, made = axis + 1, made + 1
    name = inputs[0]
    if cuts:
        axes, lows, highs, strides = zip(*cuts, strict=True)
        name = graph.add("Slice", [name, graph.whole(*lows), graph.whole(*highs), graph.whole(*axes), graph.whole(*strides)])
    name = graph.add("Squeeze", [name, graph.whole(*gone)]) if gone else name
    return graph.add("Unsqueeze", [name, graph.whole(*new)]) if new else name


def _cut_out(graph: _Graph, node: Any, inputs: list[str]) -> str:
    begin, end, step = (graph.whole(*_fixed(graph, node, index)) for index in (1, 2, 3))
    axes = _fixed(graph, node, 4) if len(inputs) > 4 else [*range(len(_fixed(graph, node, 1)))]
    return graph.add("Slice", [inputs[0], begin, end, graph.whole(*axes), step])


def _attention(graph: _Graph, node: Any, inputs: list[str]) -> str:
    """Spells out scaled dot-product attention (Vaswani et al., 2017)."""
    if node.get_attributes()["causal"]:
        raise graph.refuse(node, "that is causal")
    query, key, value, *mask = inputs
    axes = [*range(_rank(node.input_value(1)))]
    width = node.input_value(0).get_partial_shape()[axes[-1]].get_length()
    scale = mask[1] if len(mask) > 1 else graph.constant(np.array(width**-0.5, dtype=np.float32))
    scaled = graph.add("Mul", [query, scale])
    scores = graph.add("MatMul", [scaled, graph.add("Transpose", [key], perm=[*axes[:-2], axes[-1], axes[-2]])])
    if mask and node.input_value(3).get_element_type().get_type_name() == "boolean":
        scores = graph.add("Where", [mask[0], scores, graph.constant(np.array(-np.inf, dtype=np.float32))])
    elif mask and _rank(node.input_value(3)):  # a mask of rank 0 stands for none
        scores = graph.add("Add", [scores, mask[0]])
    return graph.add("MatMul", [graph.add("Softmax", [scores], axis=-1), value])


def _padded(graph: _Graph, node: Any, inputs: list[str]) -> str:
    if str(node.get_attributes()["pad_mode"]).lower() != "constant":
        raise graph.refuse(node, "that mirrors or repeats")
    return graph.add("Pad", [inputs[0], graph.whole(*_fixed(graph, node, 1), *_fixed(graph, node, 2)), *inputs[3:4]])


def _finite(graph: _Graph, _node: Any, inputs: list[str]) -> str:
    return graph.add("Not", [graph.add("Or", [graph.add("IsInf", inputs), graph.add("IsNaN", inputs)])])


def _squared_difference(graph: _Graph, _node: Any, inputs: list[str]) -> str:
    difference = graph.add("Sub", inputs)
    return graph.add("Mul", [difference, difference])


def _with_axis(kind: str) -> "_Translation":
    return lambda graph, node, inputs: graph.add(kind, inputs, axis=int(node.get_attributes()["axis"]))


_Translation = Callable[[_Graph, Any, list[str]], str]
_OTHERS: dict[str, _Translation] = {
    "AvgPool": _pooling,
    "Broadcast": lambda graph, node, inputs: graph.add("Expand", [inputs[0], _long(graph, node, inputs)]),
    "Concat": _with_axis("Concat"),
    "Convert": _cast,
    "Convolution": _convolution,
    "ConvolutionBackpropData": _transposed_convolution,
    "Gather": _gathered,
    "GroupConvolution": _grouped_convolution,
    "Interpolate": _resized,
    "IsFinite": _finite,
    "MVN": _normalised,
    "MatMul": _product,
    "MaxPool": _pooling,
    "PRelu": _rectified,
    "Pad": _padded,
    "ReduceMax": _reduction,
    "ReduceMean": _reduction,
    "ReduceMin": _reduction,
    "ReduceSum": _reduction,
    "Reshape": _reshape,
    "ScaledDotProductAttention": _attention,
    "ShapeOf": _shape,
    "Slice": _cut_out,
    "Softmax": _with_axis("Softmax"),
    "SquaredDifference": _squared_difference,
    "Squeeze": lambda graph, node, inputs: graph.add("Squeeze", [inputs[0], graph.whole(*_fixed(graph, node, 1))]),
    "StridedSlice": _sliced,
    "Transpose": lambda graph, node, inputs: graph.add("Transpose", inputs[:1], perm=_fixed(graph, node, 1)),
    "Unsqueeze": lambda graph, node, inputs: graph.add("Unsqueeze", [inputs[0], graph.whole(*_fixed(graph, node, 1))]),
}
