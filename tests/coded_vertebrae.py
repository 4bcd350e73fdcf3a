"""A network that classifies the necks of :mod:`tests.coded` vertebra by vertebra: a dark hole in a block is a fracture."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Vector
from cspine.modelpack import AppearanceLimits, NetworkFile, Samples, VertebraManifest, write_package
from cspine.runtime import Engine, open_session
from cspine.runtime.openvino import ov
from cspine.specs import FRACTURE_CELL, VertebraSpec
from cspine.volume import Volume
from tests.coded import HEIGHT_MM, coded_manifest, coded_volume

SPEC = VertebraSpec(spacing_mm=(2.0, 1.5, 1.5), depth=12, size=(32, 32), slices=6, neighbours=1, window_hu=(-200.0, 1800.0))
OUTPUTS = ("overall", "fracture", "fracture_map", "attention")
HOLE_HU = -200.0
HOLE_MM = (8.0, -4.0, 2.0)
"""Where a hole lies in its block: to the left, to the front and above the middle."""


def hole_mm(volume: Volume, level: Level) -> Vector:
    """Returns where the hole of a level of an uncut coded neck lies, LPS."""
    middle = float(volume.grid.corners_mm()[:, 2].max()) - 12.0 - (level - 0.5) * HEIGHT_MM
    return 10.0 + HOLE_MM[0], -6.0 + HOLE_MM[1], middle + HOLE_MM[2]


def holed_volume(*broken: Level) -> Volume:
    """Returns an uncut coded neck with a hole of 6 mm in some of its blocks."""
    volume = coded_volume(CERVICAL, half_mm=(14.0, 12.0))
    world = volume.grid.world(np.moveaxis(np.indices(volume.grid.shape), 0, -1))
    hu = volume.hu.copy()
    for level in broken:
        hu[np.all(np.abs(world - hole_mm(volume, level)) < 3.1, axis=-1)] = HOLE_HU
    return replace(volume, hu=hu)


def vertebra_network(folder: Path) -> Path:
    """Writes the network, as OpenVINO IR."""
    op = ov.opset13
    crops = op.parameter([-1, *SPEC.shape], np.float32, name="crops")
    picture, mask = (op.gather(crops, np.int64(channel), np.int64(5)) for channel in (1, 3))
    dark = op.sigmoid(op.multiply(op.subtract(np.float32(0.06), picture), np.float32(100)))
    inside = op.sigmoid(op.multiply(op.subtract(mask, np.float32(0.1)), np.float32(50)))
    rows, columns = (side // FRACTURE_CELL for side in SPEC.size)
    parts = np.array([-1, 7, SPEC.slices, rows, FRACTURE_CELL, columns, FRACTURE_CELL])
    share = op.reduce_mean(op.reshape(op.multiply(dark, inside), parts, False), np.array([4, 6]), False)
    cells = op.minimum(op.multiply(share, np.float32(4)), np.float32(1))
    evident = op.add(op.reduce_max(cells, np.array([3, 4]), False), np.float32(1e-3))
    attention = op.divide(evident, op.reduce_sum(evident, np.array([2]), True))
    most = op.reduce_max(evident, np.array([2]), False)
    fracture = op.sigmoid(op.multiply(op.subtract(most, np.float32(0.2)), np.float32(50)))
    overall = op.reduce_max(fracture, np.array([1]), True)
    outputs = dict(zip(OUTPUTS, (overall, fracture, cells, attention), strict=True))
    for name, node in outputs.items():
        node.output(0).set_names({name})
    path = folder / "vertebrae.xml"
    ov.save_model(ov.Model([op.result(node) for node in outputs.values()], [crops]), path, compress_to_fp16=False)
    return path


def vertebra_manifest(passes: int = 2, appearance: AppearanceLimits | None = None) -> VertebraManifest:
    """Returns the manifest of the package with that network."""
    coded = coded_manifest()
    return VertebraManifest(
        name="coded_vertebrae",
        version="1",
        kind="vertebrae",
        spec=SPEC,
        networks=(NetworkFile("vertebrae", "vertebrae.xml", OUTPUTS),),
        calibration=coded.calibration,
        operating_points=coded.operating_points,
        default_point=coded.default_point,
        quality=coded.quality,
        training_data=coded.training_data,
        trained_on=coded.trained_on,
        intended_use=coded.intended_use,
        training=coded.training,
        tta_passes=passes,
        appearance=appearance or AppearanceLimits(),
    )


def write_vertebra_package(folder: Path, scratch: Path, manifest: VertebraManifest | None = None) -> Path:
    """Writes the whole package."""
    network = vertebra_network(scratch)
    inputs: NDArray[np.float32] = np.random.default_rng(1).random((1, *SPEC.shape), dtype=np.float32)
    samples = {"vertebrae": Samples(inputs, open_session(network, Engine(threads=1)).run(inputs))}
    files = {path.name: path for path in (network, network.with_suffix(".bin"))}
    write_package(folder, manifest or vertebra_manifest(), files, samples, "# coded_vertebrae\n\nKnows blocks only.\n")
    return folder
