"""Samples and augments batches on the device: as :mod:`cspine.training.slices` does on the processor, thousands at once."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.necks import Slices
from cspine.networks.options import CELL
from cspine.specs import SliceSpec
from cspine.training.core.marks import BOX_BIT, FRACTURE_BIT
from cspine.training.slices.settings import SliceAugmentation, SliceRecipe

Data = dict[str, Any]

_FRACTURED_SHARE = 0.1
STEPS = 255.0
"""Of grey, from the lowest value of the window to the highest."""


def device_data(slices: Slices) -> Data:
    """Returns all that training reads, on the device."""
    necks = slices.necks
    chances = np.concatenate([neck.chances for neck in necks], axis=1)
    chances[chances.sum(axis=1) == 0] = chances[2]  # without a fractured slice, one of a neck takes its place
    arrays = {
        "grey": slices.grey,
        "marks": np.concatenate([neck.marks for neck in necks]),
        "around": slices.around,
        "fracture": np.concatenate([neck.fracture for neck in necks]),
        "visible": np.concatenate([neck.visible for neck in necks]),
        "broken": np.concatenate([np.tile(neck.broken, (len(neck.grey), 1)) for neck in necks]),
        "centre": np.concatenate([neck.middles for neck in necks]),
        "cumulative": (chances / chances.sum(axis=1, keepdims=True)).cumsum(axis=1).astype(np.float32),
        "on_fracture": _numbered([neck.on_fracture for neck in necks], slices),
        "on_intact": _numbered([neck.on_intact for neck in necks], slices),
    }
    return {name: jax.device_put(array) for name, array in arrays.items()}


def _numbered(centres: Sequence[NDArray[np.int32]], slices: Slices) -> NDArray[np.int32]:
    """Returns number of the slice, row and column, of centres that count slices neck by neck."""
    return np.concatenate([part + np.array([low, 0, 0], np.int32) for part, low in zip(centres, slices.first, strict=False)])


def patch_batch(data: Data, key: Any, recipe: SliceRecipe) -> tuple[Any, Any]:
    """Returns patches ``(n, rows, columns, 3)`` and whether their cells are fractured, ``(n, rows / 8, columns / 8, 1)``."""
    settings, keys = recipe.patches, jax.random.split(key, 5)
    count = settings.batch
    chosen = [
        pool[jax.random.randint(one, (count,), 0, len(pool))]
        for one, pool in zip(keys, (data["on_fracture"], data["on_intact"]), strict=False)
    ]
    on_fracture = jax.random.uniform(keys[2], (count, 1)) < settings.fractured_share
    place = jnp.where(on_fracture, chosen[0], chosen[1])
    off = jax.random.randint(keys[3], (count, 2), -settings.shift_px, settings.shift_px + 1)
    images, marks = cut(data, keys[4], (place[:, 0], place[:, 1:] - 0.5 + off), settings.size, recipe)
    broken = data["broken"][place[:, 0]]
    levels = (marks % BOX_BIT).astype(jnp.int32)
    of_broken = (levels > 0) & (levels <= broken.shape[1])
    of_broken &= jnp.take_along_axis(broken, jnp.clip(levels - 1, 0, 6).reshape(count, -1), axis=1).reshape(levels.shape)
    cells = _share(of_broken & ((marks & FRACTURE_BIT) > 0)) >= _FRACTURED_SHARE
    return images, cells.astype(jnp.float32)[..., None]


def slice_batch(data: Data, key: Any, recipe: SliceRecipe) -> tuple[Any, dict[str, Any]]:
    """Returns parts of slices ``(n, rows, columns, 3)`` and what they show, by the name of the network's output."""
    settings, keys = recipe.sampling, jax.random.split(key, 4)
    count = recipe.fit.batch
    shares = jnp.cumsum(jnp.array([settings.fractured_share, settings.intact_share]))
    lot = jax.random.uniform(keys[0], (count,))
    kind = jnp.where(lot > 1 - settings.anywhere_share, 3, jnp.searchsorted(shares, lot, side="right"))
    cumulative = data["cumulative"][kind]
    wanted = jax.random.uniform(keys[1], (count,)) * cumulative[:, -1]
    number = jnp.clip(jax.vmap(jnp.searchsorted)(cumulative, wanted), 0, len(data["grey"]) - 1)
    pixel = jnp.array(recipe.input.spacing_mm[1:])
    off = jax.random.uniform(keys[2], (count, 2), minval=-1.0, maxval=1.0) * recipe.augmentation.shift_mm / pixel
    images, marks = cut(data, keys[3], (number, data["centre"][number] + jnp.rint(off)), recipe.training_input.size, recipe)
    levels = (marks % BOX_BIT).astype(jnp.int32)
    levels = jnp.where(levels <= 7, levels, 0)
    targets = {
        "fracture": data["fracture"][number],
        "visible": data["visible"][number],
        "level_map": jnp.stack([_share(levels == level) for level in range(8)], axis=-1),
        "maps": levels.astype(jnp.float32),
        "fracture_map": jnp.minimum(_share((marks & FRACTURE_BIT) > 0) / _FRACTURED_SHARE, 1)[..., None],
    }
    return images, {name: targets[name] for name in recipe.network.outputs}


def cut(data: Data, key: Any, place: tuple[Any, Any], size: tuple[int, int], recipe: SliceRecipe) -> tuple[Any, Any]:
    """Returns parts of slices around points between pixels, augmented, and their marks.

    Args:
        data: On the device.
        key: Of what is random.
        place: Numbers of slices, ``(n,)``, and the points, ``(n, 2)``.
        size: Rows and columns.
        recipe: How far slices are changed.
    """
    (number, centre), keys = place, jax.random.split(key, 2)
    rows, columns = _coordinates(keys[0], centre, size, recipe.augmentation)
    high, wide = (side - 1 for side in data["grey"].shape[1:])
    around = data["around"][number][:, :, None, None]
    y, x = (jnp.clip(part, 0, most)[:, None] for part, most in ((rows, high), (columns, wide)))
    low_y, low_x = (jnp.minimum(jnp.floor(part).astype(jnp.int32), most - 1) for part, most in ((y, high), (x, wide)))
    part_y, part_x = y - low_y, x - low_x
    grey = data["grey"]
    upper, lower = (
        grey[around, low_y + down, low_x] * (1 - part_x) + grey[around, low_y + down, low_x + 1] * part_x for down in (0, 1)
    )
    images = jnp.moveaxis(upper * (1 - part_y) + lower * part_y, 1, -1) / STEPS
    near_y, near_x = (jnp.rint(part).astype(jnp.int32) for part in (rows, columns))
    inside = (near_y >= 0) & (near_y <= high) & (near_x >= 0) & (near_x <= wide)
    marks = jnp.where(inside, data["marks"][number[:, None, None], jnp.clip(near_y, 0, high), jnp.clip(near_x, 0, wide)], 0)
    return _recoloured(keys[1], images, recipe.augmentation, recipe.input), marks


def _coordinates(key: Any, centre: Any, size: tuple[int, int], settings: SliceAugmentation) -> tuple[Any, Any]:
    """Returns from which row and column each pixel is taken, ``(n, rows, columns)`` each."""
    count, keys = len(centre), jax.random.split(key, 4)
    warped = jax.random.uniform(keys[0], (count,)) < settings.warp_share
    turn = jnp.where(warped, jnp.radians(settings.turn_deg) * jax.random.uniform(keys[1], (count,), minval=-1.0, maxval=1.0), 0.0)
    scale = jnp.where(warped, 1 + settings.scale * jax.random.uniform(keys[2], (count,), minval=-1.0, maxval=1.0), 1.0)
    side = jnp.where(jax.random.uniform(keys[3], (count,)) < settings.flip_share, -1.0, 1.0)
    y, x = jnp.meshgrid(*(jnp.arange(n) - (n - 1) / 2 for n in size), indexing="ij")
    sine, cosine = (f(turn)[:, None, None] / scale[:, None, None] for f in (jnp.sin, jnp.cos))
    rows = centre[:, 0, None, None] + cosine * y - sine * x
    return rows, centre[:, 1, None, None] + side[:, None, None] * (sine * y + cosine * x)


def _recoloured(key: Any, images: Any, settings: SliceAugmentation, spec: SliceSpec) -> Any:
    """Returns images with other contrast, brightness and noise, in 0..1."""
    keys, window = jax.random.split(key, 4), spec.window_hu[1] - spec.window_hu[0]
    gain, offset = (jax.random.uniform(one, (len(images), 1, 1, 1), minval=-1.0, maxval=1.0) for one in keys[:2])
    noise = settings.noise_hu / window * jax.random.uniform(keys[2], (len(images), 1, 1, 1))
    images = (images - 0.5) * (1 + settings.gain * gain) + 0.5 + settings.offset_hu / window * offset
    return jnp.clip(images + noise * jax.random.normal(keys[3], images.shape), 0, 1)


def _share(marked: Any) -> Any:
    """Returns the share of each cell that is marked, ``(n, rows / 8, columns / 8)``."""
    count, rows, columns = marked.shape
    return marked.reshape(count, rows // CELL, CELL, columns // CELL, CELL).mean(axis=(2, 4), dtype=jnp.float32)
