"""Learning what a break looks like, before whole studies are judged: small parts of slices, half of them on a fracture.

A study has a hundred slices, of which few show a fracture, and that in few of their cells. Of parts around known fractures and
around whole bone a backbone learns many times faster.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.imaging.vertebrae import STEPS, smooth_mask
from cspine.specs import MASK_STEP
from cspine.training.slices.labels import BOX_BIT
from cspine.training.vertebrae.batches import fracture_bit
from cspine.training.vertebrae.coarse import Voxels, coarsened, draw_voxels
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.settings import VertebraRecipe
from cspine.training.vertebrae.targets import where_broken

_NOISY = 0.5
"""How often noise is added."""

_KEPT = 300
"""Places of a vertebra that are remembered, on its fracture and on the rest."""

Patches = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Parts ``(rows, columns, channels)`` with their cells ``(rows / 8, columns / 8)``."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where patches may be cut.

    Attributes:
        studies: The studies.
        broken: On known fractures: number of the study, level counted from 0, slice, row and column in pixels of masks, ``(k, 5)``.
        whole: On bone that is known to be whole, the same.
    """

    studies: Sequence[StudyCrops]
    broken: NDArray[np.int32] = field(repr=False)
    whole: NDArray[np.int32] = field(repr=False)


def find_places(studies: Sequence[StudyCrops], recipe: VertebraRecipe) -> Places:
    """Where patches may be cut in studies, the same for the same recipe."""
    rng = np.random.default_rng(recipe.seed)
    broken, whole = [np.empty((0, 5), np.int32)], [np.empty((0, 5), np.int32)]
    for number, study in enumerate(studies):
        bit = fracture_bit(study, recipe)
        for i in np.flatnonzero(study.there & study.learnable):
            is_broken = bool(study.broken[i])
            if is_broken and bit is None:
                continue
            marks = np.asarray(study.marks[i])
            own = marks % BOX_BIT == i + 1
            cracked = own & ((marks & (bit or 0)) > 0) if is_broken else np.zeros_like(own)
            for found, places in ((cracked, broken), (own & ~cracked, whole)):
                index = np.argwhere(found)
                chosen = index[rng.permutation(len(index))[:_KEPT]]
                places.append(np.column_stack([np.tile([number, i], (len(chosen), 1)), chosen]).astype(np.int32))
    return Places(studies, np.concatenate(broken), np.concatenate(whole))


class PatchBatches(keras.utils.PyDataset):
    """The batches of one epoch, from ``first`` on."""

    def __init__(self, places: Places, recipe: VertebraRecipe, fold: int, epoch: int, first: int = 0) -> None:
        super().__init__(workers=recipe.fit.workers, use_multiprocessing=False, max_queue_size=8)
        self._places, self._recipe, self._fold, self._epoch, self._first = places, recipe, fold, epoch, first

    def __len__(self) -> int:
        return self._recipe.patches.batches - self._first

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Patches ``(n, rows, columns, channels)`` and which of their cells are broken, ``(n, rows / 8, columns / 8, 1)``."""
        rng = np.random.default_rng([self._recipe.seed, self._fold, self._epoch, self._first + index, 1])
        drawn = [draw_patch(rng, self._places, self._recipe) for _ in range(self._recipe.patches.batch)]
        return np.stack([fed for fed, _ in drawn]), np.stack([cells for _, cells in drawn])[..., None]


def draw_patch(rng: np.random.Generator, places: Places, recipe: VertebraRecipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A patch, changed by chance, ``(rows, columns, channels)``, and its cells ``(rows / 8, columns / 8)``."""
    settings = recipe.patches
    pool = places.broken if len(places.broken) and rng.random() < settings.broken_share else places.whole
    number, i, z, y, x = pool[int(rng.integers(len(pool)))]
    study = places.studies[int(number)]
    off = rng.integers(-settings.off_px // MASK_STEP, settings.off_px // MASK_STEP + 1, 2)
    voxels = draw_voxels(rng, recipe.chance)
    fed, marks = _cut(study, int(i), np.array([z, y + off[0], x + off[1]]), recipe, voxels)
    bit = fracture_bit(study, recipe)
    broken = bool(study.broken[i])
    cells = where_broken(marks[None], int(i) + 1, bit, broken=broken).cells[0]
    picture = fed[..., :-1]
    chance = recipe.chance
    picture *= np.float32(1 + chance.gain * rng.uniform(-1, 1))
    picture += np.float32(chance.offset * rng.uniform(-1, 1))
    if rng.random() < _NOISY:
        picture += np.float32(chance.noise * rng.random()) * rng.standard_normal(picture.shape, dtype=np.float32)
    np.clip(picture, 0, 1, out=picture)
    if rng.random() < chance.flip:
        fed, cells = fed[:, ::-1], cells[:, ::-1]
    return fed, cells


def _cut(
    study: StudyCrops, i: int, middle: NDArray[np.integer], recipe: VertebraRecipe, voxels: Voxels | None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A patch around a pixel of a mask, or as near to it as the crop allows, as some voxels show it, and its marks."""
    spec, settings = recipe.input, recipe.patches
    depth, *most = study.marks.shape[1:]
    high, wide = settings.size[0] // MASK_STEP, settings.size[1] // MASK_STEP
    reach = int(np.ceil(2.5 * spec.mask_blur_mm / spec.spacing_mm[0]))
    z = int(np.clip(middle[0], spec.neighbours, depth - 1 - spec.neighbours))
    y, x = (int(np.clip(m - side // 2, 0, end - side)) for m, side, end in zip(middle[1:], (high, wide), most, strict=True))
    low = max(z - reach, 0)
    around = np.asarray(study.marks[i, low : z + reach + 1, y : y + high, x : x + wide])
    mask = smooth_mask(around % BOX_BIT == i + 1, spec)[z - low]
    fed = np.empty((*settings.size, spec.channels), np.float32)
    first, last = z - spec.neighbours, z + spec.neighbours + 1
    spare = 0 if voxels is None else int(np.ceil(2 * voxels.mm[0] / spec.spacing_mm[0]))
    start = max(first - spare, 0)
    rows, columns = (slice(MASK_STEP * low, MASK_STEP * (low + side)) for low, side in ((y, high), (x, wide)))
    slices = study.grey[i, start : last + spare, rows, columns]
    if voxels is not None:
        slices = coarsened(slices, voxels, spec.spacing_mm)
    slices = slices[first - start : last - start]
    np.divide(np.moveaxis(slices, 0, -1), np.float32(STEPS), out=fed[..., :-1])
    fed[..., -1] = mask.repeat(MASK_STEP, axis=0).repeat(MASK_STEP, axis=1) if spec.masked else 1.0
    return fed, around[z - low]


def fixed_patches(studies: Sequence[StudyCrops], recipe: VertebraRecipe) -> Patches:
    """Patches of studies, always the same: what epochs are judged on."""
    places = find_places(studies, recipe)
    if not len(places.whole):
        return []
    return [draw_patch(np.random.default_rng([recipe.seed, number, 2]), places, recipe) for number in range(recipe.patches.judged)]
