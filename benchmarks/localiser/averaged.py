"""Averages the weights of a localiser with those of the package that it was trained on from (Wortsman et al., ICML 2022).

``python -m benchmarks.localiser.averaged RUN PACKAGE -o OUT [--share S]`` copies the run folder RUN to OUT, with weights that are S
times those of its network and 1 - S times those of PACKAGE. `cspine export OUT` then makes a package of it. Further training moves
weights little, and the mean of both ends keeps what the first could do beside what the second learnt.
"""

import argparse
import shutil
import sys
from pathlib import Path

from cspine.cli.families import family_of_run
from cspine.errors import CspineError, OutputError, UsageError
from cspine.networks.loading import load_network
from cspine.storage.files import replacing_folder
from cspine.training.core.initial_weights import set_weights_of_package
from cspine.training.core.runs import open_run
from cspine.training.localiser.family import LocaliserFamily


def main() -> int:
    """Writes the run with averaged weights; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.localiser.averaged", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder of `cspine train localiser`")
    parser.add_argument("package", metavar="PACKAGE", help="a localiser with the same layers: its folder or its name")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="run folder that is made")
    parser.add_argument("--share", type=float, default=0.5, metavar="S", help="share of the run's weights (default: 0.5)")
    options = parser.parse_args()
    try:
        average(options.run, options.package, options.out, options.share)
    except CspineError as error:
        sys.stderr.write(f"benchmarks.localiser.averaged: {error}\n")
        return 2
    sys.stdout.write(f"Averaged weights: {options.out}\n")
    return 0


def average(folder: Path, package: str, out: Path, share: float) -> None:
    """Writes a copy of a run whose network is the mean of its own and that of a package.

    Raises:
        UsageError: The share is not between 0 and 1, or the run is not that of a localiser.
        OutputError: ``out`` is there already, or cannot be written.
        PackageError: There is no such package.
        TrainingError: Its network has other layers, or the run has not ended.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"--share needs a number from 0 to 1. Received: {share:g}.")
    if out.exists():
        raise OutputError(f"A folder that is not there yet is needed. {out} is there: give another.")
    run = open_run(folder)
    family = family_of_run(run)
    if not isinstance(family, LocaliserFamily):
        raise UsageError(f"A run of a localiser is needed. {folder} is one of {run.facts.recipe}.")
    trained = run.network(0)
    network = load_network(trained)
    own = network.get_weights()
    other = set_weights_of_package(family.recipe.network.build(family.recipe.input, 0), package, "coarse").get_weights()
    network.set_weights([share * a + (1 - share) * b for a, b in zip(own, other, strict=True)])
    with replacing_folder(out) as made:
        shutil.copytree(folder, made, dirs_exist_ok=True)
        network.save(made / trained.relative_to(folder), include_optimizer=False)


if __name__ == "__main__":
    sys.exit(main())
