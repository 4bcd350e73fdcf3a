"""Writes the networks of a model package as ONNX, with what must be known to run them elsewhere as JSON.

OUT/models has the networks, OUT/configs/metadata.json inputs (distances of voxels, window of Hounsfield units, axes), outputs,
calibration and thresholds, OUT/samples inputs with the outputs of the trained networks, OUT/docs the model card. The folders are
those of a MONAI bundle. ONNX Runtime must repeat the stored samples, or nothing is written.
"""

import argparse
from pathlib import Path

from cspine.cli.files import print_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("package", metavar="PACKAGE", help="folder of a package, or a name that `cspine models` lists")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder of the bundle")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from cspine.bundling import write_bundle
    from cspine.modelpack import load_any_package

    package = load_any_package(options.package)
    differences = write_bundle(package, options.out)
    for role, difference in differences.items():
        print(f"{role}: {difference:.1e} from the trained network")  # noqa: T201
    files = sorted(path.relative_to(options.out).as_posix() for path in options.out.rglob("*") if path.is_file())
    print_files(options.out, files)
    return 0
