from pathlib import Path

import pytest

from cspine.datasets import Case, read_dataset, traits
from cspine.errors import DatasetError
from tests.datasets.by_hand import SPACING, blocks


def test_traits_are_those_of_the_headers_in_both_directions(folder: Path) -> None:
    found = [traits(case) for case in read_dataset(folder).cases]

    slices = len(blocks()[0])
    for one in found:
        assert one.slices == slices
        assert one.slice_distance_mm == pytest.approx(SPACING[0])
        assert one.length_mm == pytest.approx(SPACING[0] * (slices - 1))
        assert one.field_of_view_mm == pytest.approx(SPACING[2] * blocks()[0].shape[2])
    assert {one.falls for one in found} == {0.0, 1.0}


def test_a_study_without_images_or_geometry_is_told(tmp_path: Path) -> None:
    case = Case("1.2.3", tmp_path, (False,) * 7)
    with pytest.raises(DatasetError, match=r"Study 1\.2\.3 needs images"):
        traits(case)

    (tmp_path / "1.dcm").write_bytes(b"no image")
    with pytest.raises(DatasetError, match="needs images with their geometry"):
        traits(case)
