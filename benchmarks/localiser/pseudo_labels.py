"""Makes a data set in the RSNA 2022 layout of real scans, with pseudo-labels: what a localiser is trained on beside phantoms.

    python -m benchmarks.localiser.pseudo_labels MARKS.json SCANS -o DATA [--localiser TEACHER]

MARKS.json holds discs and the ring of C1 (``benchmarks/localiser/marks/planning_ct_training.json``); SCANS is the folder of
``<scan>.nii.gz``. The teacher outlines the vertebrae of each scan, and finds C1 where it was marked, or the scan is left out.
The discs that were marked part the levels. Levels below the last disc are taken over where the teacher parts those above as the
marks do, and is sure of them. A C1 of which the teacher outlined one side only is left unknown. Nothing is known of fractures
in these scans: ``train.csv`` says 0, because the layout wants a number. Train localisers alone on them.
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian

from cspine.anatomy import BACKGROUND, CERVICAL, Level
from cspine.datasets.tables import LABEL_COLUMNS
from cspine.errors import OutputError
from cspine.imaging import sample
from cspine.locating import Localiser, Located, Vertebra
from cspine.phantoms.dataset.layout import Encoding, StudyLayout
from cspine.phantoms.dataset.writing import SliceWriter, write_labels
from cspine.phantoms.graft.outlining import upright_axes
from cspine.reading import read_study
from cspine.results import LevelStatus
from cspine.storage.files import replacing_file
from cspine.volume import LabelMap, Volume

UID_ROOT = "1.2.826.0.1.3680043."

_RING_WITHIN_MM = 7.0
_ARCH_FROM_MM, _ARCH_SLOPE = 8.0, 0.35
"""How far behind the middle of a disc arches begin, and how much lower they lie for each millimetre farther behind."""

_TRUSTED_OVERLAP = 0.7
"""Smallest Dice of a teacher's levels and those that the marks part, at which its levels below the last mark are taken over."""

_SURE_FROM = 0.9

_LEAST_SYMMETRY = 0.72
"""Smallest share of C1 that its mirror image covers, at which its outline is trained on: a sixth of the outlines of the shipped
localiser lie below, in planning CT, and most of the others above 0.8."""

_ENCODING = Encoding(ExplicitVRLittleEndian, 16, 0, (400,), (1800,))


@dataclass(frozen=True, slots=True)
class SpineMarks:
    """Says where the levels of a scan lie, LPS millimetres.

    Attributes:
        ring: The middle of C1's ring, ``(3,)``; ``None`` where it is not in view.
        discs: The discs from C2 to C3 on, each a point and the normal towards the feet, ``(n, 6)``.
    """

    ring: NDArray[np.float64] | None
    discs: NDArray[np.float64]

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "SpineMarks":
        """Returns the marks of one scan of a file of marks."""
        ring = stored.get("C1")
        return cls(None if ring is None else np.array(ring, float), np.array(stored["discs"], float).reshape(-1, 6))

    @property
    def levels(self) -> tuple[Level, ...]:
        """Returns the levels of which both ends are marked: C1, and C2 down to the last disc."""
        bodies = [Level(Level.C2 + number) for number in range(len(self.discs))]
        return (*([] if self.ring is None else [Level.C1]), *(level for level in bodies if level <= Level.C7))

    def has_ring_at(self, centre_mm: Sequence[float]) -> bool:
        """Returns whether C1 was marked at this height."""
        normal = self.discs[0, 3:] if len(self.discs) else np.array([0.0, 0.0, -1.0])
        return self.ring is not None and abs(float((np.asarray(centre_mm) - self.ring) @ normal)) <= _RING_WITHIN_MM

    def discs_above(self, places_mm: NDArray[np.float64]) -> NDArray[np.intp]:
        """Returns how many of the discs lie above each place ``(n, 3)``; behind the bodies these slope towards the feet."""
        count = np.zeros(len(places_mm), np.intp)
        for disc in self.discs:
            normal = disc[3:] / np.linalg.norm(disc[3:])
            behind = np.array([0.0, 1.0, 0.0]) - normal[1] * normal
            away = places_mm - disc[:3]
            sloped = _ARCH_SLOPE * np.maximum(away @ (behind / np.linalg.norm(behind)) - _ARCH_FROM_MM, 0)
            count += away @ normal > sloped
        return count


def main() -> None:
    """Writes pseudo-labels after it has checked them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.localiser.pseudo_labels", description=__doc__)
    parser.add_argument("marks", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--localiser", help="the teacher; the shipped package if not given")
    options = parser.parse_args()
    if options.out.exists():
        raise OutputError(f"{options.out} exists. Give a folder that is to be made.")
    teacher, kept = Localiser(options.localiser), list[str]()
    for scan, stored in json.loads(options.marks.read_text(encoding="utf-8")).items():
        volume = _square(read_study(options.scans / f"{scan}.nii.gz").volume)
        mask = pseudo_label(teacher(volume), SpineMarks.of(stored))
        print(f"{scan}: {'no agreement' if mask is None else _names(mask)}", flush=True)
        if mask is not None:
            kept.append(_write(options.out, scan, volume, mask))
    with replacing_file(options.out / "train.csv") as path, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LABEL_COLUMNS)
        writer.writerows([uid, *[0] * (len(LABEL_COLUMNS) - 1)] for uid in kept)
    print(f"{len(kept)} scans in {options.out}")


def pseudo_label(located: Located, marks: SpineMarks) -> LabelMap | None:
    """Returns the bone that a teacher found, named by the marks; ``None`` where C1 is not found or lies elsewhere.

    Args:
        located: What the teacher finds.
        marks: Where levels lie; C1 and a disc at least.
    """
    atlas = located.vertebra(Level.C1)
    if atlas is None or not len(marks.discs) or not marks.has_ring_at(atlas.centre_mm):
        return None
    labels, grid = located.labels.labels, located.labels.grid
    bone = np.argwhere((labels >= Level.C1) & (labels <= Level.T1))
    predicted = labels[tuple(bone.T)]
    named = np.where(predicted == Level.C1, Level.C1, Level.C2)
    above = marks.discs_above(grid.world(bone))
    named = np.where(above > 0, Level.C2 + above, named)
    last = Level.C2 + len(marks.discs) - 1
    kept = [*marks.levels, *_trusted_below(located, last, predicted, named)]
    named = np.where(named > last, np.where(np.isin(predicted, kept) & (predicted > last), predicted, BACKGROUND), named)
    found = np.full(labels.shape, BACKGROUND, np.uint8)
    found[tuple(bone.T)] = np.minimum(named, Level.T1)
    if not _shows_both_sides(grid.world(bone[named == Level.C1]), marks):
        found[found == Level.C1] = BACKGROUND
    return LabelMap(found, grid)


def _shows_both_sides(atlas_mm: NDArray[np.float64], marks: SpineMarks) -> bool:
    """Returns whether the points ``(n, 3)`` of C1 are about the same left and right."""
    x, y, z = (float(part) for part in -marks.discs[0, 3:] / np.linalg.norm(marks.discs[0, 3:]))
    return upright_axes(atlas_mm, (x, y, z))[1] >= _LEAST_SYMMETRY


def _trusted_below(located: Located, last: int, predicted: NDArray[np.uint8], named: NDArray[np.intp]) -> list[Level]:
    """Returns the levels below the last disc that are taken over from the teacher, head to chest."""
    for level in range(Level.C2, last + 1):
        both, either = (
            np.count_nonzero((predicted == level) & (named == level)),
            np.sum(predicted == level) + np.sum(named == level),
        )
        if 2 * both < _TRUSTED_OVERLAP * either:
            return []
    kept = list[Level]()
    for level in (level for level in CERVICAL if level > last):
        one = located.vertebra(level)
        if one is None or not _is_sure(one):
            return kept
        kept.append(level)
    return [*kept, Level.T1]


def _is_sure(vertebra: Vertebra) -> bool:
    return vertebra.status is not LevelStatus.UNCERTAIN and vertebra.confidence >= _SURE_FROM


def _names(mask: LabelMap) -> str:
    return " ".join(Level(value).name for value in np.unique(mask.labels) if value)


def _square(volume: Volume) -> Volume:
    """Returns the scan with as many rows as columns, as the layout wants them; its own voxels stay what they are."""
    depth, rows, columns = volume.grid.shape
    side = max(rows, columns)
    return sample(volume, volume.grid.part((0, (rows - side) // 2, (columns - side) // 2), (depth, side, side)))


def _write(folder: Path, scan: str, volume: Volume, mask: LabelMap) -> str:
    """Writes one study, and returns its name."""
    uid = f"{UID_ROOT}{scan.rsplit('_', 1)[-1]}"
    images, masks = folder / "train_images" / uid, folder / "segmentations"
    for made in (images, masks):
        made.mkdir(parents=True, exist_ok=True)
    dz, pixel, _ = volume.grid.spacing_mm
    layout = StudyLayout(
        pixel_mm=pixel,
        spacing_mm=dz,
        thickness_mm=dz,
        size=volume.grid.shape[1],
        margins_mm=(0.0, 0.0),
        turn_deg=(0.0, 0.0, 0.0),
        table_mm=(0.0, 0.0, 0.0),
        falling=False,
        first_number=1,
        padding_hu=None,
        encoding=_ENCODING,
        mask_type="uint8",
        small_components=0,
        boxes=False,
        box_margin_mm=0.0,
    )
    writer = SliceWriter(images, uid, volume.grid, layout)
    for number, hu in enumerate(volume.hu):
        writer.write(number, hu)
    write_labels(masks / f"{uid}.nii", mask.labels, mask.grid)
    return uid


if __name__ == "__main__":
    main()
