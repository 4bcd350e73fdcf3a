"""The same scan as other scanners would store it."""

from dataclasses import replace

import numpy as np

from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.study import SourceSlice, Study
from cspine.volume import Volume


def stored_otherwise(study: Study, order: tuple[int, int, int]) -> Study:
    """Its voxels in another order of axes: ``(2, 0, 1)`` is sagittal, ``(1, 0, 2)`` coronal."""
    volume = study.volume
    hu = np.ascontiguousarray(volume.hu.transpose(order))
    orientation = {0: "axial", 1: "coronal", 2: "sagittal"}[order[0]]
    return replace(study, volume=Volume(hu, Grid(hu.shape, volume.grid.affine[:, [*order, 3]])), orientation=orientation)


def tilted(study: Study, degrees: float) -> Study:
    """Its images turned about the axis from right to left, as a gantry is tilted."""
    grid, angle = study.volume.grid, np.deg2rad(degrees)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = grid.affine.copy()
    affine[:3, :3] = turn @ grid.affine[:3, :3]
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.asarray(grid.shape) - 1) / 2)
    return replace(study, volume=sample(study.volume, Grid(grid.shape, affine)))


def archived(study: Study, numbers: list[int | None], frames: bool = False) -> Study:
    """Returns the same study from an archive, with images of these Instance Numbers, or frames of one object."""
    places = [study.volume.grid.world((index, 0, 0)).tolist() for index in range(study.volume.grid.shape[0])]
    sources = tuple(
        SourceSlice("1.2", "1.2.3", (x, y, z), frame_number=number, instance_number=1)
        if frames
        else SourceSlice("1.2", f"1.2.3.{place}", (x, y, z), instance_number=number)
        for place, ((x, y, z), number) in enumerate(zip(places, numbers, strict=True))
    )
    return replace(study, sources=sources)
