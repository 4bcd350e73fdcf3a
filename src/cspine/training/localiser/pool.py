"""A pool of rendered necks on the localiser's grid, without noise: what training samples windows from.

Voxels have the classes of the network, and two more: a mask of a reader names vertebrae and nothing else, so that what is as
dense as bone outside of it may be skull, rib, a vertebra that was not outlined, or a vessel with contrast.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, OTHER_BONE, Level
from cspine.errors import OutputError, TrainingError
from cspine.geometry import Grid
from cspine.phantoms import BEYOND_LIFE, LIFE, WIDE, Neck, Spread, Variation, render, sample_neck
from cspine.phantoms.dataset.workers import workers
from cspine.specs import OTHER_BONE_CLASS, OTHER_VERTEBRA_CLASS, VolumeSpec
from cspine.storage.array_files import read_arrays
from cspine.storage.files import replacing_file
from cspine.training.core.marks import LabelledImage
from cspine.training.localiser.settings import LocaliserRecipe, PoolSettings

Windows = list[tuple[NDArray[np.float32], NDArray[np.uint8]]]
"""Windows ``(z, y, x)`` and their classes."""

UNKNOWN_CLASS = 255
"""A voxel that may be anything: -1 as a target."""

UNNAMED_CLASS = 254
"""A voxel that is none of C1..C7, but background, another vertebra or other bone: -2 as a target."""

UNNAMED = (0, OTHER_VERTEBRA_CLASS, OTHER_BONE_CLASS)
"""The classes that it may have."""

_HELD_OUT_SEED = 1 << 20
_BENT = replace(BEYOND_LIFE, warp_mm=1.6)
"""Shapes that no neck of a training set has."""

_FRACTURED_SHARE = 0.3

_DAMAGED = "A neck of the pool is damaged: {path}. Delete it; it is made anew."


class PoolPart(StrEnum):
    """Says what a neck is for."""

    TRAIN = "train"
    VALIDATE = "validate"


def classes_of(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns classes of the localiser, of labels as in masks: C1..C7 stay, T1 and below are other vertebrae."""
    table = np.full(256, OTHER_BONE_CLASS, np.uint8)
    table[: len(CERVICAL) + 1] = np.arange(len(CERVICAL) + 1)
    table[Level.T1 : OTHER_BONE] = OTHER_VERTEBRA_CLASS
    return table[labels]


def targets_of(classes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns classes as a loss takes them."""
    return classes.view(np.int8).astype(np.float32)


def make_pool(
    folder: Path, recipe: LocaliserRecipe, parts: Sequence[PoolPart], jobs: int, tell: Callable[[str], None]
) -> dict[PoolPart, list[Path]]:
    """Returns the files of some parts of a pool; those that are there already are kept.

    Args:
        folder: Where they lie.
        recipe: How many, and which.
        parts: What is needed.
        jobs: Processes.
        tell: Receives the progress.

    Raises:
        OutputError: The folder cannot be written.
    """
    counts = {PoolPart.TRAIN: recipe.pool.necks, PoolPart.VALIDATE: recipe.pool.held_out}
    sample = partial(sample_pool_image, recipe.pool, recipe.input)
    return fill_pool(folder, sample, {part: counts[part] for part in parts}, jobs, tell)


def fill_pool(
    folder: Path,
    sample: Callable[[PoolPart, int], LabelledImage],
    counts: Mapping[PoolPart, int],
    jobs: int,
    tell: Callable[[str], None],
) -> dict[PoolPart, list[Path]]:
    """Makes the files of any pool; those that are there already are kept.

    Args:
        folder: Where they lie.
        sample: Makes the neck of a part and number; it goes to other processes.
        counts: How many necks each part has.
        jobs: Processes.
        tell: Receives the progress.

    Raises:
        OutputError: The folder cannot be written, or a process died.
    """
    paths = {part: [folder / f"{part}-{number:05d}.npz" for number in range(count)] for part, count in counts.items()}
    missing = [(part, number) for part, files in paths.items() for number, path in enumerate(files) if not path.is_file()]
    if not missing:
        return paths
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"A pool of necks needs a folder that can be written. {folder}: {error.strerror}.") from error
    with workers(jobs) as pool:
        work = partial(_make, folder, sample)
        running = [pool.submit(work, part, number) for part, number in missing]
        try:
            for done, future in enumerate(as_completed(running), 1):
                future.result()
                tell(f"neck {done} of {len(missing)}")
        except BrokenProcessPool as error:
            raise OutputError(f"{folder} is not finished: a worker died, perhaps for lack of memory. Try fewer --jobs.") from error
    return paths


def read_pool_image(path: Path) -> LabelledImage:
    """Returns a neck of a pool.

    Raises:
        TrainingError: The file is damaged.
    """
    try:
        stored = read_arrays(path, ["hu", "classes"])
    except (OSError, ValueError) as error:
        raise TrainingError(_DAMAGED.format(path=path)) from error
    hu, classes = stored["hu"], stored["classes"]
    if hu.ndim != 3 or hu.shape != classes.shape or hu.dtype != np.int16 or classes.dtype != np.uint8:
        raise TrainingError(_DAMAGED.format(path=path))
    return LabelledImage(hu, classes)


def sample_pool_image(settings: PoolSettings, spec: VolumeSpec, part: PoolPart, number: int) -> LabelledImage:
    """Returns one neck of a pool, the same for the same settings and number."""
    rng = pool_rng(settings.seed, part, number)
    neck = sample_pool_neck(rng, part, settings.beyond_life, settings.wide)
    if rng.random() < settings.trunks:
        return _trunk(rng, neck, settings, spec)
    return image_of(neck, _sample_grid(rng, neck, settings, spec))


def pool_rng(seed: int, part: PoolPart, number: int) -> np.random.Generator:
    """Returns the random numbers of one neck of a pool."""
    return np.random.default_rng([seed + _HELD_OUT_SEED * (part is PoolPart.VALIDATE), number])


def sample_pool_neck(rng: np.random.Generator, part: PoolPart, beyond_life: float, wide: float) -> Neck:
    """Returns a neck to learn from, or one out of any such shape to validate on; three in ten are fractured.

    Args:
        rng: The only source of randomness.
        part: What it is for.
        beyond_life: Share of necks whose vertebrae move on their own.
        wide: Share of necks of the preset ``wide``; none of those to validate on.
    """
    fractured = _sample_fractured(rng)
    variation = Variation(spread=_sample_spread(rng, part, beyond_life))
    if part is PoolPart.TRAIN and rng.random() < wide:
        variation = WIDE
    return sample_neck(rng, fractured=fractured, variation=variation)


def image_of(neck: Neck, grid: Grid) -> LabelledImage:
    """Returns a neck on a grid, as a pool holds it."""
    found = render(neck, grid)
    return LabelledImage(_rounded(found.volume.hu), classes_of(found.labels.labels))


def _sample_spread(rng: np.random.Generator, part: PoolPart, beyond_life: float) -> Spread:
    beyond = rng.random() < beyond_life
    if part is PoolPart.VALIDATE:
        return _BENT
    return BEYOND_LIFE if beyond else LIFE


def _sample_fractured(rng: np.random.Generator) -> list[Level]:
    if rng.random() >= _FRACTURED_SHARE:
        return []
    return sorted(Level(int(level)) for level in rng.choice(7, int(rng.integers(1, 4)), replace=False) + 1)


def _sample_grid(rng: np.random.Generator, neck: Neck, settings: PoolSettings, spec: VolumeSpec) -> Grid:
    """Returns a box around a place somewhere between skull and chest."""
    centres = neck.centres_mm
    low, high = np.array(centres["T2"]), np.add(centres["C1"], (0, 0, 20))
    middle = low + (high - low) * rng.random() + rng.normal(0, (12, 12, 5)) - (0, 10, 0)
    x, y, z = (float(value) for value in middle)
    return Grid.upright((x, y, z), _shape(settings, spec), spec.spacing_mm)


def _trunk(rng: np.random.Generator, neck: Neck, settings: PoolSettings, spec: VolumeSpec) -> LabelledImage:
    """Returns what lies below C2, as large as chest and loin: seen on finer voxels, which are then taken for the network's own."""
    larger = float(rng.uniform(1.5, 2.3))
    without_head = tuple(bone for bone in neck.bones if bone.name not in ("skull", "jaw", "C1", "C2", "hyoid", "larynx"))
    z, y, x = (side / larger for side in spec.spacing_mm)
    centre = np.mean([neck.centres_mm["C6"], neck.centres_mm["T1"]], axis=0) + rng.normal(0, (6, 6, 10))
    grid = Grid.upright((float(centre[0]), float(centre[1]), float(centre[2])), _shape(settings, spec), (z, y, x))
    found = render(replace(neck, bones=without_head), grid)
    classes = classes_of(found.labels.labels)
    classes[(classes > 0) & (classes < OTHER_VERTEBRA_CLASS)] = OTHER_VERTEBRA_CLASS
    return LabelledImage(_rounded(found.volume.hu), classes)


def _shape(settings: PoolSettings, spec: VolumeSpec) -> tuple[int, int, int]:
    z, y, x = (size + more for size, more in zip(spec.size, settings.margin, strict=True))
    return z, y, x


def _rounded(hu: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.rint(hu), -2048, 8000).astype(np.int16)


def _make(folder: Path, sample: Callable[[PoolPart, int], LabelledImage], part: PoolPart, number: int) -> None:
    image = sample(part, number)
    path = folder / f"{part}-{number:05d}.npz"
    try:
        with replacing_file(path) as made:
            np.savez_compressed(made, hu=image.hu, classes=image.classes)
    except OSError as error:
        raise OutputError(f"A pool of necks needs a folder that can be written. {folder}: {error.strerror}.") from error
