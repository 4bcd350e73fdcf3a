"""One copy of a scan as a study in the RSNA 2022 layout, as phantoms are written."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cspine.anatomy import OTHER_BONE
from cspine.errors import OutputError
from cspine.geometry import Grid
from cspine.phantoms.dataset.layout import EXPLICIT, Encoding, StudyLayout
from cspine.phantoms.dataset.rsna import StudyPaths, as_stored, publish, sample_boxes
from cspine.phantoms.dataset.truth import StudyTruth, truth_text
from cspine.phantoms.dataset.writing import SliceWriter, write_labels
from cspine.phantoms.graft.grafting import Copy, CopyKind
from cspine.phantoms.graft.image_quality import ImageQuality
from cspine.storage.files import unfinished_folder

SYNTHETIC = {
    CopyKind.INTACT: "nothing: the scan itself",
    CopyKind.GRAFT: "fractures: synthetic grafts in real bone",
    CopyKind.CONTROL: "control: synthetic edits of real bone, no fracture",
}
"""What of a copy is synthetic, as every table says it."""

_BOX_MARGIN_MM = 5.5


@dataclass(frozen=True, slots=True)
class CopyIdentity:
    """Says which copy of which scan a study is.

    Attributes:
        patient: Stands for the scan in folds: the same for all its copies.
        source: What the user calls the scan.
        source_sha256: Digest of its voxels.
        copy: Number of the copy among those of its kind.
    """

    patient: str
    source: str
    source_sha256: str
    copy: int


def write_copy(
    places: StudyPaths, copy: Copy, grid: Grid, quality: ImageQuality, identity: CopyIdentity, rng: np.random.Generator
) -> StudyTruth:
    """Writes one copy, whole or not at all.

    Args:
        places: Where its parts go.
        copy: The copy.
        grid: Where the scan lies: slices from feet to head.
        quality: How the scan shows things.
        identity: Which copy of which scan it is.
        rng: Samples the sway of boxes.

    Raises:
        OutputError: A file cannot be written.
    """
    layout, stored = _layout(grid), as_stored(grid)
    boxes = sample_boxes(copy.fractures, layout, rng) if any(copy.fractured) else ()
    truth = StudyTruth(places.uid, copy.fractured, boxes)
    try:
        with unfinished_folder(places.root) as folder:
            (folder / "images").mkdir()
            (folder / "truth").mkdir()
            writer = SliceWriter(folder / "images", places.uid, stored, layout, grid.spacing_mm[1:])
            for index, hu in enumerate(copy.hu):
                writer.write(index, hu)
            write_labels(folder / "mask.nii", np.where(copy.labels < OTHER_BONE, copy.labels, 0).astype(np.uint8), stored)
            write_labels(folder / "truth" / "labels.nii.gz", copy.labels, stored)
            write_labels(folder / "truth" / "fractures.nii.gz", copy.fractures, stored)
            write_labels(folder / "truth" / "edited.nii.gz", copy.edited.astype(np.uint8), stored)
            facts = _facts(copy, quality, identity, layout)
            (folder / "truth" / "truth.json").write_text(truth_text(truth, facts), encoding="utf-8")
            publish(folder, places)
    except OSError as error:
        raise OutputError(f"{places.root} needs room and permission for a study. Received: {error}.") from error
    return truth


def _facts(copy: Copy, quality: ImageQuality, identity: CopyIdentity, layout: StudyLayout) -> dict[str, Any]:
    """Returns what ``truth.json`` tells besides; keys of edits are those of phantoms, where a phantom has the same."""
    return {
        "kind": copy.kind.value,
        "synthetic": SYNTHETIC[copy.kind],
        **asdict(identity),
        "injuries": [
            {
                "level": fact.level.name,
                "kind": fact.kind,
                "side": fact.side,
                "site_mm": fact.site_mm,
                "gap_mm": fact.size_mm,
                "displacement_mm": fact.displacement_mm,
                "angulation_deg": fact.angulation_deg,
                "severity": fact.severity,
            }
            for fact in copy.facts
            if fact.severity is not None
        ],
        "lookalikes": [
            {"level": fact.level.name, "kind": fact.kind, "site_mm": fact.site_mm, "size_mm": fact.size_mm}
            for fact in copy.facts
            if fact.severity is None
        ],
        "image_quality": {"blur_mm": quality.blur_mm, "noise_hu": quality.noise.std_hu},
        "layout": layout,
    }


def _layout(grid: Grid) -> StudyLayout:
    """Returns how every copy of a scan is stored: alike, so that nothing but the pixels tells them apart."""
    return StudyLayout(
        pixel_mm=float(np.mean(grid.spacing_mm[1:])),
        spacing_mm=grid.spacing_mm[0],
        thickness_mm=grid.spacing_mm[0],
        size=grid.shape[1],
        margins_mm=(0.0, 0.0),
        turn_deg=(0.0, 0.0, 0.0),
        table_mm=(0.0, 0.0, 0.0),
        falling=True,
        first_number=1,
        padding_hu=None,
        encoding=Encoding(EXPLICIT, 16, -1024, (400,), (2000,)),
        mask_type="uint8",
        small_components=0,
        boxes=True,
        box_margin_mm=_BOX_MARGIN_MM,
    )
