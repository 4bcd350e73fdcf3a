"""Every engine behaves like every other."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cspine.errors import PackageError
from cspine.runtime import Demand, Device, Engine, calculates_in, open_session
from cspine.runtime.openvino import ov

_WEIGHTS = np.array([[1.0, -2.0], [0.5, 0.25], [-1.0, 3.0]], dtype=np.float32)
"""Both networks average an image ``(4, 5)`` of three channels, then weigh the channels: one output per column."""


def _expected(batch: np.ndarray) -> dict[str, np.ndarray]:
    sums = batch.mean(axis=(1, 2)) @ _WEIGHTS
    return {"first": 1 / (1 + np.exp(-sums[:, :1])), "second": 1 / (1 + np.exp(-sums[:, 1:]))}


def _openvino(folder: Path) -> Path:
    op = ov.opset13
    images = op.parameter([-1, 4, 5, 3], np.float32, name="images")
    mean = op.reduce_mean(images, np.array([1, 2]), False)
    results = []
    for column, name in enumerate(("first", "second")):
        node = op.sigmoid(op.matmul(mean, _WEIGHTS[:, column : column + 1], False, False))
        node.output(0).set_names({name})
        results.append(op.result(node))
    ov.save_model(ov.Model(results, [images]), folder / "network.xml", compress_to_fp16=False)
    return folder / "network.xml"


def _onnx(folder: Path) -> Path:
    nodes = [helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2], keepdims=0)]
    weights = []
    for column, name in enumerate(("first", "second")):
        weights.append(numpy_helper.from_array(_WEIGHTS[:, column : column + 1], f"weights_{name}"))
        nodes += [
            helper.make_node("MatMul", ["mean", f"weights_{name}"], [f"sum_{name}"]),
            helper.make_node("Sigmoid", [f"sum_{name}"], [name]),
        ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 4, 5, 3])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in ("first", "second")]
    graph = helper.make_graph(nodes, "averages", [images], outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "network.onnx")
    return folder / "network.onnx"


@pytest.fixture(params=[_openvino, _onnx], ids=["openvino", "onnx"])
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write: Callable[[Path], Path] = request.param
    return write(tmp_path)


@pytest.mark.parametrize("demand", list(Demand))
@pytest.mark.parametrize("threads", [None, 1])
def test_outputs_have_names_and_one_entry_per_input(network: Path, demand: Demand, threads: int | None) -> None:
    batch = np.random.default_rng(0).normal(size=(6, 4, 5, 3)).astype(np.float32)

    outputs = open_session(network, Engine(Device.CPU, demand, threads)).run(batch)

    assert outputs.keys() == {"first", "second"}
    for name, wanted in _expected(batch).items():
        assert outputs[name].dtype == np.float32
        np.testing.assert_allclose(outputs[name], wanted, atol=1e-6)


def test_the_batch_may_change_and_earlier_outputs_stay_as_they_were(network: Path) -> None:
    session = open_session(network)
    batch = np.random.default_rng(0).normal(size=(5, 4, 5, 3)).astype(np.float32)
    together = session.run(batch)["first"].copy()
    kept = session.run(batch)

    alone = np.concatenate([session.run(image[None])["first"] for image in batch])

    np.testing.assert_allclose(alone, together, atol=1e-6)
    np.testing.assert_array_equal(kept["first"], together)


def test_memory_order_and_number_type_of_the_input_do_not_matter(network: Path) -> None:
    batch = np.random.default_rng(0).normal(size=(3, 5, 4, 3)).swapaxes(1, 2)

    outputs = open_session(network).run(batch)  # type: ignore[arg-type]

    np.testing.assert_allclose(outputs["second"], _expected(batch)["second"], atol=1e-6)


def test_the_same_input_gives_the_same_bytes(network: Path) -> None:
    session, batch = open_session(network), np.ones((2, 4, 5, 3), np.float32)

    assert session.run(batch)["first"].tobytes() == session.run(batch)["first"].tobytes()


def test_threads_that_share_a_network_get_the_bytes_of_one_alone(network: Path) -> None:
    session, rng = open_session(network), np.random.default_rng(0)
    batches = [rng.normal(size=(1 + number % 7, 4, 5, 3)).astype(np.float32) for number in range(200)]
    alone = [session.run(batch) for batch in batches]

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(session.run, batches))

    for one, other in zip(alone, together, strict=True):
        assert {name: array.tobytes() for name, array in one.items()} == {name: array.tobytes() for name, array in other.items()}


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_the_precision_of_the_calculation_is_that_of_the_device_and_not_what_was_asked_for(network: Path, precision: str) -> None:
    able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    has = precision == "f32" or (network.suffix == ".xml" and "BF16" in able)

    assert calculates_in(network, Engine(Device.CPU, precision=precision)) == (precision if has else "f32")


def test_an_input_of_another_shape_is_refused(network: Path) -> None:
    with pytest.raises(PackageError, match=r"takes inputs of shape .*4.*5.*3.* Received: \(1, 4, 4, 3\)"):
        open_session(network).run(np.zeros((1, 4, 4, 3), np.float32))


def test_a_damaged_network_is_refused_in_one_line(network: Path) -> None:
    content = network.read_bytes()
    network.write_bytes(content[: len(content) // 2])

    with pytest.raises(PackageError, match=r"cannot load network\.") as caught:
        open_session(network)

    assert "\n" not in str(caught.value)
