"""``labels.nii.gz`` and ``heat.nii.gz``: the vertebrae and where the network sees a fracture, for other programs."""

from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from cspine.evidence import Prediction
from cspine.geometry import Grid
from cspine.reporting.written import Written
from cspine.results import Reason
from cspine.study import Study

FILES = ("labels.nii.gz", "heat.nii.gz")

NOTHING = Reason("no_maps", "No nifti is written: the package gives neither labels of vertebrae nor a heat map for this scan.")

_LPS_TO_RAS = np.diag((-1.0, -1.0, 1.0, 1.0))


def write(prediction: Prediction, study: Study, folder: Path) -> Written:  # noqa: ARG001  # every format is given the scan
    """Writes the maps that there are, each on its own grid."""
    evidence, files = prediction.evidence, []
    labels, heat = FILES
    if evidence.labels is not None:
        _save(evidence.labels.labels, evidence.labels.grid, folder / labels)
        files.append(labels)
    if evidence.heat is not None:
        _save(evidence.heat.values, evidence.heat.grid, folder / heat)
        files.append(heat)
    return Written(tuple(files), () if files else (NOTHING,))


def _save(values: NDArray[np.generic], grid: Grid, path: Path) -> None:
    """Writes an array ``(z, y, x)`` as NIfTI in millimetres, to the right, the front and the head."""
    image = nibabel.Nifti1Image(np.asarray(values).T, _LPS_TO_RAS @ grid.affine[:, [2, 1, 0, 3]])
    image = nibabel.as_closest_canonical(image)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
