"""From trained runs to a package that finds vertebrae: networks of any window, checked against the trained ones."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.errors import TrainingError
from cspine.modelpack import (
    Figure,
    LocaliserManifest,
    NetworkFile,
    Package,
    Samples,
    TrainingData,
    TrainingFacts,
    load_localiser,
    write_package,
)
from cspine.networks.loading import load_network
from cspine.networks.unet3d import of_any_window
from cspine.specs import RefinerSpec, VolumeSpec
from cspine.training.core.conversion import write_ir
from cspine.training.core.export import check_parity, difference
from cspine.training.core.runs import Run
from cspine.training.localiser.augmentation import apply_chance, draw_chance
from cspine.training.localiser.card import localiser_card
from cspine.training.localiser.pool import Part, draw_pool_image
from cspine.training.localiser.settings import LocaliserRecipe
from cspine.training.slices.fitting import BEST

INTENDED_USE = (
    "Research on finding and naming the cervical vertebrae C1 to C7 on CT. Not a medical device, not for diagnosis, not for any "
    "decision about a patient."
)
TOLERANCES = {"f32": 0.05, "bf16": 0.1}
"""By how much the probability of any one voxel may change by export, by precision: maps are normalised by sums over a whole window,
a quarter of a million numbers, which engines add up in different orders. Half of the precision may change the least sure voxels, on
borders; what is found of the vertebrae is judged by ``python -m benchmarks.localiser``, with the package as it is served."""

_WINDOWS = 2
_STEPS = 255
_SAMPLE = 32
"""Voxels of the sides of a stored sample: networks take any window, so a small one says enough and takes little room."""


@dataclass(frozen=True, slots=True)
class Trained:
    """One network of the package.

    Attributes:
        role: What it is for.
        run: Where it was trained.
        input: What it is fed.
        windows: Gives what the network learnt from, ``(n, z, y, x, c)``.
        fold: Which network of the run.
    """

    role: str
    run: Run
    input: VolumeSpec
    windows: Callable[[], NDArray[np.float32]]
    fold: int = 0


@dataclass(frozen=True, slots=True)
class LocaliserRequest:
    """What a package shall be called and say.

    Attributes:
        name: Of the package.
        version: Of the package.
        data: What was learnt from, in words.
        learnt_from: Number of necks.
        training_data: Whom the networks have seen.
        precision: How an engine may calculate: ``f32`` or ``bf16``; a network that does not keep its tolerance in ``bf16`` stays in
            ``f32``.
        figures: What was measured on necks that had no part in it.
    """

    name: str
    version: str
    data: str
    learnt_from: int
    training_data: TrainingData
    precision: str = "f32"
    figures: tuple[Figure, ...] = ()


def coarse_network(run: Run, recipe: LocaliserRecipe, fold: int = 0) -> Trained:
    """The network of a fold that finds vertebrae, of a run and the recipe that it was started with.

    Raises:
        TrainingError: The fold is not trained.
    """
    if not (run.fold(fold) / BEST).is_file():
        raise TrainingError(f"A fold is exported when it is trained. {run.folder} has no network of fold {fold}; train it first.")
    return Trained("coarse", run, recipe.input, partial(_windows, recipe), fold)


def _windows(recipe: LocaliserRecipe) -> NDArray[np.float32]:
    """Two windows of necks that the network did not learn from."""
    images = [draw_pool_image(recipe.pool, recipe.input, Part.CHOOSE, number) for number in range(_WINDOWS)]
    drawn = [
        apply_chance(draw_chance(np.random.default_rng(number), recipe.chance, recipe.input, image.hu.shape), image, recipe.input)[
            0
        ]
        for number, image in enumerate(images)
    ]
    return np.stack(drawn)[..., None]


def export_localiser(networks: Sequence[Trained], request: LocaliserRequest, folder: Path) -> Package[LocaliserManifest]:
    """Writes a package of kind ``localiser``.

    Args:
        networks: In the roles ``coarse`` and, if there is one, ``fine``.
        request: What the package shall be called.
        folder: Where it shall stand.

    Raises:
        TrainingError: A network is not trained, or the exported one does not agree with it.
        OutputError: ``folder`` cannot be written.
    """
    files, samples = dict[str, Path](), dict[str, Samples]()
    precisions, worst = dict[str, str](), 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for network in networks:
            path = Path(scratch) / f"{network.role}.xml"
            trained = load_network(network.run.fold(network.fold) / BEST)
            write_ir(of_any_window(trained), path)
            whole = _said(trained, network.windows())
            samples[network.role] = _said(of_any_window(trained), _middle(whole.inputs[:1]))
            checked = (whole, samples[network.role])
            precisions[network.role] = _precision(path, checked, request.precision)
            served = precisions[network.role]
            worst = max(worst, *(check_parity(path, said, TOLERANCES[served], precision=served) for said in checked))
            files |= {path.name: path, path.with_suffix(".bin").name: path.with_suffix(".bin")}
        manifest = _manifest(networks, request, precisions)
        write_package(folder, manifest, files, samples, localiser_card(manifest, worst))
    return load_localiser(folder)


def _precision(path: Path, checked: Sequence[Samples], wanted: str) -> str:
    """The precision that is wanted, where the network keeps the tolerance in it; single precision otherwise."""
    return wanted if max(difference(path, said, precision=wanted) for said in checked) <= TOLERANCES[wanted] else "f32"


def _said(network: keras.Model, windows: NDArray[np.float32]) -> Samples:
    """Windows in steps that compress well, and what a network says about them."""
    inputs = (np.rint(windows * _STEPS) / _STEPS).astype(np.float32)
    outputs = network.predict_on_batch(inputs)
    return Samples(inputs, {name: np.asarray(output, dtype=np.float32) for name, output in outputs.items()})


def _middle(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    z, y, x = (slice((side - _SAMPLE) // 2, (side + _SAMPLE) // 2) for side in windows.shape[1:4])
    return windows[:, z, y, x]


def _manifest(networks: Sequence[Trained], request: LocaliserRequest, precisions: Mapping[str, str]) -> LocaliserManifest:
    facts = networks[0].run.facts
    inputs = {network.role: network.input for network in networks}
    fine = inputs.get("fine")
    return LocaliserManifest(
        name=request.name,
        version=request.version,
        kind=LocaliserManifest.KIND,
        coarse=inputs["coarse"],
        fine=fine if isinstance(fine, RefinerSpec) else None,
        networks=tuple(
            NetworkFile(n.role, f"{n.role}.xml", (n.input.output,), precisions[n.role], TOLERANCES[precisions[n.role]])
            for n in networks
        ),
        training_data=request.training_data,
        trained_on=request.data,
        intended_use=INTENDED_USE,
        training=TrainingFacts(
            recipe=" and ".join(network.run.facts.recipe for network in networks),
            data=request.data,
            patients=request.learnt_from,
            seed=int(facts.settings["seed"]),
            software=f"cspine {facts.cspine_version}, {facts.software}",
            figures=request.figures,
        ),
    )
