"""Lists the model packages that ship with cspine, or describes others."""

import argparse
import sys
import textwrap
from pathlib import Path

from cspine.modelpack import (
    DEFAULT_LOCALISER,
    DEFAULT_PACKAGE,
    Manifest,
    Package,
    PackageManifest,
    load_any_package,
    shipped_packages,
)

_WIDTH = 110


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="folders or names; all shipped ones if not given")
    parser.add_argument("--card", action="store_true", help="print the model cards in full")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    names = options.packages or shipped_packages()
    if not names:
        sys.stdout.write("No model package ships with this copy of cspine. Give `cspine detect --model` a folder.\n")
    for name in names:
        package = load_any_package(name)
        sys.stdout.write(package.card + "\n" if options.card else _facts(package) + "\n")
    return 0


def _facts(package: Package[PackageManifest]) -> str:
    manifest = package.manifest
    default = " (default)" if manifest.name in (DEFAULT_PACKAGE, DEFAULT_LOCALISER) else ""
    facts = [
        ("kind", manifest.kind),
        ("trained on", manifest.trained_on),
        ("for", manifest.intended_use),
        ("recipe", f"{manifest.training.recipe}, {manifest.training.patients} patients: {manifest.training.data}"),
        *(("measured", f"{f.name}: {f.value:.3f} ({f.interval})") for f in manifest.training.figures),
        *([("points", _points(manifest))] if isinstance(manifest, Manifest) else []),
        ("size", f"{_megabytes(package.folder):.1f} MB in {package.folder}"),
    ]
    return "\n".join([f"{manifest.name} {manifest.version}{default}", *(_line(label, text) for label, text in facts), ""])


def _points(manifest: Manifest) -> str:
    return ", ".join(p.name + (" (default)" if p.name == manifest.default_point else "") for p in manifest.operating_points)


def _line(label: str, text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=f"  {label:<11}", subsequent_indent=" " * 13)


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6
