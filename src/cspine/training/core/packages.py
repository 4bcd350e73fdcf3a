"""Describes what a package holds, and writes its model card: what it is, in a page of Markdown for people."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from cspine.modelpack import Figure, Manifest, NetworkFile, OperatingPoint, PackageManifest, Samples, TrainingData
from cspine.results import DISCLAIMER


@dataclass(frozen=True, slots=True)
class CardText:
    """Holds what a family says on the card of its package.

    Attributes:
        networks: What the networks see and say.
        risk: What they may do to a patient where they have only seen synthetic necks.
        training: Facts about training, a line each.
        intervals: What the intervals are over.
        use: What the package must not be used for, beside what all must not.
        failures: Where they fail.
    """

    networks: str
    risk: str
    training: Sequence[str]
    intervals: str
    use: str = ""
    failures: str = ""


@dataclass(frozen=True, slots=True)
class PackageRequest:
    """Says how a package is named and described.

    Attributes:
        name: Of the package.
        version: Of the package.
        folds: Which networks of the run; the average of several is served as one.
        data: The data set in words.
        training_data: What the network was trained on.
        precision: How an engine may calculate: ``f32`` or ``bf16``; a network that bf16 moves too far stays in ``f32``.
        figures: What was measured on patients that had no part in the run; on its held-out patients if empty.
        coarse_mm: Distances of slices and of pixels beyond which results warn that intact vertebrae may look fractured; the usual
            ones where that was not measured.
    """

    name: str
    version: str
    folds: tuple[int, ...]
    data: str
    training_data: TrainingData
    precision: str = "f32"
    figures: tuple[Figure, ...] = ()
    coarse_mm: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PackagedNetwork:
    """One network of a package.

    Attributes:
        role: What it is for.
        network: With the outputs that it serves.
        stored: Samples that the package keeps.
        checked: What else the exported network must agree on, one after the other.
        tolerances: By how much an output may differ, by precision.
    """

    role: str
    network: keras.Model
    stored: Samples
    checked: Iterable[Samples]
    tolerances: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class PackageContents:
    """Holds what a family puts into a package.

    Attributes:
        networks: Its networks.
        manifest: Makes the manifest of their files.
        card: Makes what the card says of the manifest.
    """

    networks: Sequence[PackagedNetwork]
    manifest: Callable[[tuple[NetworkFile, ...]], PackageManifest]
    card: Callable[[Any], CardText]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Says how far exported networks differ from the trained ones, at most, in any output.

    Attributes:
        exact: In single precision.
        precision: In which they are served.
        served: In that; ``None`` where it is single precision, or where the processor of the export has no other.
    """

    exact: float
    precision: str = "f32"
    served: float | None = None

    @property
    def checked(self) -> bool:
        """Returns whether it is known how far networks differ as they are served."""
        return self.precision == "f32" or self.served is not None

    def __str__(self) -> str:
        bound = f"{self.exact:.1e} at most"
        if self.precision == "f32":
            return bound
        return (
            f"{bound} in f32, and by {self.served:.1e} in {self.precision}, as it is served" if self.checked else f"{bound} in f32"
        )


def card(manifest: PackageManifest, text: CardText, agreements: Sequence[Agreement]) -> str:
    """Returns the card of a package.

    Args:
        manifest: What the package says about itself.
        text: What its family says.
        agreements: How far each exported network is from the trained one.
    """
    training = manifest.training
    parts = "\n".join(
        f"- {line}" for line in (*text.training, f"Recipe {training.recipe}, seed {training.seed}, {training.software}.")
    )
    differences = "\n".join(map(_difference, manifest.networks, agreements))
    sections = (
        f"# {manifest.name} {manifest.version}",
        DISCLAIMER,
        _warning(manifest.training_data, text.risk),
        f"## What it is\n\n{text.networks}",
        f"## Intended use\n\n{manifest.intended_use}" + (f"\n\n{text.use}" if text.use else ""),
        f"## Training\n\n- Data: {training.data}.\n{parts}",
        f"## How good it is\n\n{_figures(manifest)}\n\n{text.intervals}",
        threshold_table(manifest.operating_points) if isinstance(manifest, Manifest) else "",
        differences,
        f"## What it fails at\n\n{text.failures}" if text.failures else "",
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _difference(network: NetworkFile, agreement: Agreement) -> str:
    """Returns how far a network differs from the trained one, as far as that was checked."""
    found = (
        f"The exported network {network.role} differs from the trained one by {agreement}, on stored samples and on whole inputs."
    )
    return found if agreement.checked else f"{found} {not_checked(network)}"


def not_checked(network: NetworkFile) -> str:
    """Returns that a network could not be checked in the precision in which it is served, in two sentences."""
    return (
        f"The network {network.role} was not checked in {network.precision}, in which it is served: the processor of the export "
        f"calculates in f32 alone. Where {network.precision} moves a stored sample by more than {network.tolerance:g}, it is "
        "served in f32."
    )


def _warning(seen: TrainingData, risk: str) -> str:
    if seen is TrainingData.PHANTOMS:
        return (
            f"**This package has only ever seen synthetic necks.** What it says about a patient is unproven: {risk}. It is there "
            "so that the software can be tried and tested."
        )
    if seen is TrainingData.GRAFTS:
        return f"**This package has never seen a real fracture.** What it says about a patient is unproven: {risk}."
    return "What this package says about patients of another hospital, scanner or protocol than it was trained on is unproven."


def _figures(manifest: PackageManifest) -> str:
    rows = [f"| {f.name} | {f.value:.3f} | {f.interval} |" for f in manifest.training.figures]
    return "\n".join(["| measured | value | 95 % interval |", "|---|---|---|", *rows]) if rows else "Nothing was measured yet."


def threshold_table(points: Sequence[OperatingPoint]) -> str:
    """Returns the rule of the operating points and their table, Markdown."""
    rows = [f"| {point.name} | {point.thresholds[1]:.3f} | {point.thresholds[0]:.3f} |" for point in points]
    header = "| operating point | a level is flagged from | then any fracture has at least |"
    return "\n".join([_ANY_FRACTURE, "", header, "|---|---|---|", *rows])


_ANY_FRACTURE = """\
A study is as suspicious as its most suspicious level: the highest probability of a level gives the probability of any fracture,
and the study is flagged exactly when one of its levels is."""
