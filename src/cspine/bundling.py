"""Writes a model package as others run it: networks as ONNX, what must be known of them as JSON, laid out like a MONAI bundle."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import cspine
from cspine.errors import OutputError, PackageError
from cspine.modelpack import (
    OUTPUTS,
    LocaliserManifest,
    Manifest,
    Package,
    PackageManifest,
    SliceManifest,
    VertebraManifest,
    is_shipped,
)
from cspine.network_content import NetworkContent
from cspine.runtime import Device, Engine, open_session
from cspine.runtime.ir_to_onnx import OPSET, to_onnx
from cspine.specs import FRACTURE_CELL, SliceSpec, VertebraSpec, VolumeSpec
from cspine.storage.files import replacing_folder

METADATA = "configs/metadata.json"
FORMAT = 1
"""Version of what stands in :data:`METADATA` beyond the keys of MONAI."""

TOLERANCE = 1e-3
"""By how much an output may differ from the stored samples; the shipped networks differ by less than 1e-5."""

_AXES: dict[type, tuple[str, ...]] = {
    SliceSpec: ("slice", "row", "column", "channel"),
    VertebraSpec: ("study", "level", "slice", "row", "column", "channel"),
    VolumeSpec: ("window", "slice", "row", "column", "channel"),
}
_AXIAL = "slices run from feet to head, rows to the back, columns to the patient's left"
_DIRECTIONS: dict[type, str] = {
    SliceSpec: f"upright axial slices around the middle of the tissue; {_AXIAL}",
    VertebraSpec: f"crops around C1..C7, whose slices lie across the spine; {_AXIAL}",
    VolumeSpec: f"upright windows, or crops around a vertebra; {_AXIAL}",
}
_MEANS = {
    "attention": "share of each slice in what is said of its level",
    "fracture": "probability of a fracture, not calibrated",
    "fracture_map": f"probability that a cell of {FRACTURE_CELL} x {FRACTURE_CELL} pixels looks fractured",
    "level_map": f"probability of background and C1..C7 in a cell of {FRACTURE_CELL} x {FRACTURE_CELL} pixels",
    "levels": "probability of each class of a voxel: background, C1..C7, other vertebra, other bone",
    "overall": "probability of any fracture, not calibrated",
    "vertebra": "probability of each class of a voxel: background, this vertebra, other bone",
    "visible": "probability that a level is in the slice",
}


def write_bundle(package: Package[PackageManifest], folder: Path) -> dict[str, float]:
    """Writes the bundle of a package, whole or not at all; a bundle that stood there before is replaced.

    Every network is run by ONNX Runtime on the stored samples of the package, one by one and all at once.

    Args:
        package: The package.
        folder: Where the bundle goes.

    Returns:
        By role, the largest difference of an output from what the trained network gave.

    Raises:
        PackageError: A network cannot be translated, or gives other outputs as ONNX.
        OutputError: The folder cannot be written, or holds something else.
    """
    if folder.exists() and not (folder / METADATA).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"A bundle needs a new or empty folder. {folder} holds something else.")
    networks = {network.role: to_onnx(package.network(network.role)) for network in package.manifest.networks}
    differences = {role: _checked(package, role, data) for role, data in networks.items()}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as made:
            for name in ("configs", "docs", "models", "samples"):
                (made / name).mkdir()
            for role, data in networks.items():
                samples = package.samples(role)
                (made / "models" / f"{role}.onnx").write_bytes(data)
                np.savez_compressed(made / "samples" / f"{role}.npz", allow_pickle=False, inputs=samples.inputs, **samples.outputs)
            text = json.dumps(metadata(package, differences), indent=2, ensure_ascii=False)
            (made / METADATA).write_text(text + "\n", encoding="utf-8")
            (made / "docs" / "README.md").write_text(_page(package), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The bundle cannot be written to {folder}: {error.strerror}. Choose another folder.") from error
    return differences


def metadata(package: Package[PackageManifest], differences: dict[str, float]) -> dict[str, Any]:
    """Returns what a bundle says about itself: the keys of MONAI's metadata, and under ``cspine`` what else must be known.

    Args:
        package: The package.
        differences: As :func:`write_bundle` returns them.
    """
    manifest, shipped = package.manifest, is_shipped(package)
    formats = {network.role: _data_format(package, network.role) for network in manifest.networks}
    names = ["network_data_format", *(f"{role}_data_format" for role in list(formats)[1:])]
    return {
        "name": manifest.name,
        "version": manifest.version,
        "task": "Finds the vertebrae C1..C7 on CT"
        if isinstance(manifest, LocaliserManifest)
        else "Finds fractures of C1..C7 on CT",
        "description": manifest.trained_on,
        "intended_use": manifest.intended_use,
        "authors": "The cspine developers" if shipped else "Not stated by the package",
        "copyright": "Apache-2.0" if shipped else "Not stated by the package",
        "changelog": {manifest.version: f"written by cspine {cspine.__version__}"},
        "required_packages_version": {"numpy": np.__version__, "onnxruntime": "1.17 or later"},
        **dict(zip(names, formats.values(), strict=True)),
        "cspine": {
            "format": FORMAT,
            "kind": manifest.kind,
            "package_sha256": package.sha256,
            "opset": OPSET,
            "differences": differences,
            "inputs": {role: _input(manifest, role) for role in formats},
            "training": asdict(manifest.training),
            **(_decisions(manifest) if isinstance(manifest, Manifest) else {}),
        },
    }


def _checked(package: Package[PackageManifest], role: str, network: bytes) -> float:
    """Returns how far the outputs of a translated network are from those of the trained one.

    Raises:
        PackageError: Farther than it may.
    """
    session = open_session(NetworkContent(f"{role}.onnx", network), Engine(device=Device.CPU))
    worst = max(package.difference(session, role, most) for most in (1, None))
    if not worst <= TOLERANCE:
        raise PackageError(
            f"The network {role} of {package.manifest.name} must give the same outputs as ONNX, within {TOLERANCE:g}. They differ "
            f"by {worst:g}; no bundle was written."
        )
    return worst


def _spec(manifest: PackageManifest, role: str) -> SliceSpec | VertebraSpec | VolumeSpec:
    if isinstance(manifest, SliceManifest | VertebraManifest):
        return manifest.spec
    if isinstance(manifest, LocaliserManifest):
        return manifest.coarse if role == "coarse" or manifest.fine is None else manifest.fine
    raise PackageError(
        f"A bundle is made of a package that classifies or finds vertebrae. {manifest.name} is of kind {manifest.kind}."
    )


def _of_kind(spec: object, table: dict[type, Any]) -> Any:
    return next(value for kind, value in table.items() if isinstance(spec, kind))


def _data_format(package: Package[PackageManifest], role: str) -> dict[str, Any]:
    """Returns the inputs and outputs of a network in the words of MONAI; shapes are those of one entry of a batch."""
    spec, samples = _spec(package.manifest, role), package.samples(role)
    image = {
        "type": "image",
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": spec.channels,
        "spatial_shape": list(samples.inputs.shape[1:-1]),
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": not isinstance(spec, SliceSpec),
        "axes": list(_of_kind(spec, _AXES)),
        "channel_def": {str(index): text for index, text in enumerate(_channels(spec))},
    }
    outputs = {
        name: {
            "type": "probabilities",
            "format": _MEANS.get(name, "as the model card says"),
            "shape": list(array.shape[1:]),
            "dtype": "float32",
            "value_range": [0, 1],
        }
        for name, array in samples.outputs.items()
    }
    return {"inputs": {"image": image}, "outputs": outputs}


def _channels(spec: SliceSpec | VertebraSpec | VolumeSpec) -> list[str]:
    """Returns what each channel of an input holds."""
    if isinstance(spec, VolumeSpec):
        return ["CT", "this vertebra, smoothed", "the other vertebrae, smoothed"][: spec.channels]
    around = [
        f"CT, slice {offset:+d}" if offset else "CT, the slice itself" for offset in range(-spec.neighbours, spec.neighbours + 1)
    ]
    return [*around, "the vertebra, smoothed"] if isinstance(spec, VertebraSpec) else around


def _input(manifest: PackageManifest, role: str) -> dict[str, Any]:
    """Returns how an input is made of a scan: distances of voxels, window, and the rest of what the package records."""
    spec = _spec(manifest, role)
    return {
        **asdict(spec),
        "spacing_axes": "slices, rows, columns",
        "windowing": "(hu - low) / (high - low), clipped to 0..1",
        "directions": _of_kind(spec, _DIRECTIONS),
    }


def _decisions(manifest: Manifest) -> dict[str, Any]:
    """Returns how outputs become probabilities and findings."""
    return {
        "outputs": list(OUTPUTS),
        "calibration": {
            "rule": "sigmoid(slope * log(p / (1 - p)) + intercept); overall, of the highest of a level, and no less than it",
            **asdict(manifest.calibration),
        },
        "operating_points": {point.name: list(point.thresholds) for point in manifest.operating_points},
        "default_operating_point": manifest.default_point,
    }


def _page(package: Package[PackageManifest]) -> str:
    """Returns the page of a bundle: how to run it, and the card of the package."""
    role = package.manifest.networks[0].role
    return f"""# {package.manifest.name} {package.manifest.version} as ONNX

```python
import numpy as np
import onnxruntime

samples = np.load("samples/{role}.npz")
network = onnxruntime.InferenceSession("models/{role}.onnx")
names = [output.name for output in network.get_outputs()]
found = dict(zip(names, network.run(names, {{network.get_inputs()[0].name: samples["inputs"]}})))
print({{name: float(np.abs(found[name] - samples[name]).max()) for name in names}})
```

`{METADATA}` says what the networks are fed, in which order of axes, at which distances of voxels and in which window of
Hounsfield units, and how outputs become probabilities. `samples` holds inputs, and what the trained networks made of them.
Finding the vertebrae, cutting the crops and pooling the outputs is done by cspine.

{package.card}"""
