"""Every operation that is translated gives in ONNX Runtime what it gives in OpenVINO."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cspine.errors import PackageError
from cspine.modelpack import load_any_package, shipped_packages
from cspine.network_content import NetworkContent
from cspine.runtime import Device, Engine, open_session
from cspine.runtime.openvino import ov
from tests.coded import coded_network

to_onnx = pytest.importorskip("cspine.runtime.ir_to_onnx", reason="needs the extra onnx: pip install 'cspine[onnx]'").to_onnx
op: Any = ov.opset13
_ENGINE = Engine(Device.CPU, threads=1)


def _numbers(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _slices(begin: list[int], end: list[int], step: list[int], **masks: list[int]) -> Callable[[Any], Any]:
    return lambda x: op.strided_slice(
        x, begin, end, step, **{"begin_mask": [0] * len(begin), "end_mask": [0] * len(begin), **masks}
    )


def _maximum(x: Any, **more: Any) -> Any:
    return op.max_pool(x, [2, 1], [1, 1], [0, 0], [0, 0], [2, 3], **more).output(0)


_ONE = np.float32(1)
_OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda x: op.divide(op.subtract(op.multiply(x, x), _ONE), op.add(op.abs(x), _ONE)),
    "functions": lambda x: op.add(op.log(op.add(op.exp(op.tanh(x)), _ONE)), op.sqrt(op.softplus(op.negative(x)))),
    "powers": lambda x: op.power(op.maximum(op.abs(x), np.float32(0.1)), np.float32(1.7)),
    "choices": lambda x: op.select(op.logical_or(op.greater(x, _ONE), op.is_finite(op.log(x))), op.floor(x), op.ceiling(x)),
    "types": lambda x: op.convert(op.convert(op.less(x, _ONE), "i32"), "f32"),
    "rectifier": lambda x: op.prelu(op.relu(op.erf(x)), np.array([0.3], np.float32)),
    "rectifier by channel": lambda x: op.prelu(x, np.array([0.1, 0.2, 0.3], np.float32)),
    "sums": lambda x: op.add(op.reduce_sum(x, [2, 3], keep_dims=True), op.reduce_mean(x, [-1], keep_dims=True)),
    "extremes": lambda x: op.subtract(op.reduce_max(x, [1], keep_dims=False), op.reduce_min(x, [1], keep_dims=False)),
    "differences": lambda x: op.squared_difference(op.transpose(x, [0, 2, 3, 1]), np.float32(0.3)),
    "softmax": lambda x: op.softmax(x, 2),
    "convolution": lambda x: op.convolution(x, _numbers(5, 3, 3, 2), [2, 1], [1, 0], [2, 1], [1, 2]),
    "convolution, same": lambda x: op.convolution(x, _numbers(5, 3, 3, 2), [2, 2], [0, 0], [0, 0], [1, 1], auto_pad="same_upper"),
    "grouped convolution": lambda x: op.group_convolution(x, _numbers(3, 2, 1, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1]),
    "transposed convolution": lambda x: op.convolution_backprop_data(
        x, _numbers(3, 4, 2, 3), [2, 3], op.constant(np.array([16, 18], np.int64)), auto_pad="valid"
    ),
    "average": lambda x: op.avg_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], exclude_pad=True),
    "average, padding counted": lambda x: op.avg_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], exclude_pad=False),
    "maximum": _maximum,
    "maximum, rounded up": lambda x: _maximum(x, rounding_type="ceil"),
    "product": lambda x: op.matmul(x, _numbers(4, 6), False, True),
    "product of the other side": lambda x: op.matmul(x, _numbers(8, 4), True, False),
    "pieces": lambda x: op.concat([op.gather(x, np.array([2, 0], np.int64), np.int64(1)), x], 1),
    "shapes": lambda x: op.reshape(x, op.gather(op.shape_of(x, "i32"), np.array([0, 3, 1, 2], np.int32), np.int32(0)), False),
    "reshaped by half": lambda x: op.reshape(x, np.array([0, -1], np.int64), True),
    "normalised": lambda x: op.mvn(x, np.array([2, 3], np.int64), True, 1e-3, "inside_sqrt"),
    "resized": lambda x: op.interpolate(
        op.transpose(x, [0, 2, 3, 1]), np.array([20, 9], np.int64), "linear_onnx", "sizes", axes=np.array([1, 2], np.int64)
    ),
    "slices": _slices([0, 1, -3, 0], [2, 3, -1, 6], [1, 1, 1, 2]),
    "slices, reversed": _slices([0, 0, -1], [0, 0, 0], [1, 1, -1], begin_mask=[1, 1, 0], end_mask=[1, 1, 1]),
    "cut out": lambda x: op.slice(x, [1, 0], [9, -1], [2, 1], [2, 3]),
    "cut out of the first axes": lambda x: op.slice(x, [0, 1], [9, 3], [1, 1]),
    "an axis taken": _slices([0, 1], [0, 2], [1, 1], begin_mask=[1, 0], end_mask=[1, 0], shrink_axis_mask=[0, 1]),
    "the last taken": _slices([0, -1], [0, 0], [1, 1], ellipsis_mask=[1, 0], shrink_axis_mask=[0, 1]),
    "an axis added": _slices([0, 0, 1], [0, 0, 3], [1, 1, 1], new_axis_mask=[0, 1, 0], begin_mask=[1, 0, 0], end_mask=[1, 0, 0]),
    "an axis added at the end": _slices([0, 0], [0, 0], [1, 1], ellipsis_mask=[1, 0], new_axis_mask=[0, 1]),
    "axes there and gone": lambda x: op.squeeze(op.unsqueeze(x, np.array([1, 3], np.int64)), np.array([1, 3], np.int64)),
    "padded": lambda x: op.pad(x, np.array([0, 1, 0, 2]), np.array([0, 0, 3, 1]), "constant", np.float32(7)),
    "spread": lambda x: op.broadcast(op.reduce_mean(x, [2], keep_dims=True), np.array([2, 3, 8, 6], np.int64)),
    "attention": lambda x: op.scaled_dot_product_attention(x, op.multiply(x, _ONE), op.relu(x)),
    "attention, masked": lambda x: op.scaled_dot_product_attention(x, x, x, op.constant(np.tri(8, dtype=bool))),
    "attention, leaning": lambda x: op.scaled_dot_product_attention(x, x, x, op.constant(_numbers(8, 8))),
}


def _content(made: Callable[[Any], Any], folder: Path, shape: list[int] | None = None) -> NetworkContent:
    """Returns a network of one operation, as its files hold it."""
    x = op.parameter(ov.PartialShape(shape or [-1, 3, 8, 6]), np.float32, "x")
    x.output(0).get_tensor().set_names({"x"})
    made_of = made(x)
    output = made_of if isinstance(made_of, ov.Output) else made_of.output(0)
    output.get_tensor().set_names({"found"})
    ov.save_model(ov.Model([op.result(output)], [x], "network"), folder / "n.xml", compress_to_fp16=False)
    return NetworkContent("n.xml", (folder / "n.xml").read_bytes(), (folder / "n.bin").read_bytes())


@pytest.mark.parametrize("made", _OPERATIONS)
def test_an_operation_gives_the_same_numbers(made: str, tmp_path: Path) -> None:
    content = _content(_OPERATIONS[made], tmp_path)
    batch = _numbers(2, 3, 8, 6, seed=2)

    translated = NetworkContent("n.onnx", to_onnx(content))

    wanted, got = (open_session(one, _ENGINE).run(batch)["found"] for one in (content, translated))
    assert got.shape == wanted.shape
    assert np.max(np.abs(got - wanted)) < 1e-4
    assert np.ptp(wanted) > 0


def test_a_network_with_sizes_that_vary_keeps_that(tmp_path: Path) -> None:
    content = _content(lambda x: op.reduce_max(x, [1], keep_dims=False), tmp_path, [-1, 3, -1, 6])
    session = open_session(NetworkContent("n.onnx", to_onnx(content)), _ENGINE)

    assert [session.run(_numbers(n, 3, rows, 6))["found"].shape for n, rows in ((1, 4), (3, 9))] == [(1, 4, 6), (3, 9, 6)]


_REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "unknown": (lambda x: op.cum_sum(x, np.int64(0)), "the operation CumSum"),
    "calculated": (
        lambda x: op.transpose(x, op.gather(np.array([3, 2, 1, 0], np.int64), [0, 1, 2, 3], 0)),
        "a Transpose whose settings",
    ),
    "mirrored": (lambda x: op.pad(x, np.array([0, 1, 0, 0]), np.array([0, 0, 0, 0]), "reflect"), "a Pad that mirrors or repeats"),
    "causal": (lambda x: op.scaled_dot_product_attention(x, x, x, causal=True), "a ScaledDotProductAttention that is causal"),
    "across channels": (lambda x: op.mvn(x, np.array([1, 2, 3], np.int64), True, 1e-3, "inside_sqrt"), "a MVN over other axes"),
    "overlapping": (
        lambda x: op.convolution_backprop_data(
            x, _numbers(3, 4, 3, 3), [2, 2], op.constant(np.array([16, 12], np.int64)), auto_pad="same_upper"
        ),
        "a ConvolutionBackpropData whose pieces overlap",
    ),
}


@pytest.mark.parametrize("what", _REFUSED)
def test_what_is_not_translated_is_named_in_one_line(what: str, tmp_path: Path) -> None:
    made, words = _REFUSED[what]

    with pytest.raises(PackageError, match=rf"^n\.xml cannot be written as ONNX: {words}.* is not translated\.$"):
        to_onnx(_content(made, tmp_path))


def test_a_graph_that_is_damaged_is_one_line() -> None:
    with pytest.raises(PackageError, match=r"^OpenVINO cannot read n\.xml\. Export the package again\.$"):
        to_onnx(NetworkContent("n.xml", b"<net>"))


def test_a_network_that_is_onnx_stays_as_it_is(tmp_path: Path) -> None:
    graph = coded_network(tmp_path)
    data = to_onnx(NetworkContent(graph.name, graph.read_bytes(), graph.with_suffix(".bin").read_bytes()))

    assert to_onnx(NetworkContent("n.onnx", data)) is data


@pytest.mark.parametrize("name", shipped_packages())
def test_every_network_that_ships_repeats_its_samples(name: str) -> None:
    package = load_any_package(name)

    for network in package.manifest.networks:
        session = open_session(NetworkContent("n.onnx", to_onnx(package.network(network.role))), _ENGINE)
        assert package.difference(session, network.role, 1) < 1e-4
