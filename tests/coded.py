"""Scans and networks that understand each other: the shade of a bone block names the level, a bright dot before it is a fracture.

The networks are real OpenVINO networks in real packages; only their skill is a matter of agreement.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid, Vector
from cspine.modelpack import (
    Calibration,
    Figure,
    LocaliserManifest,
    Manifest,
    NetworkFile,
    OperatingPoint,
    QualityLimits,
    Samples,
    SliceManifest,
    TrainingData,
    TrainingFacts,
    write_package,
)
from cspine.runtime import Engine, open_session
from cspine.runtime.openvino import ov
from cspine.specs import VOXEL_CLASSES, SliceSpec, VolumeSpec
from cspine.study import Study
from cspine.volume import Volume

SPEC = SliceSpec(spacing_mm=(3.0, 2.0, 2.0), size=(48, 48), neighbours=1, window_hu=(-200.0, 1800.0))
WINDOWS = VolumeSpec(spacing_mm=(2.5, 2.5, 2.5), size=(48, 40, 40), window_hu=(-200.0, 1800.0))
HEIGHT_MM = 15.0
"""Height of a coded level."""

FRACTURE_HU = 2500.0


def shade_hu(level: Level) -> float:
    """Returns the HU of the bone of a level."""
    return 300.0 + 150.0 * level


def coded_volume(
    levels: Collection[Level] = CERVICAL,
    fractured: Collection[Level] = (),
    spacing_mm: Vector = (3.0, 1.5, 1.5),
    margin_mm: float = 12.0,
    half_mm: tuple[float, float] = (22.0, 16.0),
) -> Volume:
    """Returns soft tissue with one block of bone for each level, as large as a vertebra, C1 on top.

    Args:
        levels: Which are there, head to feet.
        fractured: Which of them have a fracture.
        spacing_mm: Voxel distances.
        margin_mm: Soft tissue above and below.
        half_mm: Half of the width and of the depth of a block.
    """
    height = len(levels) * HEIGHT_MM + 2 * margin_mm
    shape = (round(height / spacing_mm[0]), round(110 / spacing_mm[1]), round(100 / spacing_mm[2]))
    grid = Grid.upright((10.0, -20.0, 300.0), shape, spacing_mm)
    x, y, z = np.moveaxis(grid.world(np.moveaxis(np.indices(shape), 0, -1)), -1, 0)
    x, y, depth = x - 10.0, y + 20.0, grid.corners_mm()[:, 2].max() - margin_mm - z
    hu = np.where(x**2 + y**2 < 42.0**2, 40.0, -1000.0)
    for place, level in enumerate(levels):
        here = (depth >= place * HEIGHT_MM) & (depth < (place + 1) * HEIGHT_MM)
        hu[here & (np.abs(x) < half_mm[0]) & (np.abs(y - 14) < half_mm[1])] = shade_hu(level)
        if level in fractured:
            hu[here & (np.abs(x) < 6) & (np.abs(y + 30) < 6)] = FRACTURE_HU
    return Volume(hu.astype(np.float32), grid)


def study_of(volume: Volume, name: str = "neck", **more: Any) -> Study:
    """Returns a study around a volume, as if read from a NIfTI file."""
    return Study(name=name, volume=volume, study_uid=None, series_uid=None, **{"orientation": "axial", **more})


def write_nifti(volume: Volume, path: Path) -> Path:
    """Writes a volume as a NIfTI file."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.grid.affine[:, [2, 1, 0, 3]]
    image = nib.nifti1.Nifti1Image(np.round(volume.hu.transpose(2, 1, 0)).astype(np.int16), affine)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)
    return path


def write_dicom(volume: Volume, folder: Path, series: str = "1") -> Path:
    """Writes a volume as one axial CT series, an image per file; the same study whatever the series."""
    folder.mkdir(parents=True, exist_ok=True)
    grid = volume.grid
    for index, image in enumerate(volume.hu):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, f"1.2.3.{series}.{index + 1}"
        data.StudyInstanceUID, data.SeriesInstanceUID, data.Modality = "1.2.3", f"1.2.3.{series}", "CT"
        data.InstanceNumber, data.SliceThickness = index + 1, grid.spacing_mm[0]
        data.ImagePositionPatient = grid.world((index, 0, 0)).round(4).tolist()
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        (data.Rows, data.Columns), data.PixelSpacing = image.shape, list(grid.spacing_mm[1:])
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 1
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.RescaleSlope, data.RescaleIntercept = 1, 0
        data.PixelData = np.round(image).astype("<i2").tobytes()
        data.save_as(folder / f"{series}_{index + 1}.dcm", enforce_file_format=True)
    return folder


def coded_network(folder: Path) -> Path:
    """Writes the network that reads the code, as OpenVINO IR."""
    op = ov.opset13
    rows, columns = SPEC.size
    slices = op.parameter([-1, rows, columns, SPEC.channels], np.float32, name="slices")
    middle = op.gather(slices, np.int64(SPEC.neighbours), np.int64(3))
    front = op.slice(middle, np.array([0]), np.array([rows // 2]), np.array([1]), np.array([1]))
    back = op.slice(middle, np.array([rows // 2]), np.array([rows]), np.array([1]), np.array([1]))
    shades = (np.array([[shade_hu(level) for level in CERVICAL]], dtype=np.float32) - SPEC.window_hu[0]) / 2000
    off = op.abs(op.subtract(op.unsqueeze(op.reduce_max(back, np.array([1, 2]), False), np.int64(1)), shades))
    visible = op.sigmoid(op.multiply(op.subtract(np.float32(0.03), off), np.float32(200)))
    bright = op.unsqueeze(op.reduce_max(front, np.array([1, 2]), False), np.int64(1))
    fracture = op.multiply(visible, op.sigmoid(op.multiply(op.subtract(bright, np.float32(0.8)), np.float32(40))))
    for name, node in (("fracture", fracture), ("visible", visible)):
        node.output(0).set_names({name})
    ov.save_model(ov.Model([op.result(fracture), op.result(visible)], [slices]), folder / "coded.xml", compress_to_fp16=False)
    return folder / "coded.xml"


def coded_manifest(training_data: TrainingData = TrainingData.PHANTOMS) -> Manifest:
    """Returns the manifest of the package with that network."""
    return SliceManifest(
        name="coded",
        version="3",
        kind="slices",
        spec=SPEC,
        networks=(NetworkFile("slices", "coded.xml", ("fracture", "visible")),),
        calibration=Calibration.identity(),
        operating_points=(OperatingPoint("balanced", (0.5,) * 8), OperatingPoint("rule_out", (0.001,) * 8)),
        default_point="balanced",
        quality=QualityLimits(coarse_mm=(4.0, 2.0)),
        training_data=training_data,
        trained_on="necks of blocks",
        intended_use="Tests only.",
        training=TrainingFacts("by hand", "blocks", 3, 0, "none", (Figure("AUROC on blocks", 1.0, 0.9, 1.0),)),
    )


def coded_samples(network: Path) -> Samples:
    """Returns noise, and what the network says about it."""
    inputs: NDArray[np.float32] = np.random.default_rng(1).random((2, *SPEC.size, SPEC.channels), dtype=np.float32)
    return Samples(inputs, open_session(network, Engine(threads=1)).run(inputs))


def write_coded_package(folder: Path, scratch: Path, training_data: TrainingData = TrainingData.PHANTOMS) -> Path:
    """Writes the whole package."""
    network = coded_network(scratch)
    files = {path.name: path for path in (network, network.with_suffix(".bin"))}
    write_package(
        folder, coded_manifest(training_data), files, {"slices": coded_samples(network)}, "# coded\n\nKnows blocks only.\n"
    )
    return folder


def coded_localiser_network(folder: Path) -> Path:
    """Writes the network that names voxels by their shade, as OpenVINO IR."""
    op = ov.opset13
    window = op.parameter([-1, -1, -1, -1, 1], np.float32, name="window")
    shades = [(shade_hu(level) - WINDOWS.window_hu[0]) / 2000 for level in CERVICAL]
    names = np.array([0.25, *shades, 0.9, 1.0], dtype=np.float32).reshape(1, 1, 1, 1, VOXEL_CLASSES)
    channels_first = op.reshape(window, op.gather(op.shape_of(window), np.array([0, 4, 1, 2, 3]), np.int64(0)), False)
    around = ov.opset8.max_pool(channels_first, [1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1], [3, 3, 3], index_element_type="i64")
    densest = op.reshape(around.output(0), op.shape_of(window), False)
    half = op.less(window, op.multiply(densest, np.float32(0.6)))
    shade = op.select(half, np.float32(0.1), densest)
    levels = op.softmax(op.multiply(op.abs(op.subtract(shade, names)), np.float32(-200)), -1)
    levels.output(0).set_names({"levels"})
    path = folder / "coarse.xml"
    ov.save_model(ov.Model([op.result(levels)], [window]), path, compress_to_fp16=False)
    return path


def asked(package: Path) -> list[str]:
    """Arguments that ask for a coded package and for the coded localiser beside it."""
    return ["--model", str(package), "--localiser", str(package.parent / "coded_localiser")]


def write_coded_localiser(folder: Path, scratch: Path) -> Path:
    """Writes the package that finds the vertebrae of coded necks."""
    facts = coded_manifest()
    manifest = LocaliserManifest(
        name="coded_localiser",
        version="1",
        kind="localiser",
        coarse=WINDOWS,
        hu_ceiling=100.0,  # density tells the level
        networks=(NetworkFile("coarse", "coarse.xml", ("levels",)),),
        training_data=facts.training_data,
        trained_on=facts.trained_on,
        intended_use=facts.intended_use,
        training=facts.training,
    )
    network = coded_localiser_network(scratch)
    inputs: NDArray[np.float32] = np.random.default_rng(1).random((1, 8, 8, 8, 1), dtype=np.float32)
    samples = {"coarse": Samples(inputs, open_session(network, Engine(threads=1)).run(inputs))}
    files = {path.name: path for path in (network, network.with_suffix(".bin"))}
    write_package(folder, manifest, files, samples, "# coded_localiser\n\nKnows blocks only.\n")
    return folder
