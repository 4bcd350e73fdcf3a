"""Collects functions that make scans which deserve to be refused."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cspine.reading.messages import Refusal
from tests.reading.scans import body

Made = tuple[Path, str | None]
Case = Callable[[Path, pytest.MonkeyPatch], Path | Made]


class Cases(dict[Refusal, Case]):
    """For each refusal what makes a scan that deserves it, in a folder; it returns the path, or the path and a series."""

    def case(self, refusal: Refusal) -> Callable[[Case], Case]:
        """Adds the function that it decorates."""

        def remember(case: Case) -> Case:
            self[refusal] = case
            return case

        return remember


def nifti(folder: Path, values: object, affine: object = np.eye(4)) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, affine), folder / "scan.nii")
    return folder / "scan.nii"


def transposed_hu() -> object:
    return body().transpose(2, 1, 0)
