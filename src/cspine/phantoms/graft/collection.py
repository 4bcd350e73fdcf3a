"""A data set of grafts: of every scan the scan itself, copies with fractures and controls; whole studies only, resumable."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cspine.anatomy import Level
from cspine.errors import AnatomyError, OutputError, StudyError, one_line
from cspine.imaging import sample
from cspine.locating import Located
from cspine.phantoms.dataset.claims import CollectionKind, write_tables
from cspine.phantoms.dataset.collection import UID_ROOT
from cspine.phantoms.dataset.rsna import StudyPaths
from cspine.phantoms.dataset.truth import StudyTruth, box_rows, label_rows, read_truth, submission_rows, task_rows
from cspine.phantoms.graft.choosing import check_scan, choose_levels
from cspine.phantoms.graft.grafting import Copy, CopyKind, GraftSource, control_copy, graft_copy, intact_copy
from cspine.phantoms.graft.image_quality import ImageQuality, measure_quality, stored_values
from cspine.phantoms.graft.outlining import RealBone, outline_bone
from cspine.phantoms.graft.writing import CopyIdentity, write_copy
from cspine.storage.strict_json import read_json
from cspine.volume import LabelMap, Volume

GENERATION = 1
"""Grows whenever the same seed would give other bytes."""

EDITS_TABLE = "grafts.csv"
"""Holds every edit of every copy; a data set that has it shows real bone."""

KIND = CollectionKind("grafts", "grafts.json", ".grafts.lock")

_FIRST_NUMBER = 10**12
"""Beyond the numbers of patients and phantoms."""

_AROUND_MM = 40.0
"""Blur and noise are measured so far around the vertebrae."""

EXTRA_COLUMNS = ("patient", "source", "synthetic")
"""What ``train.csv`` and the table of boxes say besides: whose copy a study is, and what of it is synthetic."""

EDIT_COLUMNS = ("level", "kind", "side", "severity", "gap_mm", "displacement_mm", "size_mm")


@dataclass(frozen=True, slots=True)
class GraftPlan:
    """Says what is made of every scan.

    Attributes:
        root: The folder of the data set.
        copies: Copies with fractures.
        controls: Copies with edits that are none.
        seed: Says everything about every copy; more copies do not change the first ones.
        severity: From where to where, 0 (a hairline) to 1; as often as in phantoms if ``None``.
    """

    root: Path
    copies: int
    controls: int
    seed: int
    severity: tuple[float, float] | None = None

    def settings(self) -> dict[str, object]:
        """Returns what must be the same for a study to be the same."""
        severity = None if self.severity is None else list(self.severity)
        return {"generation": GENERATION, "seed": self.seed, "severity": severity}

    def studies(self) -> list[tuple[CopyKind, int]]:
        """Returns every copy of a scan: the scan itself, fractures, controls."""
        fractured = [(CopyKind.GRAFT, n) for n in range(self.copies)]
        return [(CopyKind.INTACT, 0), *fractured, *((CopyKind.CONTROL, n) for n in range(self.controls))]


@dataclass(frozen=True, slots=True, eq=False)
class GraftScan:
    """Holds a scan that was read.

    Attributes:
        name: What the user calls it.
        volume: Its voxels; axial slices from feet to head, in whole HU.
        sha256: Digest of its voxels.
    """

    name: str
    volume: Volume
    sha256: str

    @classmethod
    def of(cls, name: str, volume: Volume) -> "GraftScan":
        """Returns a scan, however it is stored.

        Raises:
            StudyError: It cannot show fractures.
        """
        check_scan(volume)
        upright = sample(volume, volume.grid.canonical())
        hu = np.rint(upright.hu)
        digest = hashlib.sha256()
        for plane in hu:  # slice by slice: a second copy of a large scan is much
            digest.update(plane.astype("<i2").tobytes())
        digest.update(np.round(upright.grid.affine, 4).tobytes())
        return cls(name, Volume(hu, upright.grid), digest.hexdigest())

    @property
    def patient(self) -> str:
        """Returns what stands for the scan in folds."""
        return f"scan-{self.sha256[:12]}"


def study_paths(plan: GraftPlan, scan: GraftScan) -> list[StudyPaths]:
    """Returns where every copy of a scan goes, in the order of :meth:`GraftPlan.studies`."""
    return [StudyPaths(plan.root, _study_uid(plan.seed, scan, kind, number)) for kind, number in plan.studies()]


def _study_uid(seed: int, scan: GraftScan, kind: CopyKind, number: int) -> str:
    digest = hashlib.sha256(f"{seed} {scan.sha256} {kind.value} {number}".encode()).hexdigest()
    return f"{UID_ROOT}{_FIRST_NUMBER + int(digest[:11], 16)}"


def prepare(scan: GraftScan, located: Located, mask: LabelMap, seed: int) -> tuple[GraftSource, dict[Level, str]]:
    """Returns a scan with the bones that may be fractured, and why others may not.

    Args:
        scan: The scan.
        located: Its vertebrae, by a localiser or by a mask.
        mask: The same, and other bone, on the grid of the scan.
        seed: Samples where blur and noise are measured.

    Raises:
        StudyError: No level is sure, or blur and noise cannot be measured.
    """
    choice = choose_levels(located, mask, scan.volume)
    doubts, bones = dict(choice.doubts), {}
    for level in choice.sure:
        vertebra = located.vertebra(level)
        try:
            if vertebra is not None:
                bones[level] = outline_bone(mask, level, vertebra.axis)
        except AnatomyError as error:
            doubts[level] = f"has no outline of a vertebra ({error})"
    if not bones:
        reasons = "; ".join(f"{level.name} {doubt}" for level, doubt in doubts.items())
        raise StudyError(f"A scan for grafts needs one level at least with the outline of a vertebra. It has none: {reasons}")
    quality = _quality_around(scan.volume, bones, np.random.default_rng((seed, int(scan.sha256[:12], 16))))
    return GraftSource(scan.volume, mask, bones, quality, stored_values(scan.volume.hu)), doubts


def _quality_around(volume: Volume, bones: dict[Level, RealBone], rng: np.random.Generator) -> ImageQuality:
    """Measures blur and noise around the vertebrae."""
    places = volume.grid.index(np.array([bone.origin_mm for bone in bones.values()]))
    spare = _AROUND_MM / np.asarray(volume.grid.spacing_mm)
    low = np.clip(np.floor(places.min(axis=0) - spare), 0, None).astype(int)
    high = np.minimum(np.ceil(places.max(axis=0) + spare).astype(int) + 1, volume.grid.shape)
    part = volume.hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return measure_quality(Volume(part, volume.grid.part(low, part.shape)), rng)


def make_copies(plan: GraftPlan, scan: GraftScan, source: GraftSource) -> Iterator[bool]:
    """Makes what is missing of a scan, one copy after the other.

    Yields:
        For every copy whether it was made now; ``False`` where it was there already.

    Raises:
        OutputError: A file cannot be written.
    """
    for (kind, number), places in zip(plan.studies(), study_paths(plan, scan), strict=True):
        if places.is_complete():
            yield False
            continue
        seed = np.random.SeedSequence([plan.seed, int(scan.sha256[:16], 16), list(CopyKind).index(kind), number])
        edits, sway = seed.spawn(2)
        identity = CopyIdentity(scan.patient, scan.name, scan.sha256, number)
        copy = _copy(source, kind, edits, plan.severity)
        write_copy(places, copy, scan.volume.grid, source.quality, identity, np.random.default_rng(sway))
        yield True


def _copy(source: GraftSource, kind: CopyKind, seed: np.random.SeedSequence, severity: tuple[float, float] | None) -> Copy:
    if kind is CopyKind.INTACT:
        return intact_copy(source)
    return graft_copy(source, seed, severity) if kind is CopyKind.GRAFT else control_copy(source, seed)


def write_all_tables(root: Path) -> None:
    """Writes the tables of all studies that are complete, whichever run made them.

    Raises:
        OutputError: A study is damaged, or a table cannot be written.
    """
    places = [StudyPaths(root, path.name) for path in (root / "truth").glob("*")]
    found = sorted((read_notes(place.truth) for place in places if place.is_complete()), key=lambda one: one[1]["order"])
    truths, notes = [truth for truth, _ in found], {truth.study_uid: facts for truth, facts in found}
    write_tables(
        root,
        {
            "train.csv": _annotated(label_rows(truths), notes),
            "train_bounding_boxes.csv": _annotated(box_rows(truths), notes),
            EDITS_TABLE: _edit_rows(truths, notes),
            "test.csv": task_rows([]),
            "sample_submission.csv": submission_rows([]),
        },
    )


def read_notes(folder: Path) -> tuple[StudyTruth, dict[str, Any]]:
    """Returns what a whole study's ``truth.json`` says, and what the tables need besides.

    Args:
        folder: Where it lies.

    Raises:
        OutputError: It is damaged.
    """
    path = folder / "truth.json"
    truth, facts = read_truth(folder), read_json(path)
    try:
        notes: dict[str, Any] = {name: str(facts[name]) for name in (*EXTRA_COLUMNS, "kind")}
        notes["copy"] = int(facts["copy"])
        notes["edits"] = [
            {name: edit.get(name, "") for name in EDIT_COLUMNS} for edit in (*facts["injuries"], *facts["lookalikes"])
        ]
        notes["order"] = (notes["source"], notes["patient"], list(CopyKind).index(CopyKind(notes["kind"])), notes["copy"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        reason = one_line(str(error))
        raise OutputError(f"{path} is damaged ({reason}). Remove {folder}, and the study will be made again.") from error
    return truth, notes


def _annotated(rows: Iterator[list[object]], notes: dict[str, dict[str, Any]]) -> Iterator[list[object]]:
    """Yields the rows of a table whose first column is the study, with the columns of grafts behind."""
    yield [*next(rows), *EXTRA_COLUMNS]
    for row in rows:
        yield [*row, *(notes[str(row[0])][name] for name in EXTRA_COLUMNS)]


def _edit_rows(truths: Sequence[StudyTruth], notes: dict[str, dict[str, Any]]) -> Iterator[list[object]]:
    """Yields the rows of ``grafts.csv``: every edit of every copy, and one for the scan itself."""
    yield ["StudyInstanceUID", "what", "copy", *EXTRA_COLUMNS, *EDIT_COLUMNS]
    for truth in truths:
        facts = notes[truth.study_uid]
        first = [truth.study_uid, facts["kind"], facts["copy"], *(facts[name] for name in EXTRA_COLUMNS)]
        for edit in facts["edits"] or [dict.fromkeys(EDIT_COLUMNS, "")]:
            yield [*first, *edit.values()]
