"""Measures what the flagship costs on each of its backbones: weights, multiplications and seconds for the crops of one study.

``python -m benchmarks.backbones [--rounds N] [--threads N] [NAME ...]`` builds the recipe ``vertebra_mil`` on each backbone (or on
those that are named) with random weights, exports it as a package would hold it, and runs it on a study of seven vertebrae. Seconds
are medians of ``--rounds`` runs, in turns, of one pass; a study in service takes two. Prints a table.
"""

import argparse
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.speed.counting import exported, multiplications
from cspine.cli.keras_import import load_keras
from cspine.network_content import NetworkContent
from cspine.networks.options import VertebraBackbone
from cspine.networks.volume_settings import VertebraMILSettings
from cspine.recipes.vertebra_mil import RECIPE
from cspine.runtime import Engine, Session, open_session
from cspine.specs import VertebraSpec


@dataclass(frozen=True, slots=True)
class Cost:
    """Holds what the network costs on one backbone.

    Attributes:
        backbone: Which.
        weights: How many numbers the exported network holds.
        multiplications: For one pass over the crops of a study, in convolutions and matrix products.
        seconds: Median, for one pass.
    """

    backbone: VertebraBackbone
    weights: int
    multiplications: int
    seconds: float


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backbones", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *(name.value for name in VertebraBackbone)], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each (default: 5)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of the engine (default: 2)")
    options = parser.parse_args()
    load_keras()
    names = [VertebraBackbone(name) for name in options.names] or list(VertebraBackbone)
    print(table(costs(RECIPE.network, RECIPE.input, names, rounds=options.rounds, threads=options.threads)))


def costs(
    settings: VertebraMILSettings, spec: VertebraSpec, names: Iterable[VertebraBackbone], *, rounds: int, threads: int
) -> list[Cost]:
    """Measures the network on each backbone, in turns.

    Args:
        settings: Of the network.
        spec: What it sees.
        names: Backbones.
        rounds: How often each is run.
        threads: Of the engine.
    """
    contents = {name: _exported(replace(settings, backbone=name, weights="none"), spec) for name in names}
    sessions = {name: open_session(content, Engine(threads=threads)) for name, content in contents.items()}
    crops = np.random.default_rng(0).random((1, *spec.shape), dtype=np.float32)
    taken: dict[VertebraBackbone, list[float]] = {name: [] for name in sessions}
    for _ in range(rounds + 1):  # the first warms up
        for name, session in sessions.items():
            taken[name].append(_seconds(session, crops))
    return [
        Cost(name, len(content.weights) // 4, multiplications(content, crops.shape), statistics.median(taken[name][1:]))
        for name, content in contents.items()
    ]


def table(found: Sequence[Cost]) -> str:
    """Returns them as Markdown; ratios are to the first."""
    first = found[0]
    rows = [
        f"| `{one.backbone.value}` | {one.weights / 1e6:.1f} | {one.multiplications / 1e9:.1f} "
        f"({one.multiplications / first.multiplications:.1f}) | {one.seconds:.2f} ({one.seconds / first.seconds:.1f}) |"
        for one in found
    ]
    head = "| backbone | million weights | thousand million multiplications (ratio) | seconds a pass (ratio) |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def _exported(settings: VertebraMILSettings, spec: VertebraSpec) -> NetworkContent:
    import keras

    from cspine.training.vertebrae.family import SERVED

    network = settings.build(spec, seed=0)
    return exported(keras.Model(network.inputs, {name: network.output[name] for name in SERVED}))


def _seconds(session: Session, crops: np.ndarray) -> float:
    begin = time.perf_counter()
    session.run(crops)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
