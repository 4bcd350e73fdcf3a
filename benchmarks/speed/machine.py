"""Measures what the machine could do: the rate of its matrix products and of its memory, with the engine that serves."""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cspine.runtime import Engine, open_session
from cspine.runtime.openvino import ov

_SIDE, _ROUNDS, _CHAIN = 1536, 7, 4
_COPIED_MIB = 256


@dataclass(frozen=True, slots=True)
class Machine:
    """Rates.

    Attributes:
        f32: Of matrix products, thousand million multiplications and additions a second (GFLOP/s).
        bf16: The same where the engine may calculate in bf16.
        memory: Thousand million bytes a second that can be copied (read and written).
    """

    f32: float
    bf16: float
    memory: float


def measure() -> Machine:
    """Returns the median of some rounds."""
    return Machine(_products("f32"), _products("bf16"), _copies())


def _products(precision: str) -> float:
    op = ov.opset13
    left = op.parameter([-1, _SIDE], np.float32, name="left")
    rng, product = np.random.default_rng(0), left
    for _ in range(_CHAIN):
        product = op.matmul(product, rng.standard_normal((_SIDE, _SIDE), dtype=np.float32) / _SIDE, False, False)
    product.output(0).set_names({"product"})
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "product.xml"
        ov.save_model(ov.Model([op.result(product)], [left]), path, compress_to_fp16=False)
        session = open_session(path, Engine(precision=precision))
        batch = rng.standard_normal((_SIDE, _SIDE), dtype=np.float32)
        seconds = _median(lambda: session.run(batch))
    return 2 * _CHAIN * _SIDE**3 / seconds / 1e9


def _copies() -> float:
    source = np.ones(_COPIED_MIB << 20, np.uint8)
    target = np.empty_like(source)
    return 2 * source.nbytes / _median(lambda: np.copyto(target, source)) / 1e9


def _median(work: object) -> float:
    taken = []
    for _ in range(_ROUNDS + 1):
        begin = time.perf_counter()
        work()  # type: ignore[operator]
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:])
