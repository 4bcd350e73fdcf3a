"""Reading and cropping are timed in turns, each state of cspine in a process of its own, and what comes of them is compared."""

from pathlib import Path

import pytest

pytest.importorskip("pydicom")

from benchmarks.speed.preparing import rounds
from cspine.locating.crop_geometry import located_by
from cspine.volume import LabelMap
from tests.coded import coded_volume, write_nifti
from tests.coded_vertebrae import vertebra_manifest

_SOURCE = Path(__file__).parents[2] / "src"


def test_each_state_reads_and_crops_as_often_as_it_is_told_and_alike(tmp_path: Path) -> None:
    volume = coded_volume()
    labels = (volume.hu > 0).astype("uint8") * 3
    located = located_by(LabelMap(labels, volume.grid))

    found = rounds(write_nifti(volume, tmp_path / "neck.nii"), located, vertebra_manifest(), {"before": _SOURCE, "now": _SOURCE}, 2)

    assert [len(own) for own in found.values()] == [2, 2]
    assert all(one["read"] >= 0 and one["crop"] >= 0 for own in found.values() for one in own)
    assert len({one["digest"] for own in found.values() for one in own}) == 1
