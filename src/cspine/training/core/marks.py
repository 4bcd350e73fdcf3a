"""Reads what is marked on the pixels of a study: its levels, boxes and fractures, with the checks and limits of all families."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.datasets import Case
from cspine.datasets.checking import check_marks
from cspine.errors import DatasetError, OutputError
from cspine.networks.options import CELL
from cspine.study import Study
from cspine.volume import LabelMap

try:
    import resource as _resource
except ImportError:  # Windows, where mapped files are not counted
    _system: ModuleType | None = None
else:
    _system = _resource

UNKNOWN = -1.0
"""A target that no loss counts."""

BOX_BIT = 16
"""Added to the level of a pixel that lies in a box."""

FRACTURE_BIT = 32
"""Added to the level of a pixel on a fracture, where a phantom gives its place."""

LIMIT_BYTES = 200 << 30
"""What a cache of training may hold: the 2019 studies of the RSNA data take 50 GiB with the slices of our recipes."""

_OTHER_FILES = 128

_FRACTURED_SHARE = 0.1
"""Smallest share of a cell on a fracture at which the cell counts as fractured."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """An image of a volume, and what each of its voxels is.

    Attributes:
        hu: Hounsfield units, rounded, ``(z, y, x)``.
        classes: What each voxel is, as the network predicts it, ``(z, y, x)``.
    """

    hu: NDArray[np.int16]
    classes: NDArray[np.uint8]


def level_marks(mask: LabelMap) -> NDArray[np.uint8]:
    """Returns the level of each pixel of a mask on slices, whoever made it; vertebrae far below the neck are background."""
    return np.where(mask.labels < BOX_BIT, mask.labels, 0).astype(np.uint8)


def fracture_mask(case: Case) -> Path | None:
    """Returns the file of a phantom that marks where it is fractured; ``None`` for a patient."""
    path = case.truth / "fractures.nii.gz" if case.truth is not None else None
    return path if path is not None and path.is_file() else None


def refuse_wrong_marks(case: Case, study: Study) -> None:
    """Makes sure that the mask and the boxes of a study fit its images.

    Raises:
        DatasetError: They do not.
    """
    problems = check_marks(case, study)
    if problems:
        raise DatasetError(
            f"Study {case.study_uid} needs a mask and boxes that fit its images. Received: {problems[0].text} "
            "Repair it, or leave it out with --skip-broken (in training: in a new run)."
        )


def let_be_open(files: int) -> None:
    """Lets this process hold so many files: a mapped array holds its own, and many systems grant 256 or 1024 by default.

    Raises:
        OutputError: They may not be granted.
    """
    if _system is None:
        return
    needed, limits = files + max(_OTHER_FILES, _open_files() + _OTHER_FILES // 2), _system.RLIMIT_NOFILE
    granted, most = _system.getrlimit(limits)
    if granted == _system.RLIM_INFINITY or granted >= needed:
        return
    try:
        _system.setrlimit(limits, (needed, most))
    except (ValueError, OSError) as error:
        raise OutputError(
            f"Prepared studies need {needed} open files. This system grants {most}; raise `ulimit -Hn` or train on fewer studies."
        ) from error


def _open_files() -> int:
    """Returns how many files this process has open; 0 where the system does not say."""
    try:
        return sum(1 for _ in Path("/dev/fd").iterdir())
    except OSError:
        return 0


def cell_levels(marks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns how much of each cell is background and C1..C7, ``(rows / 8, columns / 8, 8)``, of marks ``(rows, columns)``."""
    rows, columns = (n // CELL for n in marks.shape)
    tiles = (marks % BOX_BIT).reshape(rows, CELL, columns, CELL)
    shares = np.stack([np.count_nonzero(tiles == level, axis=(1, 3)) for level in CERVICAL], axis=-1) / CELL**2
    return np.concatenate([1 - shares.sum(axis=-1, keepdims=True), shares], axis=-1).astype(np.float32)


def pixel_levels(marks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns the level of each pixel, C1..C7 or background, ``(rows, columns)``."""
    levels = marks % BOX_BIT
    return np.where(levels <= max(CERVICAL), levels, 0).astype(np.float32)


def boxed_cells(marks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns how much of each cell lies in a box, ``(rows / 8, columns / 8, 1)``, of marks ``(rows, columns)``."""
    return _share_of_cells((marks & BOX_BIT) > 0)


def fractured_cells(marks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns whether a fracture is in each cell, 0..1, ``(rows / 8, columns / 8, 1)``, of marks ``(rows, columns)``."""
    return np.minimum(_share_of_cells((marks & FRACTURE_BIT) > 0) / _FRACTURED_SHARE, 1)


def _share_of_cells(marked: NDArray[np.bool_]) -> NDArray[np.float32]:
    rows, columns = (n // CELL for n in marked.shape)
    return marked.reshape(rows, CELL, columns, CELL).mean(axis=(1, 3), dtype=np.float32)[..., None]
