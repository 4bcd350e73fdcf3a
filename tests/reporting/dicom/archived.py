"""Small scans as archives hold them, with vertebrae of blocks, a result by hand, and the objects made of them."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from pydicom.dataset import Dataset

from cspine.anatomy import CERVICAL, OTHER_BONE, Level
from cspine.evidence import Evidence, HeatMap, Prediction
from cspine.geometry import Grid
from cspine.phantoms.dataset.layout import JPEG_LOSSLESS, Encoding, StudyLayout
from cspine.phantoms.dataset.writing import SliceWriter
from cspine.reading import read_study
from cspine.reporting import Written, write_result
from cspine.results import (
    Assessment,
    Box,
    KeySlice,
    LevelFinding,
    LevelStatus,
    ModelFacts,
    Reason,
    StudyFacts,
    StudyResult,
    StudyStatus,
)
from cspine.study import Study
from cspine.volume import LabelMap
from tests.coded import coded_volume
from tests.reading.scans import SAGITTAL, Scan, body, enhanced, save, setting

UIDS = {"study_uid": "1.2.826.0.1.7.1", "series_uid": "1.2.826.0.1.7.1.1"}
FRAME = "1.2.826.0.1.7.9"
PATIENT = {
    "SpecificCharacterSet": "ISO_IR 100",
    "PatientName": "M\u00fcller^J\u00f6rg",
    "PatientID": "4711",
    "PatientBirthDate": "19500101",
    "PatientSex": "O",
    "PatientAge": "070Y",
    "StudyDate": "20200229",
    "StudyTime": "235959",
    "StudyID": "7",
    "StudyDescription": "CT Hals",
    "AccessionNumber": "A-1",
    "ReferringPhysicianName": "Doe^Jane",
    "FrameOfReferenceUID": FRAME,
    "PositionReferenceIndicator": "",
    "TimezoneOffsetFromUTC": "-0330",
    "Manufacturer": "Maker",
    "PatientPosition": "HFS",
    "SliceThickness": 3.0,
}
"""What a file of a hospital says; the scans of :class:`Scan` say none of it, as anonymised ones."""

RSNA_LAYOUT = StudyLayout(
    pixel_mm=2.0,
    spacing_mm=3.0,
    thickness_mm=3.0,
    size=55,
    margins_mm=(0.0, 0.0),
    turn_deg=(0.0, 0.0, 0.0),
    table_mm=(0.0, 0.0, 0.0),
    falling=True,
    first_number=1,
    padding_hu=None,
    encoding=Encoding(JPEG_LOSSLESS, 16, -1024, (400,), (2000,)),
    mask_type=None,
    small_components=0,
    boxes=False,
    box_margin_mm=8.0,
)

_SHIFT = np.array([-20.0, -30.0, 40.0])


def _scan(**more: Any) -> Scan:
    slices, rows, columns = 30, 48, 44
    return Scan(**{"hu": body(slices, rows, columns), "spacing_mm": (2.0, 2.0), "step_mm": 3.0, **UIDS, **more})


def _sheared() -> Scan:
    along = np.arange(30)[:, None] * 3.0
    return _scan(positions=_SHIFT + along * [0.0, np.tan(np.radians(18.5)), 1.0])


def _uneven() -> Scan:
    along = np.cumsum([0.0] + [1.0, 2.3, 5.0] * 9 + [2.3, 2.3])[:, None]
    return _scan(positions=_SHIFT + along * [0.0, 0.0, 1.0])


def _folder(scan: Scan) -> Callable[[Path], Path]:
    return scan.write


def _zipped(folder: Path) -> Path:
    files = sorted(_scan(change=setting(**PATIENT)).write(folder / "plain").iterdir())
    with ZipFile(folder / "scan.zip", "w") as archive:
        for file in files:
            archive.write(file, f"inner/{file.name}")
    shutil.rmtree(folder / "plain")
    return folder / "scan.zip"


def _multiframe(folder: Path) -> Path:
    made: Dataset = enhanced(_scan(change=setting(**PATIENT)))
    save(made, folder / "enhanced.dcm")
    return folder / "enhanced.dcm"


def _rsna(folder: Path) -> Path:
    """Returns files with just the attributes that were kept in the RSNA 2022 data, by the writer of phantoms."""
    volume = coded_volume(spacing_mm=(3.0, 2.0, 2.0))
    writer = SliceWriter(folder, f"{UIDS['study_uid']}.4711", volume.grid, RSNA_LAYOUT)
    folder.mkdir()
    for index, hu in enumerate(volume.hu):
        writer.write(index, hu)
    return folder


SOURCES: dict[str, Callable[[Path], Path]] = {
    "hospital": _folder(_scan(change=setting(**PATIENT))),
    "anonymised": _folder(_scan()),
    "rsna": _rsna,
    "sagittal": _folder(_scan(directions=SAGITTAL, spacing_mm=(2.0, 1.5), change=setting(**PATIENT))),
    "feet_first": _folder(
        _scan(directions=(-1.0, 0.0, 0.0, 0.0, 1.0, 0.0), change=setting(**PATIENT | {"PatientPosition": "FFS"}))
    ),
    "tilted": _folder(_sheared()),
    "uneven": _folder(_uneven()),
    "enhanced": _multiframe,
    "zipped": _zipped,
}
"""How each scan is put into a folder; the path of it."""


@dataclass(frozen=True)
class Archived:
    """A scan with what was made of it.

    Attributes:
        path: Its files.
        study: The scan as read.
        prediction: Its result.
        folder: What was written.
        written: What writing said.
    """

    path: Path
    study: Study
    prediction: Prediction
    folder: Path
    written: Written


def archived(name: str, folder: Path) -> Archived:
    """Returns a scan of :data:`SOURCES` with its objects."""
    folder.mkdir()
    path = SOURCES[name](folder / "scan") if name not in ("zipped", "enhanced") else SOURCES[name](folder)
    return objects_of(path, folder / "objects")


def objects_of(path: Path, folder: Path) -> Archived:
    """Returns the objects of a scan on disk."""
    study = read_study(path)
    prediction = prediction_of(study)
    folder.mkdir()
    return Archived(path, study, prediction, folder, write_result(prediction, study, folder, ("sr", "seg", "sc", "nifti")))


def prediction_of(study: Study) -> Prediction:
    """Returns a prediction in which C1 is cut, C4 is fractured and C7 is not in view; labels and heat lie on coarse grids."""
    labels = blocks(study)
    grid = labels.grid.with_spacing((6.0, 6.0, 6.0))
    heat = HeatMap(np.linspace(0, 1, int(np.prod(grid.shape)), dtype=np.float32).reshape(grid.shape), grid)
    return Prediction(result_of(study, labels), Evidence(labels=labels, heat=heat))


def blocks(study: Study) -> LabelMap:
    """Blocks from the head to the feet, C1 to C6, then T1 for what is below, ribs beside them; 2.3 mm, a little oblique."""
    turn = np.radians(7.0)
    box = study.volume.grid.corners_mm()
    low, high = box.min(axis=0) + 4, box.max(axis=0) - 4
    shape = tuple(int(n) for n in np.ceil((high - low)[::-1] / 2.3))
    plain = Grid.upright((low + high) / 2 + (0.11, -0.07, 0.13), (shape[0], shape[1], shape[2]), (2.3, 2.3, 2.3))
    affine = plain.affine.copy()
    around = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine[:3, :3] = around @ affine[:3, :3]
    affine[:3, 3] = plain.centre_mm - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    grid = Grid(plain.shape, affine)
    x, y, z = np.moveaxis(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)) - grid.centre_mm, -1, 0)
    band = np.clip(np.floor(0.5 + (0.45 - z / (high - low)[2]) * 7).astype(int), 1, 7)
    values = np.where(np.hypot(x, y) < 14, np.where(band == 7, Level.T1, band), 0)
    values = np.where((np.abs(x) > 20) & (np.abs(y) < 4), OTHER_BONE, values)
    return LabelMap(values.astype(np.uint8), grid)


def result_of(study: Study, labels: LabelMap) -> StudyResult:
    """Returns a result that says something of every kind."""
    facts = StudyFacts("neck", study.study_uid, study.series_uid, len(study.sources), study.volume.grid.spacing_mm, "axial")
    model = ModelFacts("blocks", "1.0", "ab" * 32, "blocks of bone, \u03bc-shaped")
    return StudyResult(
        status=StudyStatus.OK,
        reasons=(Reason("trained_on_phantoms", "The model was trained on synthetic phantoms only."),),
        study=facts,
        model=model,
        localiser=replace(model, name="block_finder", sha256="cd" * 32),
        operating_point="balanced",
        overall=Assessment(0.9321, 0.5),
        levels=tuple(_finding(study, labels, level) for level in CERVICAL),
        created="2024-02-29T22:30:15+00:00",
    )


def rejected(prediction: Prediction) -> Prediction:
    """Returns the same scan with a result that rejects it."""
    result = prediction.result
    levels = tuple(LevelFinding(level, LevelStatus.UNCERTAIN) for level in CERVICAL)
    return Prediction(
        StudyResult(
            status=StudyStatus.REJECTED,
            reasons=(Reason("too_thick", "Slices must be 3 mm apart at most. These are 5.00 mm apart."),),
            study=result.study,
            model=result.model,
            localiser=result.localiser,
            operating_point=result.operating_point,
            overall=None,
            levels=levels,
            created=result.created,
        )
    )


def _finding(study: Study, labels: LabelMap, level: Level) -> LevelFinding:
    if level is Level.C7:
        return LevelFinding(level, LevelStatus.NOT_IN_VIEW)
    places = labels.grid.world(np.argwhere(labels.labels == level))
    low, high = places.min(axis=0), places.max(axis=0)
    x, y, z = (float(value) for value in (low + high) / 2)
    index = study.nearest_slice((x, y, z))
    uid = study.sources[index].sop_instance_uid if study.sources else None
    return LevelFinding(
        level,
        LevelStatus.PARTLY_IN_VIEW if level is Level.C1 else LevelStatus.ASSESSED,
        Assessment(0.9123 if level is Level.C4 else 0.0123, 1 / 3),
        centre_mm=(x, y, z),
        key_slice=KeySlice(index, uid),
        box_mm=Box((float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2]))),
    )
