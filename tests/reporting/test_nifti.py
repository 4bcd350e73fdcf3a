"""Label map and heat map for other programs."""

from pathlib import Path

import nibabel
import numpy as np

from cspine.evidence import Evidence, HeatMap, Prediction
from cspine.geometry import Grid
from cspine.reporting import write_result
from cspine.results import StudyResult
from cspine.study import Study
from cspine.volume import LabelMap


def _maps(study: Study) -> Evidence:
    """Returns a label map stored from the head to the feet and a coarse heat map, each on a grid of its own."""
    centre = study.volume.grid.centre_mm
    upright = Grid.upright(centre, (9, 8, 7), (2.5, 2.0, 1.5))
    affine = upright.affine.copy()
    affine[:3, 3] = upright.world((8, 0, 0))
    affine[:3, 0] *= -1
    labels = np.zeros((9, 8, 7), np.uint8)
    labels[1, 2, 3], labels[7, 5, 1] = 4, 20
    cells = Grid.upright(centre, (3, 4, 5), (8.0, 7.0, 6.0))
    return Evidence(LabelMap(labels, Grid((9, 8, 7), affine)), HeatMap(np.full((3, 4, 5), 0.25, np.float32), cells))


def test_a_voxel_of_the_files_lies_where_it_lay(broken_result: StudyResult, broken_neck: Study, tmp_path: Path) -> None:
    evidence = _maps(broken_neck)
    assert evidence.labels is not None
    assert evidence.heat is not None

    written = write_result(Prediction(broken_result, evidence), broken_neck, tmp_path, ["nifti"])

    assert written.files == ("labels.nii.gz", "heat.nii.gz")
    labels, heat = (nibabel.nifti1.load(tmp_path / name) for name in written.files)
    assert nibabel.orientations.aff2axcodes(labels.affine) == ("R", "A", "S")
    for index, label in (((1, 2, 3), 4), ((7, 5, 1), 20)):
        x, y, z = evidence.labels.grid.world(index)
        voxel = np.rint(np.linalg.inv(labels.affine) @ (-x, -y, z, 1))[:3].astype(int)
        assert labels.dataobj[tuple(voxel)] == label
    assert np.count_nonzero(np.asarray(labels.dataobj)) == 2
    assert labels.get_data_dtype() == np.uint8
    x, y, z = evidence.heat.grid.centre_mm
    np.testing.assert_allclose(heat.affine @ (2, 1.5, 1, 1), (-x, -y, z, 1), atol=1e-3)
    np.testing.assert_array_equal(heat.get_fdata(), 0.25)


def test_a_package_without_maps_writes_none_and_says_so(broken_result: StudyResult, broken_neck: Study, tmp_path: Path) -> None:
    written = write_result(Prediction(broken_result), broken_neck, tmp_path, ["nifti"])

    assert (written.files, [note.code for note in written.notes]) == ((), ["no_maps"])
    assert list(tmp_path.iterdir()) == []
