"""The shapes that a neck is made of: bones as signed distances, each in a frame of its own, and where they rest.

A bone's frame is in millimetres: the origin lies in the middle of the vertebral body (in the middle of the ring for C1), x grows to
the left, y to the back, z to the head, at right angles to the end plates.
"""

import io
import json
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cspine.anatomy import Level
from cspine.errors import AnatomyError, OutputError
from cspine.geometry import Vector
from cspine.storage.array_files import read_arrays
from cspine.storage.files import write_bytes
from cspine.storage.strict_json import parse_json

FORMAT = 1

_MOST_BYTES = 4 << 30
"""What the arrays of an anatomy may take; those that ship take a hundredth."""

_MEMBERS = ("shape", "frame", "body")


@dataclass(frozen=True, slots=True)
class Body:
    """Landmarks of a bone, in its own frame.

    Attributes:
        size_mm: Width, depth and height of the vertebral body, ``(x, y, z)``; of the whole bone where there is no body.
        canal_mm: Where the middle of the spinal canal lies behind the origin, along y.
        canal_size_mm: Width and depth of the canal, ``(x, y)``.
        middle_mm: Centroid of the whole bone.
    """

    size_mm: Vector
    canal_mm: float
    canal_size_mm: tuple[float, float]
    middle_mm: Vector


@dataclass(frozen=True, slots=True, eq=False)
class BoneShape:
    """One bone as a signed distance, sampled.

    Attributes:
        steps: Signed distance in units of ``step_mm``, negative inside, cut off at +-127, ``(z, y, x)``.
        step_mm: What one unit is.
        first_mm: Where voxel 0 lies in the bone's frame, ``(x, y, z)``.
        spacing_mm: Distance of voxels.
        frame: The bone's frame in the frame of its anatomy, ``(4, 4)``: how it rests beside the others.
        body: Its landmarks.
    """

    steps: NDArray[np.int8] = field(repr=False)
    step_mm: float
    first_mm: Vector
    spacing_mm: float
    frame: NDArray[np.float64] = field(repr=False)
    body: Body

    @property
    def limit_mm(self) -> float:
        """Returns where the distance is cut off."""
        return 127 * self.step_mm

    def distance(self, points: ArrayLike) -> NDArray[np.float32]:
        """Returns signed distance in mm at points of the bone's frame, ``(3, ...)`` ordered ``(x, y, z)``; negative inside."""
        return self.distance_at(self.voxels(np.asarray(points, dtype=np.float32)))

    def voxels(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns points ``(3, ...)`` as fractional indices ``(z, y, x)`` of ``steps``."""
        first = np.asarray(self.first_mm, dtype=np.float32).reshape(3, *[1] * (points.ndim - 1))
        return ((points - first) * np.float32(1 / self.spacing_mm))[::-1]

    def distance_at(self, voxels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns signed distance in mm at fractional indices ``(3, ...)`` of ``steps``."""
        steps = ndimage.map_coordinates(self.steps, voxels, np.float32, order=1, mode="nearest")
        steps *= np.float32(self.step_mm)
        return np.asarray(steps)

    def corners_mm(self) -> NDArray[np.float64]:
        """Returns the corners of the sampled box in the bone's frame, ``(8, 3)``."""
        unit = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
        return np.asarray(self.first_mm) + unit * (np.asarray(self.steps.shape[::-1]) - 1) * self.spacing_mm


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """The bones of one neck at rest.

    Attributes:
        name: What to call it.
        vertebrae: The levels that it has.
        context: Other bones and cartilages by name: ``jaw``, ``hyoid``, ``larynx``, ``skull``.
        notice: SurfaceSource, licence and citation, to be kept with the file.
    """

    name: str
    vertebrae: dict[Level, BoneShape] = field(repr=False)
    context: dict[str, BoneShape] = field(default_factory=dict, repr=False)
    notice: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.vertebrae:
            raise AnatomyError(f"An anatomy needs one vertebra at least. {self.name} has none.")


def save_anatomy(anatomy: Anatomy, path: Path) -> None:
    """Writes an anatomy to one compressed file.

    Raises:
        OutputError: The place cannot be written.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    table: dict[str, object] = {"format": FORMAT, "name": anatomy.name, "notice": anatomy.notice}
    bones = {level.name: shape for level, shape in anatomy.vertebrae.items()} | anatomy.context
    for name, shape in bones.items():
        # neighbouring voxels differ little: differences along x compress to half the size
        arrays[f"{name}.steps"] = np.diff(shape.steps.view(np.uint8), axis=2, prepend=np.uint8(0))
        arrays[f"{name}.frame"] = shape.frame
    table["bones"] = {name: _described(shape) for name, shape in bones.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, table=np.array(json.dumps(table)), **arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, stream.getvalue())
    except OSError as error:
        raise OutputError(f"The anatomy cannot be written to {path}: {error.strerror}") from error


def load_anatomy(path: Path) -> Anatomy:
    """Returns the anatomy in a file that :func:`save_anatomy` wrote.

    Raises:
        AnatomyError: The file is missing, damaged or of another kind.
    """
    try:
        arrays = read_arrays(path, most_bytes=_MOST_BYTES)
        table = parse_json(str(arrays["table"]))
        if table["format"] != FORMAT:
            raise AnatomyError(f"{path.name} has format {table['format']!r:.20}, this version reads {FORMAT}. Build it again.")
        shapes = {name: _shape(facts, arrays[f"{name}.steps"], arrays[f"{name}.frame"]) for name, facts in table["bones"].items()}
        name, notice = _text(table["name"]), _text(table["notice"])
    except FileNotFoundError as error:
        raise AnatomyError(f"There is no anatomy file {path}. `cspine anatomy build` makes one.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnatomyError(f"{path.name} is not an anatomy file, or is damaged. `cspine anatomy build` makes one.") from error
    levels = {Level[name]: shape for name, shape in shapes.items() if name in Level.__members__}
    context = {name: shape for name, shape in shapes.items() if name not in Level.__members__}
    return Anatomy(name, levels, context, notice)


@cache
def shipped_anatomies() -> tuple[Anatomy, ...]:
    """Returns the anatomies inside the package; the first is complete and lends its bones to the others."""
    folder = resources.files("cspine.phantoms") / "data"
    with resources.as_file(folder) as place:
        return tuple(load_anatomy(path) for path in sorted(place.glob("*.anatomy.npz")))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("an anatomy without a name")
    return value


def _described(shape: BoneShape) -> dict[str, object]:
    body = shape.body
    return {
        "step_mm": shape.step_mm,
        "first_mm": shape.first_mm,
        "spacing_mm": shape.spacing_mm,
        "body": {
            "size_mm": body.size_mm,
            "canal_mm": body.canal_mm,
            "canal_size_mm": body.canal_size_mm,
            "middle_mm": body.middle_mm,
        },
    }


def _shape(facts: dict[str, object], differences: NDArray[np.uint8], frame: NDArray[np.float64]) -> BoneShape:
    body = facts["body"]
    if not isinstance(body, dict):
        raise TypeError("a bone without landmarks")
    if differences.ndim != 3 or differences.dtype != np.uint8 or min(differences.shape) < 2 or frame.dtype.kind != "f":
        raise ValueError("a bone of another shape")
    landmarks = Body(_triple(body["size_mm"]), float(body["canal_mm"]), tuple(body["canal_size_mm"]), _triple(body["middle_mm"]))
    steps = np.cumsum(differences, axis=2, dtype=np.uint8).view(np.int8)
    return BoneShape(
        steps, float(str(facts["step_mm"])), _triple(facts["first_mm"]), float(str(facts["spacing_mm"])), frame, landmarks
    )


def _triple(values: object) -> Vector:
    x, y, z = np.asarray(values, dtype=np.float64)
    return float(x), float(y), float(z)
