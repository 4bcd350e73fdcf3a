"""Studies as a network sees them that classifies vertebra by vertebra, cut once and kept on disk."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.datasets import Case, box_in_world, load_mask
from cspine.datasets.cache import Cache
from cspine.datasets.masks import without_small_components
from cspine.errors import OutputError
from cspine.imaging import around, sample
from cspine.imaging.vertebrae import Pose, greyed, mask_grid, vertebra_grid
from cspine.locating import Localiser
from cspine.locating.crop_geometry import find_poses, jittered, well_in_view
from cspine.reading import read_study
from cspine.results import LevelStatus
from cspine.specs import VertebraSpec
from cspine.study import Study
from cspine.training.core.finding import Finder, localiser_of
from cspine.training.core.marks import (
    BOX_BIT,
    FRACTURE_BIT,
    LIMIT_BYTES,
    fracture_mask,
    let_be_open,
    level_marks,
    refuse_wrong_marks,
)
from cspine.training.vertebrae.settings import VertebraRecipe
from cspine.volume import LabelMap, Volume

_FORMAT = 4
_FILES = 2
"""Arrays of a study that stay open: its pictures and its marks."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class StudyCrops:
    """The crops of one study, with what is spare around them.

    Attributes:
        case: The study.
        grey: The picture in 256 steps, ``(7, depth, rows, columns)``; read from disk as it is needed.
        marks: Level of each pixel, plus :data:`cspine.training.core.marks.BOX_BIT` in a box and
            :data:`cspine.training.core.marks.FRACTURE_BIT` on a known fracture, on the larger pixels of masks,
            ``(7, depth, rows / 2, columns / 2)``.
        heights_mm: Of the vertebrae; 0 of those that are not in the scan, ``(7,)``.
        learnable: Whether enough of a vertebra is in view to learn its label, ``(7,)``.
        affines: Of the pictures, index to world, ``(7, 4, 4)``.
    """

    case: Case
    grey: NDArray[np.uint8] = field(repr=False)
    marks: NDArray[np.uint8] = field(repr=False)
    heights_mm: NDArray[np.float64] = field(repr=False)
    learnable: NDArray[np.bool_] = field(repr=False)
    affines: NDArray[np.float64] = field(repr=False)

    @property
    def there(self) -> NDArray[np.bool_]:
        """Returns which levels are in the scan, ``(7,)``."""
        return np.asarray(self.heights_mm > 0)

    @property
    def broken(self) -> NDArray[np.bool_]:
        """Returns which levels are fractured as far as is known, ``(7,)``."""
        return np.array(self.case.fractured or (False,) * len(CERVICAL))


@dataclass(frozen=True, slots=True)
class Cutting:
    """Says how crops are cut.

    Attributes:
        recipe: What the network sees, and how crops are cut for it.
        finder: What finds the vertebrae.
        turn: Which of the turns: 0 is not turned at all, as in service.
    """

    recipe: VertebraRecipe
    finder: Finder = Finder.MASK
    turn: int = 0

    @property
    def spec(self) -> VertebraSpec:
        """Returns what the network sees."""
        return self.recipe.input

    @property
    def turn_deg(self) -> float:
        """Returns the standard deviation of the rotation."""
        return self.recipe.augmentation.turn_deg if self.turn else 0.0


def prepare_crops(
    cases: Iterable[Case], cutting: Cutting, cache: Path, tell: Callable[[str], None] = logger.info
) -> list[StudyCrops]:
    """Returns the crops of some studies, from ``cache`` where they were cut before.

    Raises:
        InputError: A study, mask or box cannot be read, or a mask that is used or a box does not fit its images.
        OutputError: ``cache`` cannot be written, or is too small for all.
    """
    kept, given, found = Cache(cache, LIMIT_BYTES), list(cases), []
    let_be_open(_FILES * len(given))
    for number, case in enumerate(given, 1):
        tell(f"cutting study {number} of {len(given)}")
        found.append(_study(case, cutting, kept))
        needed = len(given) * sum(study.grey.nbytes + study.marks.nbytes for study in found) // number
        if needed > kept.limit_bytes:
            raise OutputError(
                f"The crops of {len(given)} studies need {needed / 2**30:.1f} GiB. The cache {cache} holds "
                f"{kept.limit_bytes / 2**30:.1f} GiB; state more with `cspine cache DIR --keep-below`, or set a smaller input.size."
            )
    return found


def _study(case: Case, cutting: Cutting, cache: Cache) -> StudyCrops:
    by_mask = cutting.finder.trusts_mask(case)
    images = sorted(case.images.iterdir()) if case.images.is_dir() else [case.images]
    others = (case.mask if by_mask else None, fracture_mask(case))
    source = cache.content([*images, *(path for path in others if path is not None)])
    spec, settings = cutting.spec, cutting.recipe.crops
    made = {
        "format": _FORMAT,
        "vertebrae": [spec.spacing_mm, spec.depth, spec.size, spec.window_hu, settings.spare],
        "tilt": [cutting.turn, cutting.turn_deg],
        "levels": "mask" if by_mask else localiser_of(settings.localiser).package.sha256,
        "boxes": [asdict(box) for box in case.boxes],
    }
    found = cache.arrays(source, made, lambda: _cut(case, cutting, by_mask=by_mask))
    return StudyCrops(case, **{name: found[name] for name in ("grey", "marks", "heights_mm", "learnable", "affines")})


def _cut(case: Case, cutting: Cutting, *, by_mask: bool) -> dict[str, NDArray[Any]]:
    study = read_study(case.images)
    refuse_wrong_marks(case if by_mask else replace(case, mask=None), study)
    if by_mask and case.mask is not None:
        labels = without_small_components(load_mask(case.mask))
        seen = well_in_view(labels)
    else:
        labels, seen = _found(study.volume, localiser_of(cutting.recipe.crops.localiser))
    poses = {level: pose for level, pose in find_poses(labels).items() if level in seen}
    if cutting.turn:
        poses = jittered(poses, _rng(case, cutting.turn), cutting.turn_deg)
    return _arrays(case, study, labels, poses, cutting) | {"learnable": np.array([seen.get(level, False) for level in CERVICAL])}


def _found(volume: Volume, localiser: Localiser) -> tuple[LabelMap, dict[Level, bool]]:
    """Returns the labels of a localiser, and whether each level that it names surely is in view."""
    located = localiser(volume)
    enough = well_in_view(located.labels)
    sure = [vertebra.level for vertebra in located.vertebrae if vertebra.status is not LevelStatus.UNCERTAIN]
    return located.labels, {level: enough[level] for level in sure}


def _rng(case: Case, turn: int) -> np.random.Generator:
    digest = hashlib.sha256(case.study_uid.encode()).digest()
    return np.random.default_rng([turn, int.from_bytes(digest[:8], "big")])


def _arrays(case: Case, study: Study, labels: LabelMap, poses: Mapping[Level, Pose], cutting: Cutting) -> dict[str, NDArray[Any]]:
    spec, spare = cutting.spec, cutting.recipe.crops.spare
    known = fracture_mask(case)
    broken = load_mask(known) if known is not None else None
    boxes = _boxes(case, study) if case.boxes else None
    shape = tuple(side + 2 * more for side, more in zip((spec.depth, *spec.size), spare, strict=True))
    grey = np.zeros((len(CERVICAL), *shape), np.uint8)
    marks = np.zeros((len(CERVICAL), shape[0], shape[1] // 2, shape[2] // 2), np.uint8)
    heights, affines = np.zeros(len(CERVICAL)), np.tile(np.eye(4), (len(CERVICAL), 1, 1))
    grids = {level: vertebra_grid(pose, spec, spare) for level, pose in poses.items()}
    near = around(study.volume, list(grids.values())) if grids else study.volume
    for level, grid in grids.items():
        i, wide = level - 1, mask_grid(grid)
        grey[i] = greyed(sample(near, grid).hu, spec)
        marks[i] = level_marks(sample(labels, wide))
        if broken is not None:
            marks[i][sample(broken, wide).labels == level] |= FRACTURE_BIT
        if boxes is not None:
            marks[i][sample(boxes, wide).labels > 0] |= BOX_BIT
        heights[i], affines[i] = poses[level].height_mm, grid.affine
    return {"grey": grey, "marks": marks, "heights_mm": heights, "affines": affines}


def _boxes(case: Case, study: Study) -> LabelMap:
    """Returns what lies in a box of the study, on its own voxels: 1, else 0."""
    inside = np.zeros(study.volume.grid.shape, np.uint8)
    for box in case.boxes:
        found = box_in_world(study, case, box)
        rows, columns = (slice(max(round(low), 0), max(round(high), 0) + 1) for low, high in (found.rows, found.columns))
        inside[found.slice_index, rows, columns] = 1
    return LabelMap(inside, study.volume.grid)
