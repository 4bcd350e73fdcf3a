"""One CT series, read and ready."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.geometry import Grid, Vector
from cspine.volume import Volume


@dataclass(frozen=True, slots=True)
class ReadingWarning:
    """Something about a scan that a reader of its result should know.

    Attributes:
        code: A stable short name, for instance ``uneven_spacing``.
        text: One sentence for people, without any identifier of a patient.
    """

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class SourceSlice:
    """An image of the scan, as an archive knows it.

    Attributes:
        sop_class_uid: What kind of object it is.
        sop_instance_uid: The object.
        position_mm: World coordinates of the centre of its first pixel.
        frame_number: Counted from 1 in a multi-frame object, ``None`` in a single-frame one.
        instance_number: Instance Number of the object, by which people call the image; ``None`` where it has none.
    """

    sop_class_uid: str
    sop_instance_uid: str
    position_mm: Vector
    frame_number: int | None = None
    instance_number: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Says where a DICOM study was read, so that a report can look into its header again; nothing of a header is kept.

    Attributes:
        place: The folder, zip or file.
        file: The file of the first of its ``sources``, as the place calls it.
    """

    place: Path
    file: str


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """One CT series with what a result must cite.

    Attributes:
        name: What the user calls it: a folder or file name. Never a patient's name.
        volume: The image, as stored where that is regular, else resampled at the true positions (``warnings`` say so).
        study_uid: DICOM Study Instance UID, or ``None``.
        series_uid: DICOM Series Instance UID, or ``None``.
        orientation: ``axial``, ``sagittal``, ``coronal`` or ``oblique``: how it was stored.
        sources: The images it was made of, along the normal of the stack; empty for a NIfTI file.
        warnings: What reading noticed.
        origin: Where it was read; ``None`` for a NIfTI file.
    """

    name: str
    volume: Volume = field(repr=False)
    study_uid: str | None
    series_uid: str | None
    orientation: str
    sources: tuple[SourceSlice, ...] = field(default=(), repr=False)
    warnings: tuple[ReadingWarning, ...] = ()
    origin: Origin | None = field(default=None, repr=False)

    @property
    def is_citable(self) -> bool:
        """Says whether each image has an identity of its own: a SOP Instance UID and, in a multi-frame object, a frame."""
        identities = {(source.sop_instance_uid, source.frame_number) for source in self.sources if source.sop_instance_uid}
        return len(identities) == len(self.sources)

    def plane(self, index: int) -> Grid:
        """Returns the pixels of a stored image where they truly lie, as a grid of one slice whose first axis is their normal.

        Where the volume was resampled, or the gantry was tilted, this is not a slice of its grid.
        """
        grid = self.volume.grid
        affine = grid.affine.copy()
        affine[:3, 0] = np.cross(grid.directions[:, 2], grid.directions[:, 1]) * grid.spacing_mm[0]
        affine[:3, 3] = self.sources[index].position_mm if self.sources else grid.world((index, 0, 0))
        return Grid((1, *grid.shape[1:]), affine, grid.frame_of_reference_uid)

    def first_pixels_mm(self) -> NDArray[np.float64]:
        """Returns the world coordinates of the first pixel of each stored image, ``(n, 3)``; planes differ in nothing else."""
        if self.sources:
            return np.array([source.position_mm for source in self.sources], dtype=np.float64)
        grid = self.volume.grid
        return grid.world([(index, 0, 0) for index in range(grid.shape[0])])

    def nearest_slice(self, world_mm: ArrayLike) -> int:
        """Returns the stored slice whose plane is nearest to a world point ``(x, y, z)``, counted from 0 along the stack."""
        return int(self.nearest_slices(np.reshape(world_mm, (1, 3)))[0])

    def nearest_slices(self, world_mm: ArrayLike) -> NDArray[np.intp]:
        """Returns the same for world points ``(n, 3)``, ``(n,)``."""
        if not self.sources:
            index = np.rint(self.volume.grid.index(world_mm)[:, 0]).astype(np.intp)
            return np.clip(index, 0, self.volume.grid.shape[0] - 1)
        row, column = self.volume.grid.directions[:, 1], self.volume.grid.directions[:, 2]
        normal = np.cross(column, row)
        heights = np.array([source.position_mm for source in self.sources]) @ normal
        order = np.argsort(heights, kind="stable")
        between = (heights[order][1:] + heights[order][:-1]) / 2
        return order[np.searchsorted(between, np.asarray(world_mm, dtype=np.float64) @ normal)]
