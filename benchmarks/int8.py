"""Makes int8 copies of packages by post-training quantisation, and times their networks beside those that ship.

    python -m benchmarks.int8 -o OUT --data DIR [--studies N] [--scans SCAN...] [PACKAGE...]

The first N studies of DIR and the scans are predicted with the shipped packages; what their networks were given calibrates the
quantisation (NNCF, which must be installed: ``pip install nncf``). Every fourth input is kept apart: on these each network is
timed on one thread, as it ships and in int8, in turns, and its outputs are compared. ``OUT/<package>`` are packages, to be given to
``benchmarks.packages --localiser``, ``benchmarks.localiser.marked`` and so on. Give DIR no study that those evaluate.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.package_copy import write_copy
from cspine.datasets import read_dataset
from cspine.detection import Detector
from cspine.modelpack import DEFAULT_LOCALISER, DEFAULT_PACKAGE, load_localiser, load_package
from cspine.network_content import NetworkContent
from cspine.reading import read_study
from cspine.runtime.openvino import OpenVinoSession, ov

Inputs = list[NDArray[np.float32]]

_EVERY, _MOST = 4, 60
_ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Quantised:
    """Holds a network in int8 and how it compares.

    Attributes:
        files: The network, by suffix.
        ms: Median processor milliseconds of an input on one thread, as it ships.
        int8_ms: The same in int8.
        mean: Mean absolute difference of the outputs.
        largest: The largest.
    """

    files: dict[str, bytes]
    ms: float
    int8_ms: float
    mean: float
    largest: float


def main() -> None:
    """Writes packages and prints a table in Markdown."""
    options = _arguments()
    studies = [case.images for case in read_dataset(options.data).cases[: options.studies]] + options.scans
    inputs = recorded_inputs(studies)
    print("| network | ms as it ships | ms in int8 | times as fast | outputs differ: mean | largest |")
    print("|---|---|---|---|---|---|")
    for name in options.packages:
        package: Any = load_localiser(name) if name == DEFAULT_LOCALISER else load_package(name)
        changed: dict[str, bytes] = {}
        for network in package.manifest.networks:
            content = package.network(network.role)
            found = quantised(content, inputs[content.name])
            changed |= {Path(content.name).with_suffix(suffix).name: data for suffix, data in found.files.items()}
            cells = (f"{found.ms:.0f}", f"{found.int8_ms:.0f}", f"{found.ms / found.int8_ms:.2f}", f"{found.mean:.4f}")
            print(f"| {content.name} | {' | '.join(cells)} | {found.largest:.2f} |", flush=True)
        networks = tuple(replace(one, tolerance=1.0) for one in package.manifest.networks)  # int8 may differ: that is measured
        write_copy(replace(package.manifest, networks=networks), package.card, {**package.files, **changed}, options.out / name)


def recorded_inputs(studies: Sequence[Path]) -> dict[str, Inputs]:
    """Predicts studies and returns what each network was given, by the name of its file."""
    detector, taken, names = None, defaultdict[str, Inputs](list), dict[int, str]()
    opened, run = OpenVinoSession.__init__, OpenVinoSession.run

    def opening(self: OpenVinoSession, content: NetworkContent, *more: Any) -> None:
        opened(self, content, *more)
        names[id(self)] = content.name

    def recording(self: OpenVinoSession, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        taken[names[id(self)]].append(np.array(batch, dtype=np.float32))
        return run(self, batch)

    with patch.object(OpenVinoSession, "__init__", opening), patch.object(OpenVinoSession, "run", recording):
        detector = Detector()
        taken.clear()  # what packages check themselves with
        for path in studies:
            detector(read_study(path))
    return taken


def quantised(content: NetworkContent, inputs: Inputs) -> Quantised:
    """Quantises a network and compares it on inputs that were kept apart."""
    try:
        import nncf
    except ModuleNotFoundError as error:
        raise SystemExit("benchmarks.int8 needs NNCF. Install it: pip install nncf") from error
    chosen = [inputs[i] for i in np.random.default_rng(0).permutation(len(inputs))[:_MOST]]
    apart, calibrating = chosen[::_EVERY], [one for i, one in enumerate(chosen) if i % _EVERY]
    core = ov.Core()
    small = nncf.quantize(
        core.read_model(content.graph, content.weights),
        nncf.Dataset(calibrating),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibrating),
    )
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "network.xml"
        ov.save_model(small, path, compress_to_fp16=True)
        files = {suffix: path.with_suffix(suffix).read_bytes() for suffix in (".xml", ".bin")}
    requests = [_request(core, content.graph, content.weights), _request(core, files[".xml"], files[".bin"])]
    taken: tuple[list[float], list[float]] = ([], [])
    apart_by: list[NDArray[np.float64]] = []
    for round_ in range(max(_ROUNDS, len(apart))):
        outputs = []
        for request, seconds in zip(requests, taken, strict=True):
            begin = time.process_time()
            found = request.infer([apart[round_ % len(apart)]])
            seconds.append(time.process_time() - begin)
            outputs.append(np.concatenate([np.ravel(value).astype(np.float64) for value in found.values()]))
        apart_by.append(np.abs(outputs[0] - outputs[1]))
    ms, int8_ms = (1000 * statistics.median(seconds) for seconds in taken)
    return Quantised(
        files, ms, int8_ms, float(np.mean([one.mean() for one in apart_by])), max(float(one.max()) for one in apart_by)
    )


def _request(core: Any, graph: bytes, weights: bytes) -> Any:
    properties = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    return core.compile_model(core.read_model(graph, weights), "CPU", properties).create_infer_request()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=[DEFAULT_LOCALISER, DEFAULT_PACKAGE], metavar="PACKAGE", help="shipped ones")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--studies", type=int, default=14, metavar="N")
    parser.add_argument("--scans", type=Path, nargs="*", default=[], metavar="SCAN")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT")
    return parser.parse_args()


if __name__ == "__main__":
    main()
