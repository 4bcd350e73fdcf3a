"""A picture of an anatomy, for whoever has built it: each bone in two sections, and how they rest on one another."""

import numpy as np
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.geometry import Grid
from cspine.phantoms.ct.rendering import render
from cspine.phantoms.meshes.anatomy import Anatomy, BoneShape
from cspine.phantoms.model.sampling import sample_neck

_HALF_MM, _STEP_MM = 48.0, 0.5
_NECK_MM, _NECK_PIXELS = 0.8, (230, 220)
_COLOURS = "tab10"


def anatomy_figure(anatomy: Anatomy) -> Figure:
    """Returns the figure: on top a neck made of the anatomy, below each level in its middle section and across its canal.

    Grey bones of the neck were borrowed from the first shipped anatomy.
    """
    figure = Figure(figsize=(14, 11), layout="constrained")
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=(1.1, 1.0)))
    axes = lower.subplots(2, len(CERVICAL))
    for column, level in enumerate(CERVICAL):
        bone = anatomy.vertebrae.get(level)
        for row, plane in ((0, "sagittal"), (1, "axial")):
            frame = axes[row, column]
            frame.set_axis_off()
            if bone is not None:
                frame.imshow(_section(bone, plane), cmap="gray_r", extent=(-_HALF_MM, _HALF_MM) * 2, vmin=0, vmax=1.6)
        size = "borrowed" if bone is None else " x ".join(f"{side:.0f}" for side in bone.body.size_mm) + " mm"
        axes[0, column].set_title(f"{level.name}, {size}", fontsize=9)
    _show_neck(upper, anatomy)
    figure.suptitle(f"{anatomy.name}: a neck (face to the left); middle sections; sections across the canal")
    return figure


def _section(bone: BoneShape, plane: str) -> NDArray[np.float32]:
    """Returns where the bone is in its middle section or across its canal, ``(rows, columns)``, upper and front rows first."""
    along = np.arange(-_HALF_MM, _HALF_MM, _STEP_MM) + _STEP_MM / 2
    rows, columns = np.meshgrid(-along, along, indexing="ij")
    zero, middle_y = np.zeros_like(rows), np.float64(bone.body.canal_mm)
    points = (zero, columns + middle_y, rows) if plane == "sagittal" else (columns, middle_y - rows, zero)
    return (bone.distance(np.stack(points)) < 0).astype(np.float32)


def _show_neck(figure: SubFigure, anatomy: Anatomy) -> None:
    """Shows a neck of the anatomy, through its middle, its facets and its bodies."""
    neck = sample_neck(np.random.default_rng(0), anatomy)
    centres = np.array([neck.centres_mm[level.name] for level in CERVICAL])
    x, y, z = (float(value) for value in centres.mean(axis=0))
    (rows, columns), step = _NECK_PIXELS, (_NECK_MM,) * 3
    grids = (
        ("middle", Grid.upright((x, y + 8, z), (rows, columns, 1), step)),
        ("facets", Grid.upright((x + 18, y + 8, z), (rows, columns, 1), step)),
        ("coronal", Grid.upright((x, y, z), (rows, 1, columns), step)),
    )
    own = {int(level) for level in anatomy.vertebrae}
    for frame, (name, grid) in zip(figure.subplots(1, len(grids)), grids, strict=True):
        labels = render(neck, grid).labels.labels.reshape(rows, columns)[::-1]
        frame.imshow(labels > 0, cmap="gray_r", vmin=0, vmax=3)
        frame.imshow(np.ma.masked_where(~np.isin(labels, list(own)), labels), cmap=_COLOURS, vmin=0, vmax=10)
        frame.set_title(name, fontsize=9)
        frame.set_axis_off()
