"""NIfTI files that are refused."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from cspine.reading.messages import Refusal
from tests.reading.refused.cases import Cases, nifti, transposed_hu

CASES = Cases()


@CASES.case(Refusal.NIFTI_DAMAGED)
def _nifti_damaged(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    (folder / "scan.nii").write_bytes(b"not a scan")
    return folder / "scan.nii"


@CASES.case(Refusal.NIFTI_BROKEN_OFF)
def _nifti_broken_off(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = nifti(folder, transposed_hu())
    (folder / "scan.nii.gz").write_bytes(gzip.compress(path.read_bytes())[:-8])
    return folder / "scan.nii.gz"


@CASES.case(Refusal.NIFTI_STEPS)
def _nifti_steps(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, transposed_hu(), np.diag((0.0005, 0.0005, 0.001, 1)))


@CASES.case(Refusal.NIFTI_DIMENSIONS)
def _nifti_4d(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, np.zeros((4, 4, 4, 2), np.int16))


@CASES.case(Refusal.NIFTI_COLOUR)
def _nifti_colour(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]))


@CASES.case(Refusal.NIFTI_NO_PLACE)
def _nifti_nowhere(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, transposed_hu(), affine=None)


@CASES.case(Refusal.NIFTI_TRUNCATED)
def _nifti_truncated(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = nifti(folder, transposed_hu())
    os.truncate(path, path.stat().st_size - 10)
    return path
