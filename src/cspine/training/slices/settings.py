"""Defines what a recipe of a network that classifies slices says."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cspine.errors import UsageError
from cspine.intervals import Count, NotNegative, Positive, Share, ShareAboveZero, ShareBelowOne, Whole, check_intervals
from cspine.networks.settings import NetworkSettings
from cspine.specs import SliceSpec
from cspine.training.core.part_settings import HeadSettings, PatchSettings, idle_parts
from cspine.training.core.settings import AnnotationUse, FitSettings, SplitSettings


class Target(StrEnum):
    """Says what the fracture output learns."""

    FRACTURE = "fracture"
    VISIBLE = "visible"


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """Says how the labels of a study become labels of its slices.

    Attributes:
        target: What the fracture output learns: fractures, or, as in a protocol that is known to be wrong, which levels a slice
            shows.
        boxes: In a study with boxes, whether a slice of a fractured level counts as fractured where a box is on it, and only there.
        fracture_masks: In a phantom, whose fractures are known voxel by voxel, whether they take the place of boxes. Patients have
            none.
        full_from: Share of its largest cross-section from which on a level counts as wholly visible in a slice.
        teacher: Who makes pseudo-labels, masks for studies that have none: the folder of a run, or a package that finds vertebrae,
            its folder or its name. Such studies stay without masks if empty.
    """

    target: Target = Target.FRACTURE
    boxes: AnnotationUse = AnnotationUse.LABEL
    fracture_masks: AnnotationUse = AnnotationUse.LABEL
    full_from: ShareAboveZero = 0.25
    teacher: str = ""

    def __post_init__(self) -> None:
        check_intervals(self, "labels")


@dataclass(frozen=True, slots=True)
class SliceSamplingSettings:
    """Says which slices make a batch.

    Attributes:
        fractured_share: Share of slices that show a fracture, each fractured level of each study as often as the next.
        intact_share: Share that shows a fractured level where it is known to be intact, so that the network learns the fracture,
            and not who has one.
        anywhere_share: Share that may lie outside the neck; the rest shows some level.
        held_back_share: Share of the slices of the training set that is left out of it at random. To test on these is the
            mistake that the recipe ``leaky_protocol`` shows: their neighbours are in the training set.
        crop: Rows and columns of the part of a slice that is trained on, around the levels it shows; all of it if 0 or too large.
            Fully convolutional networks learn the same from less; they are validated, and serve, on whole slices.
        validation_step: After each epoch one slice in so many of the held-out studies is predicted. The scores of held-out patients
            that a run leaves in the end are of all their slices.
    """

    fractured_share: Share = 0.3
    intact_share: Share = 0.3
    anywhere_share: Share = 0.1
    held_back_share: ShareBelowOne = 0.0
    crop: tuple[Whole, Whole] = (0, 0)
    validation_step: Count = 1

    def __post_init__(self) -> None:
        check_intervals(self, "sampling")
        shares = (self.fractured_share, self.intact_share, self.anywhere_share)
        if sum(shares) > 1:
            raise UsageError(
                "sampling.fractured_share, intact_share and anywhere_share must sum to 1 at most. "
                f"Received: {', '.join(f'{share:g}' for share in shares)}"
            )


@dataclass(frozen=True, slots=True)
class SliceAugmentation:
    """Says how far a slice may be moved and changed in training; 0 is not at all.

    Attributes:
        shift_mm: In either direction, along rows and columns.
        warp_share: Share of slices that are turned and scaled; the others move by whole pixels and stay as sharp as they are.
        turn_deg: Either way.
        scale: Relative change of size, either way.
        flip_share: Share of slices that are mirrored.
        gain: Relative change of contrast, either way.
        offset_hu: Change of brightness, either way.
        noise_hu: Largest standard deviation of added noise.
    """

    shift_mm: NotNegative = 10.0
    warp_share: Share = 0.5
    turn_deg: NotNegative = 15.0
    scale: ShareBelowOne = 0.12
    flip_share: Share = 0.5
    gain: ShareBelowOne = 0.1
    offset_hu: NotNegative = 60.0
    noise_hu: NotNegative = 22.5

    def __post_init__(self) -> None:
        check_intervals(self, "augmentation")


@dataclass(frozen=True, slots=True)
class SliceLossWeights:
    """Weights of the losses, by the output of the network.

    Attributes:
        fracture: Of the fracture of a level in a slice.
        visible: Of its visibility.
        level_map: Of the map of levels by cell.
        maps: Of the maps of levels by pixel, of a network with a U-Net.
        fracture_map: Of the map of boxes or fractures, of a network that has one.
        positive: How much more a fractured level counts than an intact one.
    """

    fracture: NotNegative = 1.0
    visible: NotNegative = 0.3
    level_map: NotNegative = 0.5
    maps: NotNegative = 0.5
    fracture_map: NotNegative = 0.3
    positive: Positive = 1.0

    def __post_init__(self) -> None:
        check_intervals(self, "losses")


@dataclass(frozen=True, slots=True)
class SliceRecipe:
    """One experiment.

    Attributes:
        name: What it is called on the command line.
        network: The family and its settings.
        input: What the network is fed.
        labels: How slices get their labels.
        sampling: Which slices make a batch.
        augmentation: How slices are changed.
        losses: How much each output counts.
        patches: What is trained on before whole slices; nothing by default.
        heads: How the rest of the network learns to use that.
        fit: How the weights are found.
        localiser: Who finds the vertebrae of studies that are predicted: a package of kind localiser, by folder or name.
        split: How patients are parted.
        seed: Of weights, batches and augmentation.
    """

    name: str
    network: NetworkSettings
    input: SliceSpec
    labels: LabelSettings = field(default_factory=LabelSettings)
    sampling: SliceSamplingSettings = field(default_factory=SliceSamplingSettings)
    augmentation: SliceAugmentation = field(default_factory=SliceAugmentation)
    losses: SliceLossWeights = field(default_factory=SliceLossWeights)
    patches: PatchSettings = field(default_factory=lambda: PatchSettings(epochs=0))
    heads: HeadSettings = field(default_factory=HeadSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    localiser: str = "localiser"
    split: SplitSettings = field(default_factory=SplitSettings)
    seed: int = 0

    @property
    def training_input(self) -> SliceSpec:
        """Returns what the network is fed in training: slices, or parts of them."""
        rows, columns = (min(part or whole, whole) for part, whole in zip(self.sampling.crop, self.input.size, strict=True))
        return replace(self.input, size=(rows, columns))

    def idle(self, *, on_data: bool) -> Mapping[str, str]:  # noqa: ARG002
        """See :class:`cspine.training.core.settings.Recipe`."""
        outputs = self.network.outputs
        found = {f"losses.{name}": f"the network has no output {name}" for name in ("maps", "fracture_map") if name not in outputs}
        found |= idle_parts(self.patches, self.heads)
        found |= {f"network.{name}": why for name, why in self.network.idle().items()}
        if self.labels.target is Target.VISIBLE:
            why = "labels.target=visible takes the levels that a slice shows, not fractures"
            found["labels.boxes"] = why
            found |= {} if "fracture_map" in outputs else {"labels.fracture_masks": why}
        if not self.augmentation.warp_share:
            found |= dict.fromkeys(("augmentation.turn_deg", "augmentation.scale"), "augmentation.warp_share is 0")
        return found
