"""Damages what training leaves and service reads: packages, networks, checkpoints, runs, anatomies."""

import hashlib
import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.fuzz.mutations import damaged_bytes, damaged_json, damaged_npz, damaged_zip
from cspine import serving
from cspine.errors import CspineError
from cspine.modelpack import load_any_package
from cspine.phantoms.meshes.anatomy import load_anatomy
from cspine.phantoms.meshes.surfaces import read_surface
from cspine.runtime import Engine
from tests.coded import write_coded_package
from tests.phantoms.solids import box, write_obj, write_stl, write_vtp

_MEMORY = Path("cspine") / "checked"


def make_package(folder: Path) -> None:
    """Writes a small real package."""
    scratch = folder / "scratch"
    scratch.mkdir()
    write_coded_package(folder / "package", scratch)
    for path in scratch.iterdir():
        path.unlink()
    scratch.rmdir()


def spoil_manifest(folder: Path, rng: random.Random) -> None:
    """Damages the manifest."""
    path = folder / "package" / "manifest.json"
    path.write_bytes(damaged_json(path.read_bytes(), rng))


def spoil_package(folder: Path, rng: random.Random) -> None:
    """Damages another file; two times in three the manifest has its new checksum."""
    package = folder / "package"
    path = rng.choice([path for path in sorted(package.iterdir()) if path.name != "manifest.json"])
    spoil = damaged_npz if path.suffix == ".npz" else damaged_bytes
    path.write_bytes(spoil(path.read_bytes(), rng))
    if rng.random() < 0.67:
        manifest = json.loads((package / "manifest.json").read_text())
        manifest["checksums"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (package / "manifest.json").write_text(json.dumps(manifest))


def read_package(folder: Path) -> str:
    """Loads it, opens its network and runs a stored sample, as a detector does."""
    package = load_any_package(folder / "package")
    for network in package.manifest.networks:
        serving.open_network(package, network.role, Engine(threads=1))
    return "read"


def make_memory(folder: Path) -> None:
    """Writes a package, and what is remembered of its precision on this processor."""
    make_package(folder)
    with _remembering(folder):
        read_package(folder)


def spoil_memory(folder: Path, rng: random.Random) -> None:
    """Damages what is remembered."""
    (path,) = (folder / _MEMORY).iterdir()
    path.write_bytes(damaged_json(path.read_bytes(), rng))


def read_memory(folder: Path) -> str:
    """Opens the network again."""
    with _remembering(folder):
        return read_package(folder)


@contextmanager
def _remembering(folder: Path) -> Iterator[None]:
    """Lets cspine remember in a folder while the context is open."""
    before = os.environ.get("XDG_CACHE_HOME", "")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    try:
        yield
    finally:
        os.environ["XDG_CACHE_HOME"] = before


def make_anatomy(folder: Path) -> None:
    """Writes the smallest anatomy that ships."""
    shipped = sorted(
        Path(load_anatomy.__code__.co_filename).parents[1].glob("**/*.anatomy.npz"), key=lambda path: path.stat().st_size
    )
    (folder / "file.npz").write_bytes(shipped[0].read_bytes())


def read_anatomy(folder: Path) -> str:
    """Reads it."""
    load_anatomy(folder / "file.npz")
    return "read"


def make_surfaces(folder: Path) -> None:
    """Writes a brick in every form."""
    brick = box((0, 0, 0), (2, 3, 5))
    write_obj(brick, folder / "brick.obj")
    write_stl(brick, folder / "brick.stl")
    for form in ("ascii", "base64", "zlib", "zlib_appended", "plain_raw", "lzma_raw", "lz4_appended_big"):
        write_vtp(brick, folder / f"{form}.vtp", form)


def spoil_surfaces(folder: Path, rng: random.Random) -> None:
    """Damages each of them."""
    for path in sorted(folder.iterdir()):
        path.write_bytes(damaged_bytes(path.read_bytes(), rng))


def read_surfaces(folder: Path) -> str:
    """Reads each; the last refusal counts."""
    refusal = None
    for path in sorted(folder.iterdir()):
        try:
            read_surface(path)
        except CspineError as error:
            refusal = error
    if refusal is not None:
        raise refusal
    return "read"


def spoil_npz(folder: Path, rng: random.Random) -> None:
    """Damages a file of arrays."""
    path = folder / "file.npz"
    path.write_bytes(damaged_npz(path.read_bytes(), rng))


def make_run(folder: Path) -> None:
    """Writes the facts of a training run."""
    from cspine.recipes import load_recipe
    from cspine.training.core.runs import RunFacts, create_run
    from cspine.training.core.settings import settings

    chosen = settings(load_recipe("custom_cnn"))
    create_run(folder / "run", RunFacts("custom_cnn", chosen, "data", 2, "ab" * 32, {"1.2.3": 0, "1.2.4": 1}, "keras 3"))


def spoil_run(folder: Path, rng: random.Random) -> None:
    """Damages them."""
    path = folder / "run" / "run.json"
    path.write_bytes(damaged_json(path.read_bytes(), rng))


def read_run(folder: Path) -> str:
    """Opens the run, and takes its recipe with its settings."""
    from cspine.recipes import load_recipe
    from cspine.training.core.runs import open_run
    from cspine.training.core.settings import as_started

    run = open_run(folder / "run")
    as_started(load_recipe(run.facts.recipe), run.facts.settings)
    run.trained_folds()
    return "read"


@cache
def _network() -> Any:
    import keras

    from tests.training.synthetic import recipe

    settings = recipe()
    model = settings.network.build(settings.input, seed=settings.seed)
    model.compile(keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    return model


def make_checkpoint(folder: Path) -> None:
    """Writes a checkpoint of a small network."""
    from cspine.training.core.checkpoint import Progress, save_checkpoint

    save_checkpoint(folder / "file.npz", _network(), Progress(1, 2))


def read_checkpoint(folder: Path) -> str:
    """Goes on from it."""
    from cspine.training.core.checkpoint import load_checkpoint

    load_checkpoint(folder / "file.npz", _network())
    return "read"


def make_keras(folder: Path) -> None:
    """Writes a small network."""
    _network().save(folder / "best.keras")


def spoil_keras(folder: Path, rng: random.Random) -> None:
    """Damages the zip, its configuration or its weights."""
    path = folder / "best.keras"
    path.write_bytes(damaged_zip(path.read_bytes(), rng, lambda name: damaged_json if name.endswith(".json") else damaged_bytes))


def read_keras(folder: Path) -> str:
    """Loads it."""
    from cspine.networks.loading import load_network

    load_network(folder / "best.keras")
    return "read"
