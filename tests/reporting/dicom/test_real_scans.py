"""Real scans: a sagittal one, and one with a tilted gantry and three slice distances."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.reporting.dicom.archived import Archived, objects_of
from tests.reporting.dicom.voxels import compared_voxels

SCANS = {"sagittal": "ct_sagittal_whole_spine/ct_sagittal_whole_spine.zip", "tilted": "dicom/gantry_tilt_uneven_spacing.zip"}


@pytest.fixture(scope="module", params=SCANS)
def archive(request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Archived:
    return objects_of(shared_data / SCANS[request.param], tmp_path_factory.mktemp("real") / "objects")


def test_every_stored_pixel_has_the_label_of_the_voxel_in_which_it_lies(archive: Archived) -> None:
    assert compared_voxels(archive) > 10_000


def test_dciodvfy_finds_no_error(archive: Archived) -> None:
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("needs dciodvfy (Debian package dicom3tools)")
    files = sorted(archive.folder.glob("*.dcm"))

    for file in files:
        output = subprocess.run([program, "-new", str(file)], capture_output=True, text=True, errors="replace", check=False)
        assert [line for line in (output.stdout + output.stderr).splitlines() if line.startswith("Error")] == []
    assert len(files) == 3
