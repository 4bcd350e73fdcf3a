from pathlib import Path

import numpy as np
import pytest

from cspine.datasets import SliceBox, box_in_world, read_dataset
from cspine.errors import DatasetError
from cspine.reading import read_study
from tests.datasets.by_hand import FIRST_MM, SPACING


def test_a_box_lies_where_its_file_lies_and_not_where_its_number_says(folder: Path) -> None:
    case = read_dataset(folder).cases[1]
    study = read_study(case.images)
    placed = box_in_world(study, case, case.boxes[0])

    # file 19 of the falling study 2..31 is the 13th slice from the feet; the box is 15 x 12 pixels from (10, 13) on
    np.testing.assert_allclose(placed.centre_mm, np.add(FIRST_MM, (17.0 * SPACING[2], 18.5 * SPACING[1], 12 * SPACING[0])))
    np.testing.assert_allclose(np.ptp(placed.corners_mm, axis=0), [15 * SPACING[2], 12 * SPACING[1], 0], atol=1e-9)
    assert study.volume.grid.world((placed.slice_index, 0, 0))[2] == pytest.approx(FIRST_MM[2] + 12 * SPACING[0])
    inside = study.volume.hu[placed.slice_index][
        round(placed.rows[0] + 0.5) : round(placed.rows[1] + 0.5), round(placed.columns[0] + 0.5) : round(placed.columns[1] + 0.5)
    ]
    assert inside.shape == (12, 15)
    assert (inside == 400).sum() == (study.volume.hu[placed.slice_index] == 400).sum()


def test_a_box_on_a_slice_that_is_not_there_says_so(folder: Path) -> None:
    case = read_dataset(folder).cases[1]
    study = read_study(case.images)
    with pytest.raises(DatasetError, match=r"needs 99\.dcm with its geometry"):
        box_in_world(study, case, SliceBox(99, 1, 1, 2, 2))
