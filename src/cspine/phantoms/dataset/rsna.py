"""One phantom as a study in the RSNA 2022 layout.

A study is made in a folder of its own, whose name nobody can guess, and moved to its places when it is complete, its truth last.
A study counts as complete if it has as many slices as its truth has.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from cspine.anatomy import BACKGROUND, OTHER_BONE
from cspine.errors import OutputError
from cspine.geometry import Grid
from cspine.phantoms.ct.scanner import Scanner, Scene, sample_scanner, scan, varied_scanner
from cspine.phantoms.dataset.layout import Shares, Size, StudyLayout, sample_layout, varied_layout
from cspine.phantoms.dataset.prevalence import sample_levels
from cspine.phantoms.dataset.truth import BoxedSlice, StudyTruth, truth_text
from cspine.phantoms.dataset.writing import SliceWriter, write_labels
from cspine.phantoms.model.scan_mask import MASKED_HU
from cspine.phantoms.model.variation import ScanRanges
from cspine.storage.files import remove, unfinished_folder

_FEWEST_VOXELS = 3
"""A slice with less of a fracture than this gets no box."""


_OUTWEIGHS = 270
"""Voxels of a level that outweigh a speck of 27 by far."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """Holds what is scanned.

    Attributes:
        scene: The ideal image on any grid.
        fractured: C1..C7.
        centre_mm: What the picture is centred on.
        top_mm: World z of the top of C1.
        bottom_mm: World z of the bottom of C7.
        limits_mm: World z below and above which nothing is scanned.
        beyond: Which voxels of a grid a mask takes away, or ``None``.
        scan: How scans differ from those of the RSNA data, or ``None``.
        facts: What ``truth.json`` tells about it, given the way ``(3,)`` from the neck's world to that of the files.
    """

    scene: Scene
    fractured: tuple[bool, ...]
    centre_mm: NDArray[np.float64]
    top_mm: float
    bottom_mm: float
    facts: Callable[[NDArray[np.float64]], dict[str, Any]]
    limits_mm: tuple[float, float] = (-np.inf, np.inf)
    beyond: Callable[[Grid], NDArray[np.bool_]] | None = None
    scan: ScanRanges | None = None


SubjectSampler = Callable[[np.random.Generator, tuple[bool, ...]], Subject]
"""Samples a subject with given levels fractured."""


@dataclass(frozen=True, slots=True)
class StudyPaths:
    """Says where the parts of one study go.

    Attributes:
        root: The data set.
        uid: The study.
        images: ``train_images`` or ``test_images``.
    """

    root: Path
    uid: str
    images: str = "train_images"

    @property
    def image_folder(self) -> Path:
        """Its DICOM files."""
        return self.root / self.images / self.uid

    @property
    def mask(self) -> Path:
        """Its mask, where it has one."""
        return self.root / "segmentations" / f"{self.uid}.nii"

    @property
    def truth(self) -> Path:
        """Returns the path of what it was made of."""
        return self.root / "truth" / self.uid

    def is_complete(self) -> bool:
        """Returns whether the study is there, with as many slices as its truth has."""
        try:
            slices = int(nibabel.load(self.truth / "labels.nii.gz").shape[2])
            return (self.truth / "truth.json").is_file() and len(list(self.image_folder.glob("*.dcm"))) == slices
        except (OSError, EOFError, IndexError, ValueError, zlib.error, ImageFileError):
            return False


def make_study(places: StudyPaths, seed: np.random.SeedSequence, sampler: SubjectSampler, size: Size, shares: Shares) -> StudyTruth:
    """Makes one study: samples, scans and stores it; all randomness comes from ``seed``.

    Raises:
        OutputError: A file cannot be written.
    """
    fractured, layout = outline(seed, size, shares)
    neck, machine, noise, specks = (_stream(seed, n) for n in range(2, 6))
    subject = sampler(neck, fractured)
    if subject.scan is not None:
        layout = varied_layout(machine, layout, subject.scan)
    scanner = sample_scanner(machine, layout.thickness_mm)
    if subject.scan is not None:
        scanner = varied_scanner(machine, scanner, subject.scan)
    try:
        with unfinished_folder(places.root) as folder:
            truth = _write(folder, places.uid, subject, layout, scanner, (noise, specks))
            publish(folder, places)
    except OSError as error:
        raise OutputError(f"{places.root} needs room and permission for a study. Received: {error}.") from error
    return truth


def outline(seed: np.random.SeedSequence, size: Size, shares: Shares) -> tuple[tuple[bool, ...], StudyLayout]:
    """Returns what a study of this seed will be like: which of C1..C7 are fractured, and how it is stored."""
    return sample_levels(_stream(seed, 0), shares.enriched), sample_layout(_stream(seed, 1), size, shares)


def _stream(seed: np.random.SeedSequence, number: int) -> np.random.Generator:
    """Returns a generator of its own for each part of a study, so that one part does not change with another."""
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, number)))


def _write(
    folder: Path,
    uid: str,
    subject: Subject,
    layout: StudyLayout,
    scanner: Scanner,
    rngs: tuple[np.random.Generator, np.random.Generator],
) -> StudyTruth:
    noise, specks = rngs
    (folder / "images").mkdir()
    (folder / "truth").mkdir()
    grid = layout.grid(subject.centre_mm, subject.top_mm, subject.bottom_mm, subject.limits_mm)
    stored_grid = as_stored(_moved(grid, layout.table_mm))
    writer = SliceWriter(folder / "images", uid, stored_grid, layout)
    labels, fractures = (np.zeros(grid.shape, dtype=np.uint8) for _ in range(2))
    for part in scan(subject.scene, grid, scanner, noise):
        here = slice(part.first, part.first + len(part.hu))
        labels[here], fractures[here] = part.labels, part.fracture_mask
        if subject.beyond is not None:
            gone = subject.beyond(grid.part((part.first, 0, 0), part.hu.shape))
            part.hu[gone], labels[here][gone], fractures[here][gone] = MASKED_HU, BACKGROUND, BACKGROUND
        for offset, hu in enumerate(part.hu):
            writer.write(part.first + offset, hu)
    if layout.mask_type is not None:
        write_labels(folder / "mask.nii", _mask(labels, layout, specks), stored_grid)
    write_labels(folder / "truth" / "labels.nii.gz", labels, stored_grid)
    write_labels(folder / "truth" / "fractures.nii.gz", fractures, stored_grid)
    boxes = sample_boxes(fractures, layout, specks) if layout.boxes else ()
    truth = StudyTruth(uid, subject.fractured, boxes)
    facts = {**subject.facts(np.asarray(layout.table_mm)), "scanner": scanner, "layout": layout}
    (folder / "truth" / "truth.json").write_text(truth_text(truth, facts), encoding="utf-8")
    return truth


def publish(folder: Path, places: StudyPaths) -> None:
    """Moves the parts to their places, the truth last; what an interrupted run left there goes at once."""
    for path in (places.image_folder, places.mask, places.truth):
        path.parent.mkdir(exist_ok=True)
    for path in (places.truth, places.image_folder, places.mask):
        remove(path)
    if (folder / "mask.nii").exists():
        (folder / "mask.nii").rename(places.mask)
    (folder / "images").rename(places.image_folder)
    (folder / "truth").rename(places.truth)


def _moved(grid: Grid, shift_mm: tuple[float, float, float]) -> Grid:
    affine = grid.affine.copy()
    affine[:3, 3] += shift_mm
    return replace(grid, affine=affine)


def as_stored(grid: Grid) -> Grid:
    """Returns a grid that is right-angled to the last digit that a file keeps."""
    affine = grid.affine.copy()
    affine[:3] = np.round(affine[:3], 8)
    return replace(grid, affine=affine)


def _mask(labels: NDArray[np.uint8], layout: StudyLayout, rng: np.random.Generator) -> NDArray[np.generic]:
    """Returns the labels as a person's mask has them: vertebrae only, with specks of noise.

    A speck has the label of a level that is seen well enough to outweigh it; else readers would take it for that level.
    """
    mask = np.where(labels < OTHER_BONE, labels, 0).astype(np.uint8)
    inside = np.argwhere(mask > 0)
    seen = np.flatnonzero(np.bincount(mask.ravel(), minlength=8)[1:8] >= _OUTWEIGHS) + 1
    if len(inside):
        low, high = inside.min(axis=0), inside.max(axis=0)
        for _ in range(layout.small_components):
            k, j, i = rng.integers(low, high + 1)
            size = rng.integers(1, 4, 3)
            level = rng.integers(1, 8)
            if level in seen:
                mask[k : k + size[0], j : j + size[1], i : i + size[2]] = level
    return mask.astype(layout.mask_type)


def sample_boxes(fracture_mask: NDArray[np.uint8], layout: StudyLayout, rng: np.random.Generator) -> tuple[BoxedSlice, ...]:
    """Samples one box around all that is fractured in a slice, as by hand: with a margin, not quite steadily.

    Args:
        fracture_mask: Slices from feet to head, ``(z, y, x)``.
        layout: How the slices are numbered, and how far a box goes beyond the fracture.
        rng: Source of the hand's sway.
    """
    boxes = []
    count, rows, columns = fracture_mask.shape
    margin = layout.box_margin_mm / layout.pixel_mm
    sway = 0.8 / layout.pixel_mm
    for index in np.flatnonzero((fracture_mask > 0).sum(axis=(1, 2)) >= _FEWEST_VOXELS):
        found = np.argwhere(fracture_mask[index] > 0)
        low = np.clip(found.min(axis=0) - margin + rng.normal(0, sway, 2), 0, (rows - 2, columns - 2))
        high = np.clip(found.max(axis=0) + 1 + margin + rng.normal(0, sway, 2), low + 1, (rows, columns))
        (y, x), (height, width) = np.round(low, 3), np.round(high - low, 3)
        boxes.append(BoxedSlice(layout.file_number(int(index), count), float(x), float(y), float(width), float(height)))
    return tuple(sorted(boxes, key=lambda box: box.slice_number))
