"""Images that make no regular volume."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cspine.reading import limits
from cspine.reading.messages import Refusal
from tests.reading.refused.cases import Cases
from tests.reading.scans import Scan, anatomy, body, lacking, setting

CASES = Cases()


@CASES.case(Refusal.NO_POSITIONS)
def _no_positions(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=lacking("ImagePositionPatient")).write(folder)


@CASES.case(Refusal.BAD_GEOMETRY)
def _bad_directions(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(ImageOrientationPatient=[1, 0, 0, 1, 0, 0])).write(folder)


@CASES.case(Refusal.BAD_SIZE)
def _bad_size(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(Rows=65535, Columns=65535)).write(folder)


@CASES.case(Refusal.TOO_LARGE)
def _too_large(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(limits, "MAX_VOXELS", 700)
    return Scan().write(folder)


@CASES.case(Refusal.SINGLE_SLICE)
def _single(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(hu=body(1)).write(folder)


@CASES.case(Refusal.ONE_POSITION)
def _one_position(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(positions=np.zeros((6, 3))).write(folder)


@CASES.case(Refusal.ROUNDED_TOGETHER)
def _rounded_together(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    scan = Scan(hu=body(30), step_mm=0.625)
    scan.positions = np.round(scan.places)
    return scan.write(folder)


@CASES.case(Refusal.INTERLEAVED)
def _interleaved(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    z = np.arange(40) * 0.5
    hu = np.where((np.arange(40) % 2 == 0)[:, None, None], anatomy(z), anatomy(z, shift_mm=8))
    return Scan(hu=hu, step_mm=0.5).write(folder)


@CASES.case(Refusal.WIDE_GAP)
def _wide_gap(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(positions=np.array([[0, 0, z] for z in (0, 1, 2, 3, 14, 15)])).write(folder)


@CASES.case(Refusal.TOO_MIXED)
def _mixed(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    def turned(dataset: Dataset, index: int) -> None:
        angle = 0.2 * index
        dataset.ImageOrientationPatient = [1, 0, 0, 0, f"{np.cos(angle):.9f}", f"{np.sin(angle):.9f}"]

    patch.setattr(limits, "MAX_STACKS", 4)
    return Scan(change=turned).write(folder)


@CASES.case(Refusal.CROOKED_STACK)
def _crooked(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    scan = Scan()
    scan.positions = scan.places
    scan.positions[3, 0] += 7
    return scan.write(folder)


@CASES.case(Refusal.STEEP_SHEAR)
def _steep(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(positions=np.arange(6)[:, None] * [0.0, 2.0, 1.0]).write(folder)


@CASES.case(Refusal.DIFFERENT_DUPLICATES)
def _different_duplicates(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    Scan().write(folder / "a")
    Scan(hu=body(seed=1)).write(folder / "b")
    return folder
