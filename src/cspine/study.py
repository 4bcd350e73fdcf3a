"""One CT series, read and ready."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from cspine.geometry import Vector
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
    """

    sop_class_uid: str
    sop_instance_uid: str
    position_mm: Vector
    frame_number: int | None = None


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
    """

    name: str
    volume: Volume = field(repr=False)
    study_uid: str | None
    series_uid: str | None
    orientation: str
    sources: tuple[SourceSlice, ...] = field(default=(), repr=False)
    warnings: tuple[ReadingWarning, ...] = ()

    def nearest_slice(self, world_mm: ArrayLike) -> int:
        """The stored slice whose plane is nearest to a world point ``(x, y, z)``, counted from 0 along the stack."""
        if not self.sources:
            index = round(float(self.volume.grid.index(world_mm)[0]))
            return min(max(index, 0), self.volume.grid.shape[0] - 1)
        row, column = self.volume.grid.directions[:, 1], self.volume.grid.directions[:, 2]
        normal = np.cross(column, row)
        positions = np.array([source.position_mm for source in self.sources])
        return int(np.argmin(np.abs((positions - np.asarray(world_mm, dtype=np.float64)) @ normal)))
