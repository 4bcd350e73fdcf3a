"""Compares what cspine, dcm2niix and SimpleITK do with every scan of ``../shared/data``.

``python -m tests.reading.real_data > docs/reference/real-data.md`` writes the page; it needs SimpleITK, which the project does not.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from cspine.errors import CspineError
from cspine.geometry import Grid
from cspine.reading import read_study
from cspine.reading.facts import DamagedFileError
from cspine.reading.headers import frames_of
from cspine.reading.messages import Refusal
from cspine.reading.pixels import PixelReader, refusal_of_format
from cspine.reading.places import FolderPlace

_TO_LPS = np.diag((-1.0, -1.0, 1.0, 1.0))
SCANS = {
    "ct_fullhead/fullhead_HU.nii.gz": "",
    "ct_sagittal_whole_spine/ct_sagittal_whole_spine.zip": "",
    "negative_no_cspine/example_ct.nii.gz": "",
    "negative_no_cspine/pelvis_ct.zip": "",
    "dicom/gantry_tilt_uneven_spacing.zip": "",
    "dicom/encodings.zip": "",
    "dicom/oddities.zip": "",
    "dicom/oddities.zip, ct-3slice": "ct-3slice",
    "dicom/oddities.zip, oriented_data": "oriented_data",
    "dicom/oddities.zip, one_slice_data": "one_slice_data",
    "dicom/oddities.zip, highdicom_seg": "highdicom_seg",
    "dicom/oddities.zip, pylibjpeg": "pylibjpeg",
    "nifti_oddities/CT_AVM.nii.gz": "",
    "nifti_oddities/CT_pitch.nii.gz": "",
    "nifti_oddities/ct_perfusion.nii.gz": "",
    "nifti_oddities/shear.nii.gz": "",
    "anatomy_meshes": "",
    "anatomy_meshes_more": "",
}
"""Every folder, zip and NIfTI file, and the part of a zip that is meant."""


def unpacked(data: Path, name: str, folder: Path) -> Path:
    """Returns a scan as a folder or a NIfTI file."""
    path, part = data / name.split(",", maxsplit=1)[0], SCANS[name]
    if path.suffix != ".zip":
        return path
    target = folder / path.stem
    if not target.exists():
        with zipfile.ZipFile(path) as archive:
            archive.extractall(target)
    return target / part


def code_of(error: CspineError) -> str:
    """Returns the code of a refusal, by its words."""
    for refusal in Refusal:
        parts = re.split(r"\{[^}]*\}", refusal.value)
        if re.fullmatch(".*".join(re.escape(part) for part in parts), str(error)):
            return refusal.code
    raise error


def cspine_says(path: Path) -> str:
    """Returns what cspine does with a scan."""
    try:
        study = read_study(path)
    except CspineError as error:
        return f"refuses: `{code_of(error)}`"
    warned = "".join(f", `{warning.code}`" for warning in study.warnings)
    return f"reads {_size(study.volume.grid)}{warned}"


def dcm2niix(path: Path, folder: Path) -> tuple[list[Path], list[str]]:
    """Returns the NIfTI files that dcm2niix makes, and what it complains of."""
    target = Path(tempfile.mkdtemp(dir=folder))
    tool = shutil.which("dcm2niix", path=str(Path(sys.executable).parent)) or "dcm2niix"
    command = [tool, "-z", "n", "-b", "n", "-f", "%j_%s", "-o", str(target), str(path)]
    if path.is_file():
        command[1:1] = ["-s", "y"]
    printed = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in (printed.stdout + printed.stderr).splitlines() if line.startswith(("Warning", "Error"))]
    return sorted(target.glob("*.nii")), complaints


def nifti_grid(image: Any) -> Grid:
    """Returns where the voxels of a NIfTI image lie."""
    shape = tuple(int(n) for n in image.shape[:3])
    return Grid((shape[2], shape[1], shape[0]), _TO_LPS @ image.affine[:, [2, 1, 0, 3]])


def hounsfield(path: Path) -> NDArray[np.float32]:
    """Returns the first image of a DICOM file, whatever its geometry.

    Raises:
        StudyError: It cannot be decoded.
    """
    place = FolderPlace(path.parent, only=path)
    try:
        frames = frames_of(place, place.entries[0])
    except DamagedFileError as error:
        raise Refusal.DAMAGED_FILE.error(name=path.name, cause=error) from error
    if not frames:
        raise Refusal.NO_IMAGES.error(place=path, found="1 files, none of them such an image")
    first = frames[0]
    if first.pixels.samples != 1:
        raise Refusal.COLOUR.error(uid=first.series.series_uid, samples=first.pixels.samples)
    refusal = refusal_of_format(first)
    if refusal is not None:
        uid = first.series.series_uid
        raise refusal.error(
            uid=uid, name=path.name, syntax=first.pixels.transfer_syntax, found=f"{first.pixels.bits_allocated} bits"
        )
    hu = np.empty((first.pixels.rows, first.pixels.columns), np.float32)
    PixelReader(place).decode(first, hu)
    return hu


def cspine_decodes(path: Path) -> str:
    """Returns the Hounsfield units that cspine finds in a DICOM file."""
    try:
        hu = hounsfield(path)
    except CspineError as error:
        return f"`{code_of(error)}`"
    return f"{hu.min():.0f} … {hu.max():.0f}"


def files(data: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields every file of the two zips of single images."""
    for name in ("dicom/encodings.zip", "dicom/oddities.zip"):
        root = unpacked(data, name, folder)
        for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix not in (".txt", ".md")):
            yield str(path.relative_to(root)), path


def _size(grid: Grid) -> str:
    z, y, x = grid.spacing_mm
    return f"{' x '.join(map(str, grid.shape))} at {z:.2f} x {y:.2f} x {x:.2f} mm"


def _dcm2niix_says(path: Path, folder: Path) -> str:
    if not path.is_dir():
        return "reads no NIfTI"
    made, complaints = dcm2niix(path, folder)
    if not made:
        return "nothing"
    if len(made) > 2:
        return f"{len(made)} files, {len(complaints)} warnings"
    sizes = "; ".join(_size(nifti_grid(nibabel.load(one))) for one in made)
    about_geometry = any(word in line for line in complaints for word in ("tilt", "distance", "spatial"))
    return f"reads {sizes}{', warns' if about_geometry else ''}"


def _simpleitk_says(path: Path) -> str:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        if path.is_dir():
            reader = SimpleITK.ImageSeriesReader()
            names = {uid: reader.GetGDCMSeriesFileNames(str(path), uid, False, True) for uid in reader.GetGDCMSeriesIDs(str(path))}
            if len(names) != 1:
                return f"{len(names)} series"
            reader.SetFileNames(next(iter(names.values())))
            image = reader.Execute()
        else:
            image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        return f"fails: {str(error).strip().splitlines()[-1][:60]}"
    size, spacing = image.GetSize()[::-1], image.GetSpacing()[::-1]
    return f"reads {' x '.join(map(str, size))} at {' x '.join(f'{step:.2f}' for step in spacing)} mm"


def _dcm2niix_decodes(path: Path, folder: Path) -> str:
    made, _ = dcm2niix(path, folder)
    if len(made) != 1:
        return "nothing"
    values = np.asanyarray(nibabel.load(made[0]).dataobj)
    if values.dtype.kind == "V":
        return "colours"
    first = values.reshape(*values.shape[:2], -1)[..., 0]
    return f"{first.min():.0f} … {first.max():.0f}"


def _simpleitk_decodes(path: Path) -> str:
    import SimpleITK

    try:
        values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    except RuntimeError:
        return "fails"
    if values.ndim > 3 or values.ndim < 3:
        return "colours"
    return f"{values[0].min():.0f} … {values[0].max():.0f}"


_PAGE = """# Real scans

This page shows what cspine and two well-known converters make of every scan in `../shared/data` (public CT beside the
repository, described in its own README). `python -m tests.reading.real_data > docs/reference/real-data.md` writes it.
`tests/reading/test_real_data.py` checks the columns of cspine. It also checks that cspine and dcm2niix place every
corner within 0.01 mm of each other and agree in every voxel, wherever dcm2niix reads a scan without a warning about its
geometry. [Reading scans](reading.md) explains the codes.

## Folders, zips and NIfTI files

Sizes and spacings are slices x rows x columns. dcm2niix and SimpleITK were given unpacked zips.

{scans}

One thing is not in the table. In the tilted scan, slices are 1.08, 4.0 and 7.0 mm apart. SimpleITK takes the mean
distance and drops the tilt without a warning, so the first pixel of a slice lies up to {off:.0f} mm from its true position.
dcm2niix writes a second, resampled file and warns. The parts of `oriented_data` claim three studies and values of -10
to 10 HU. Their geometry agrees with dcm2niix (tested).

## Single images

The table has the Hounsfield units (least … greatest) of the first image of every file. A single slice is not a study,
so `cspine detect` refuses each of these files alone. Here only the pixels are decoded. Other readers keep values below
-1024, such as a padding of -2000 or -3024. cspine turns them into air, so its least value is never below -1024.
"Nothing" and "fails" mean that a converter gave no image.

{images}
"""


def _simpleitk_off(folder: Path) -> float:
    """Returns how far SimpleITK places the first pixel of a slice from its Image Position, at most, in millimetres."""
    import SimpleITK

    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = SimpleITK.ReadImage(names)
    found = [image.TransformIndexToPhysicalPoint((0, 0, index)) for index in range(len(names))]
    true = [frames_of(place := FolderPlace(folder, only=Path(name)), place.entries[0])[0].plane for name in names]
    positions = [plane.position_mm for plane in true if plane is not None]
    return float(np.linalg.norm(np.subtract(found, positions), axis=1).max())


def _table(rows: list[tuple[str, ...]]) -> str:
    head, *body = rows
    return "\n".join(["| " + " | ".join(row) + " |" for row in (head, tuple("---" for _ in head), *body)])


def main() -> None:
    """Writes the page to standard output."""
    data = Path(__file__).parents[2].parent / "shared" / "data"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        scans: list[tuple[str, ...]] = [("scan", "cspine", "dcm2niix", "SimpleITK")]
        for name in SCANS:
            path = unpacked(data, name, folder)
            scans.append((f"`{name}`", cspine_says(path), _dcm2niix_says(path, folder), _simpleitk_says(path)))
        images: list[tuple[str, ...]] = [("image", "cspine", "dcm2niix", "SimpleITK")]
        for name, path in files(data, folder):
            images.append((f"`{name}`", cspine_decodes(path), _dcm2niix_decodes(path, folder), _simpleitk_decodes(path)))
        off = _simpleitk_off(unpacked(data, "dicom/gantry_tilt_uneven_spacing.zip", folder))
    sys.stdout.write(_PAGE.format(off=off, scans=_table(scans), images=_table(images)))


if __name__ == "__main__":
    main()
