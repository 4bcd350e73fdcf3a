"""Turns surfaces of vertebrae into an anatomy for phantoms.

FOLDER holds one closed surface per level, obj, stl or vtp. Levels that are absent are borrowed. A file whose name holds c1 to c7
is that level, in millimetres, x to the left, y to the back, z to the head. Otherwise a table says which file is what::

    scale_mm = 1000.0                  millimetres per unit
    axes = "ALS"                       where x, y, z point: one letter each of L/R, A/P, S/I
    [levels]
    C3 = "third.stl"
    [context]
    jaw = "mandible.obj"               jaw, hyoid, larynx, skull

A picture beside FILE shows what was built; `cspine phantom --anatomy FILE` then samples necks with these bones.
"""

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cspine.cli import Exit
from cspine.cli.progress import progress
from cspine.errors import OutputError, UsageError
from cspine.storage.files import write_bytes

if TYPE_CHECKING:
    from cspine.phantoms.meshes.anatomy import Anatomy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="build")
    build = actions.add_parser("build", help="build an anatomy file from a folder of surfaces")
    build.add_argument("folder", type=Path, metavar="FOLDER", help="where the surfaces are")
    build.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the anatomy file to write, *.anatomy.npz")
    build.add_argument("--table", type=Path, metavar="TOML", help="which surface is which bone; FOLDER/anatomy.toml by default")
    build.add_argument("--overwrite", action="store_true", help="replace FILE if it is there")


def run(args: argparse.Namespace) -> int:
    """Builds the file and says what is in it."""
    from cspine.anatomy import CERVICAL
    from cspine.phantoms.meshes.anatomy import save_anatomy
    from cspine.phantoms.meshes.building import build_anatomy
    from cspine.phantoms.meshes.table import read_table, unused_surfaces
    from cspine.phantoms.model.skeleton import HOSTS

    if args.out.exists() and not args.overwrite:
        raise UsageError(f"{args.out} is there already. Give another name, or --overwrite.")
    anatomy = build_anatomy(args.folder, args.table, lambda names: progress(names, len(names), "bones"))
    save_anatomy(anatomy, args.out)
    picture = args.out.with_name(f"{args.out.name.removesuffix('.npz')}.png")
    _save_picture(anatomy, picture)
    for level, bone in anatomy.vertebrae.items():
        width, depth, height = bone.body.size_mm
        sys.stdout.write(f"{level.name}  body {width:.0f} x {depth:.0f} x {height:.0f} mm\n")
    for name in anatomy.context:
        sys.stdout.write(f"{name}\n")
    lent = [level.name for level in CERVICAL if level not in anatomy.vertebrae]
    lent += [name for name, host in HOSTS.items() if name not in anatomy.context or host not in anatomy.vertebrae]
    unused = unused_surfaces(args.folder, read_table(args.folder, args.table))
    for what, names in (("borrowed", lent), ("not used", unused)):
        if names:
            sys.stdout.write(f"{what}: {', '.join(names)}\n")
    sys.stdout.write(f"{args.out}\n{picture}\n")
    return Exit.DONE


def _save_picture(anatomy: "Anatomy", path: Path) -> None:
    """Writes a picture of the anatomy, to see whether it is right."""
    from cspine.phantoms.ct.anatomy_picture import anatomy_figure

    stream = io.BytesIO()
    anatomy_figure(anatomy).savefig(stream, format="png", dpi=90, metadata={"Software": None})
    try:
        write_bytes(path, stream.getvalue())
    except OSError as error:
        raise OutputError(f"A picture needs a place that can be written. {path}: {error.strerror}.") from error
