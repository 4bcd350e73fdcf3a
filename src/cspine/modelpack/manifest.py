"""Describes a model package: ``manifest.json`` as frozen nouns."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath, PureWindowsPath
from typing import ClassVar, Self

from cspine.errors import GeometryError, PackageError
from cspine.modelpack.calibration import OUTPUTS, Calibration
from cspine.modelpack.pooling import POOLING
from cspine.results import Figure
from cspine.specs import HU_CEILING, RefinerSpec, SliceSpec, VertebraSpec, VolumeSpec
from cspine.storage.codec import ShapeError, decode, encode
from cspine.storage.strict_json import JsonError, parse_json

SCHEMA_VERSION = "1"


def is_plain_name(name: str) -> bool:
    """Says whether a name is one of a file right in a folder, on every system: no folders, drives, streams or hidden files."""
    return (
        name.isprintable()
        and name == PurePath(name).name == PureWindowsPath(name).name
        and not set('<>:"|?*') & set(name)
        and (not name.startswith("."))
    )


class TrainingData(StrEnum):
    """Says what a model was trained on: every result states it."""

    PHANTOMS = "phantoms"
    GRAFTS = "phantoms and grafts"
    PATIENTS = "patients"
    BOTH = "patients and phantoms"


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """One network of a package.

    Attributes:
        role: What it is for; see the kinds of manifests.
        file: Its file in the package, OpenVINO IR (``.xml`` beside its ``.bin``) or ONNX.
        outputs: Names of its outputs.
        precision: ``f32``, or ``bf16`` where that was measured not to matter for this network.
        tolerance: By how much an output may differ from the stored samples.
    """

    role: str
    file: str
    outputs: tuple[str, ...]
    precision: str = "f32"
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        if not is_plain_name(self.file) or PurePath(self.file).suffix not in (".xml", ".onnx"):
            raise PackageError(
                f"The file of a network must have a plain name in the folder of its package, ending in .xml or .onnx. "
                f"Received: {self.file!r:.80}"
            )
        if not is_plain_name(self.role):
            raise PackageError(f"The role of a network must be a plain word. Received: {self.role!r:.80}")
        if not 0 < self.tolerance <= 1:
            raise PackageError(f"The tolerance of a network must be above 0, and 1 at most. Received: {self.tolerance}")
        if self.precision not in ("f32", "bf16", "f16"):
            raise PackageError(f"The precision of a network must be f32, bf16 or f16. Received: {self.precision}")


POINTS = ("rule_out", "balanced", "rule_in")
"""The usual operating points, from the most sensitive to the most specific."""

_SAME = 1e-9
"""By how much thresholds that were calculated twice may differ."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Sets from which probability on an output counts as positive.

    Attributes:
        name: For instance ``balanced``, ``rule_out`` or ``rule_in``.
        thresholds: One per output, calibrated probabilities, in the order of :data:`cspine.modelpack.OUTPUTS`.
    """

    name: str
    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.thresholds) != len(OUTPUTS) or not all(0 <= t <= 1 for t in self.thresholds):
            raise PackageError(f"An operating point needs {len(OUTPUTS)} thresholds in 0..1. Received: {self}")


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Says which scans the package does not assess, and for which its results carry a warning.

    Attributes:
        thickest_mm: Largest distance of voxels, in any direction.
        coarse_mm: There is a warning where slices are farther apart than the first, or pixels than the second.
        largest_pixel_mm: Largest pixel: the second longest side of a voxel, however the scan is stored.
        shortest_mm: Smallest extent from head to feet.
        fewest_slices: Smallest number of slices from head to feet.
    """

    thickest_mm: float = 5.5
    coarse_mm: tuple[float, float] = (1.5, 0.8)
    largest_pixel_mm: float = 2.5
    shortest_mm: float = 30.0
    fewest_slices: int = 12


@dataclass(frozen=True, slots=True)
class AppearanceLimits:
    """Holds what vertebrae may look like, in the numbers of :class:`cspine.imaging.appearance.Appearance`.

    Attributes:
        seen: Lowest and highest value, by name, of the training set, and a little beyond; values outside are reported.
        most_noise_hu: Scans of more noise are not assessed.
        metal_ml: Least volume of metal that is reported.
    """

    seen: dict[str, tuple[float, float]] = field(default_factory=dict)
    most_noise_hu: float = 250.0
    metal_ml: float = 1.0


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """Describes how the package came to be.

    Attributes:
        recipe: Name of the recipe.
        data: The data set in words, with its seed or version.
        patients: Number of patients trained on.
        seed: Seed of the run.
        software: Versions that trained it, for instance ``keras 3.15, tensorflow 2.20``.
        figures: What was measured on patients that it never saw.
    """

    recipe: str
    data: str
    patients: int
    seed: int
    software: str
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageManifest:
    """Holds what every model package says about itself, whatever its kind.

    Attributes:
        name: Name of the package: lower-case letters, digits, ``_`` and ``-``.
        version: Its version.
        kind: How it is run.
        networks: Its networks.
        training_data: What it was trained on.
        trained_on: The same in words that belong beside every result.
        intended_use: What it is for, and what not.
        training: How it came to be.
        checksums: SHA-256 by file name; filled when the package is written.
        schema_version: Version of this format.
    """

    KIND: ClassVar[str] = "any"

    name: str
    version: str
    kind: str
    networks: tuple[NetworkFile, ...]
    training_data: TrainingData
    trained_on: str
    intended_use: str
    training: TrainingFacts
    checksums: dict[str, str] = field(default_factory=dict)
    schema_version: str = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if not self.name or set(self.name) - set("abcdefghijklmnopqrstuvwxyz0123456789_-"):
            raise PackageError(f"A package name has lower-case letters, digits, _ and - only. Received: {self.name!r}")
        if self.schema_version != SCHEMA_VERSION or self.kind != self.KIND:
            raise PackageError(
                f"A {type(self).__name__} has schema {SCHEMA_VERSION} and kind {self.KIND}. "
                f"Received: schema {self.schema_version}, kind {self.kind}. Use the cspine that wrote the package."
            )

    def network(self, role: str) -> NetworkFile:
        """Returns the network in a role."""
        return next(network for network in self.networks if network.role == role)

    def to_json(self) -> str:
        """Returns the text of ``manifest.json``."""
        return json.dumps(encode(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the text of ``manifest.json``.

        Raises:
            PackageError: It is not JSON, or a key or value is wrong.
        """
        try:
            return decode(cls, parse_json(text), "manifest")
        except (JsonError, ShapeError, GeometryError) as error:
            raise PackageError(f"manifest.json must describe a model package. {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(PackageManifest):
    """A package that classifies: one network, in the role that its kind is called by.

    Attributes:
        calibration: From scores to probabilities.
        operating_points: Sets of thresholds to choose from.
        default_point: The one that is used unless the user asks for another.
        quality: Which scans it does not assess.
    """

    KIND: ClassVar[str] = "slices or vertebrae"

    calibration: Calibration
    operating_points: tuple[OperatingPoint, ...]
    default_point: str
    quality: QualityLimits = QualityLimits()

    def __post_init__(self) -> None:
        PackageManifest.__post_init__(self)
        if [network.role for network in self.networks] != [self.KIND]:
            raise PackageError(f"A package of kind {self.KIND} has one network, in that role. Received: {self.networks}")
        self.operating_point(self.default_point)
        for point in self.operating_points:
            self._check_agreement(point)
        if any(sorted(rising) != list(rising) for rising in zip(*self._in_order(), strict=True)):
            raise PackageError(
                f"Thresholds must rise from {' to '.join(POINTS)} on every output. Received: {self.operating_points}. "
                "Export the package again."
            )

    def _check_agreement(self, point: OperatingPoint) -> None:
        """Holds that a study is flagged exactly when one of its levels is.

        Raises:
            PackageError: It is not so at this point.
        """
        overall, *levels = point.thresholds
        if len(set(levels)) > 1 or abs(overall - float(self.calibration.any_fracture(levels[0]))) > _SAME:
            raise PackageError(
                "An operating point has one threshold for C1 to C7, and for the study the probability that goes with it, so that a "
                f"study is flagged exactly when a level is. Received: {point}. Export the package again."
            )

    def _in_order(self) -> list[tuple[float, ...]]:
        """Returns the thresholds of the usual points that there are, from the most sensitive to the most specific."""
        named = {point.name: point.thresholds for point in self.operating_points}
        return [named[name] for name in POINTS if name in named]

    def operating_point(self, name: str | None = None) -> OperatingPoint:
        """Returns the named operating point, the default one if ``None``.

        Raises:
            PackageError: There is none of that name.
        """
        points = {point.name: point for point in self.operating_points}
        wanted = self.default_point if name is None else name
        if wanted not in points:
            raise PackageError(f"{self.name} has the operating points {', '.join(points) or 'none'}. Received: {wanted}")
        return points[wanted]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceManifest(Manifest):
    """A package of kind ``slices``: its network classifies slice by slice.

    Attributes:
        spec: What the network is fed.
        pooling: How slices become levels; the one of :mod:`cspine.modelpack.pooling`.
    """

    KIND: ClassVar[str] = "slices"

    spec: SliceSpec
    pooling: str = POOLING

    def __post_init__(self) -> None:
        Manifest.__post_init__(self)
        if self.pooling != POOLING:
            raise PackageError(f"This cspine pools slices by {POOLING}. Received: {self.pooling}. Export the package again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class VertebraManifest(Manifest):
    """A package of kind ``vertebrae``: its network classifies vertebra by vertebra, and the seven together.

    Attributes:
        spec: What the network is fed.
        tta_passes: Passes of test-time augmentation, see :mod:`cspine.modelpack.tta`: 1 is none, a second one is mirrored.
        appearance: What its vertebrae may look like.
    """

    KIND: ClassVar[str] = "vertebrae"

    spec: VertebraSpec
    tta_passes: int = 2
    appearance: AppearanceLimits = field(default_factory=AppearanceLimits)

    def __post_init__(self) -> None:
        Manifest.__post_init__(self)
        if self.tta_passes not in (1, 2):
            known = "1 (no test-time augmentation) or 2 (as it is, and mirrored)"
            raise PackageError(f"tta_passes must be {known}. Received: {self.tta_passes}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocaliserManifest(PackageManifest):
    """A package of kind ``localiser``: a network in the role ``coarse`` finds the vertebrae, one in ``fine`` outlines them.

    Attributes:
        coarse: What the first network is fed.
        fine: What the second is fed; ``None`` where there is no second one.
        hu_ceiling: Share of the median density of a neck's vertebrae: the HU ceiling of the passes over the neck.
    """

    KIND: ClassVar[str] = "localiser"

    coarse: VolumeSpec
    fine: RefinerSpec | None = None
    hu_ceiling: float = HU_CEILING

    def __post_init__(self) -> None:
        PackageManifest.__post_init__(self)
        if not self.hu_ceiling > 0:
            raise PackageError(f"hu_ceiling must be above 0; {HU_CEILING} suits networks of cspine. Received: {self.hu_ceiling}")
        wanted = ["coarse"] if self.fine is None else ["coarse", "fine"]
        if [network.role for network in self.networks] != wanted:
            raise PackageError(f"A localiser with these inputs has networks in the roles {wanted}. Received: {self.networks}")


KINDS: dict[str, type[PackageManifest]] = {kind.KIND: kind for kind in (SliceManifest, VertebraManifest, LocaliserManifest)}
"""Kinds of packages that this version can run."""


def read_manifest(text: str) -> PackageManifest:
    """Returns the manifest of a package of any kind.

    Raises:
        PackageError: The text is no manifest, or of a kind that is not known.
    """
    try:
        data = parse_json(text)
    except JsonError as error:
        raise PackageError(f"manifest.json must describe a model package. {error}") from error
    if not isinstance(data, dict):
        raise PackageError(f"manifest.json must describe a model package. Received: {data!r:.80}")
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise PackageError(
            f"This cspine runs packages of kind {' or '.join(KINDS)}. Received: {kind!s:.80}. Use the cspine that wrote it."
        )
    return KINDS[kind].from_json(text)
