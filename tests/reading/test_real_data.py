"""Real scans are read as the documentation says, and as an independent reader reads them."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.reading import read_study
from cspine.reading.dicom import find
from cspine.reading.places import opened
from cspine.reading.stacks import stacks_of
from cspine.volume import Volume
from tests.reading.real_data import SCANS, cspine_decodes, cspine_says, dcm2niix, files, hounsfield, nifti_grid, unpacked

_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "real-data.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns where zips are unpacked."""
    return tmp_path_factory.mktemp("real")


def _page() -> dict[str, str]:
    """Returns what the documentation says that cspine does, by scan and image."""
    rows = [line.strip("| ").split(" | ") for line in _PAGE.read_text().splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1] for row in rows}


def test_the_documentation_says_what_cspine_does_with_every_scan(shared_data: Path, folder: Path) -> None:
    page = _page()

    for name in SCANS:
        assert cspine_says(unpacked(shared_data, name, folder)) == page[name], name
        assert cspine_says(shared_data / name.split(",")[0]) == page[name.split(",")[0]]


def test_the_documentation_says_what_cspine_decodes_from_every_image(shared_data: Path, folder: Path) -> None:
    page = _page()

    for name, path in files(shared_data, folder):
        assert cspine_decodes(path) == page[name], name


_LOSSY = ("1.2.4.50", "1.2.4.51", "1.2.4.81", "1.2.4.91", "_J2KI", "_JLSN", "jpeg_ls.81", "baseline.51")


@pytest.mark.parametrize(("family", "count"), [("CTImage", 10), ("CT1_", 14), ("CT2_", 6), ("CT0012", 7)])
def test_all_compressions_of_an_image_give_the_same_hounsfield_units(
    shared_data: Path, folder: Path, family: str, count: int
) -> None:
    images: dict[str, NDArray[np.float32]] = {}
    for name, path in files(shared_data, folder):
        if path.name.startswith(family) and not any(retired in path.name for retired in ("1.2.4.53", "1.2.4.55")):
            images[name] = hounsfield(path)
    exact = [hu for name, hu in images.items() if not any(lossy in name for lossy in _LOSSY)]

    assert len(exact) >= count
    assert all(np.array_equal(hu, exact[0]) for hu in exact)
    tissue = exact[0] > -900
    if family != "CT0012":  # the header of its lossy copy gives a wrong intercept
        assert all(np.median(np.abs(hu - exact[0])[tissue]) < 25 for hu in images.values())


@pytest.mark.parametrize(
    "name",
    [
        "ct_sagittal_whole_spine/ct_sagittal_whole_spine.zip",
        "negative_no_cspine/pelvis_ct.zip",
        "dicom/oddities.zip, ct-3slice",
        "dicom/oddities.zip, oriented_data",
    ],
)
def test_geometry_and_voxels_equal_those_of_dcm2niix_where_it_does_not_warn(shared_data: Path, folder: Path, name: str) -> None:
    pytest.importorskip("dcm2niix", reason="needs dcm2niix to compare with")
    path = unpacked(shared_data, name, folder)
    (made,), complaints = dcm2niix(path, folder)
    assert not any(word in line for line in complaints for word in ("tilt", "distance", "spatial"))
    theirs = nibabel.load(made)
    if "oriented" in name:
        assert _agree(_grid_of(path), nifti_grid(theirs))
        return

    volume = read_study(path).volume

    assert _agree(volume.grid, nifti_grid(theirs))
    image = Volume(np.asarray(theirs.get_fdata(), np.float32).transpose(2, 1, 0).copy(), nifti_grid(theirs))
    same = sample(image, volume.grid).hu
    tissue = same >= -1024
    assert np.array_equal(volume.hu[tissue], same[tissue])
    assert np.all(volume.hu[~tissue] == -1000)


def _grid_of(path: Path) -> Grid:
    """Returns the geometry of a folder of one series, whatever study its images claim to belong to."""
    with opened(path) as place:
        (stack,) = stacks_of(find(place).frames)
    assert stack.layout is not None
    return stack.layout.grid


def _agree(one: Grid, other: Grid) -> bool:
    return one.canonical().agrees(other.canonical(), tolerance_mm=0.01)


def test_a_tilted_uneven_scan_lies_where_its_positions_say(shared_data: Path, folder: Path) -> None:
    study = read_study(unpacked(shared_data, "dicom/gantry_tilt_uneven_spacing.zip", folder))

    positions = np.array([source.position_mm for source in study.sources])
    index = study.volume.grid.index(positions)
    assert np.allclose(index[:, 1:], 0, atol=0.01)
    assert index[0, 0] == pytest.approx(0, abs=1e-6)
    assert index[-1, 0] == pytest.approx(study.volume.grid.shape[0] - 1, abs=1e-6)


def test_a_sheared_nifti_keeps_its_shear(shared_data: Path) -> None:
    grid = read_study(shared_data / "nifti_oddities" / "shear.nii.gz").volume.grid

    step, row = grid.directions[:, 0], grid.directions[:, 1]
    assert 5 < np.degrees(np.arcsin(abs(np.dot(step, row)))) < 30


@pytest.mark.parametrize(
    ("name", "orientation"),
    [("ct_fullhead", "axial"), ("ct_sagittal_whole_spine", "sagittal"), ("negative_no_cspine/pelvis_ct.zip", "axial")],
)
def test_the_orientation_of_real_scans_is_known(shared_data: Path, name: str, orientation: str) -> None:
    assert read_study(shared_data / name).orientation == orientation
