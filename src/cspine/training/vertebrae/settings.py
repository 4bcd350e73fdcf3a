"""Defines what a recipe of a network that classifies vertebra by vertebra says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cspine.errors import UsageError
from cspine.intervals import Count, NotNegative, Positive, Share, ShareBelowOne, Whole, check_intervals
from cspine.networks.volume_settings import VertebraMILSettings
from cspine.specs import VertebraSpec
from cspine.training.core.part_settings import HeadSettings, PatchSettings, every_setting_of_parts, idle_parts
from cspine.training.core.settings import AnnotationUse, FitSettings, SplitSettings


@dataclass(frozen=True, slots=True)
class CropSettings:
    """Says how crops are cut for training: once, and kept.

    Attributes:
        spare: Slices, rows and columns around a crop that are cut too, so that it can be moved; rows and columns are even.
        turns: How many times each study of the training set is cut, each time turned otherwise.
        found: Whether studies with masks are cut once more where the localiser finds their vertebrae; those that are held out are
            then classified so too, as in service.
        localiser: What finds the vertebrae of studies without masks: a package of kind localiser, by folder or name.
    """

    spare: tuple[Whole, Whole, Whole] = (6, 12, 12)
    turns: Count = 1
    found: bool = True
    localiser: str = "localiser"

    def __post_init__(self) -> None:
        check_intervals(self, "crops")
        if any(side % 2 for side in self.spare[1:]):
            raise UsageError(f"crops.spare needs even rows and columns. Received: {self.spare}")


@dataclass(frozen=True, slots=True)
class VertebraLabels:
    """Says how training uses where a fracture is.

    Attributes:
        boxes: Whether boxes tell in which slices and cells a level is fractured.
        fracture_masks: The same of the known fractures of a phantom, which patients do not have.
    """

    boxes: AnnotationUse = AnnotationUse.LABEL
    fracture_masks: AnnotationUse = AnnotationUse.LABEL


@dataclass(frozen=True, slots=True)
class CropAugmentation:
    """Says how crops are augmented in training; 0 is not at all.

    Attributes:
        shift_mm: Standard deviation by which a crop is off along each axis, as a localiser is; never more than what is spare.
        turn_deg: Standard deviation of the rotation about either axis that tilts a vertebra; crops are cut so, once for each turn.
        height_scale: Standard deviation by which the height of a vertebra is off, relative.
        mask_shift_mm: The same as ``shift_mm`` for the mask against the image.
        mask_error_share: How often a mask is grown or shrunk by a pixel.
        flip_share: Share of studies that are mirrored.
        gain: Relative change of contrast, either way.
        offset_hu: Change of brightness, either way.
        noise_hu: Largest standard deviation of added noise.
        grain_mm: How far that noise is correlated, across and within slices: largest standard deviation.
        kernel_share: How often the scan has another reconstruction kernel, softer as often as sharper.
        softest_mm: Blur of the softest, standard deviation.
        sharpness_gain: How much of the fine detail the sharpest kernel adds.
        streak_share: How often metal in front of the spine throws streaks.
        streak_hu: Amplitude of the strongest.
        coarse_share: How often the scan is one of thicker slices and larger pixels.
        coarse_mm: The thickest slices, and the largest pixels, of these.
        hidden_share: How often only some neighbouring levels are in the scan.
        mixup_share: Share of batches whose studies are mixed in pairs (Zhang et al., 2018).
    """

    shift_mm: NotNegative = 1.0
    turn_deg: NotNegative = 5.0
    height_scale: NotNegative = 0.07
    mask_shift_mm: NotNegative = 0.6
    mask_error_share: Share = 0.2
    flip_share: Share = 0.5
    gain: ShareBelowOne = 0.12
    offset_hu: NotNegative = 95.0
    noise_hu: NotNegative = 60.0
    grain_mm: NotNegative = 0.8
    kernel_share: Share = 0.5
    softest_mm: NotNegative = 0.8
    sharpness_gain: NotNegative = 2.0
    streak_share: Share = 0.05
    streak_hu: NotNegative = 150.0
    coarse_share: Share = 0.5
    coarse_mm: tuple[NotNegative, NotNegative] = (3.5, 1.1)
    hidden_share: Share = 0.15
    mixup_share: Share = 0.2

    def __post_init__(self) -> None:
        check_intervals(self, "augmentation")


_IDLE = {
    "coarse_share": ("coarse_mm",),
    "kernel_share": ("softest_mm", "sharpness_gain"),
    "noise_hu": ("grain_mm",),
    "streak_share": ("streak_hu",),
}
"""Settings of augmentation that do nothing where another is 0."""


@dataclass(frozen=True, slots=True)
class VertebraLossWeights:
    """Weights of the losses, by the output of the network.

    Attributes:
        fracture: Of the fracture of a level.
        overall: Of any fracture.
        slices: Of the fracture of a slice.
        fracture_map: Of the map of fractures.
        positive: How much more a fractured level counts than an intact one.
    """

    fracture: NotNegative = 1.0
    overall: NotNegative = 0.5
    slices: NotNegative = 0.5
    fracture_map: NotNegative = 0.3
    positive: Positive = 1.0

    def __post_init__(self) -> None:
        check_intervals(self, "losses")


@dataclass(frozen=True, slots=True)
class VertebraRecipe:
    """One experiment.

    Attributes:
        name: What it is called on the command line.
        network: The network and its settings.
        input: What it is fed.
        crops: How crops are cut.
        labels: What is trained on where a fracture is.
        augmentation: How crops are changed.
        losses: How much each output counts.
        patches: What is trained before whole studies are.
        heads: How the rest of the network learns to use that.
        fit: How the weights are found.
        initial_weights: A trained network of the same layers to go on from, with whole studies at once: a ``.keras`` file, or a
            package by folder or name; fresh weights if empty. It must not have been trained on patients who are held out here.
        split: How patients are parted.
        seed: Of weights, batches and augmentation.
    """

    name: str
    network: VertebraMILSettings
    input: VertebraSpec
    crops: CropSettings = field(default_factory=CropSettings)
    labels: VertebraLabels = field(default_factory=VertebraLabels)
    augmentation: CropAugmentation = field(default_factory=CropAugmentation)
    losses: VertebraLossWeights = field(default_factory=VertebraLossWeights)
    patches: PatchSettings = field(default_factory=PatchSettings)
    heads: HeadSettings = field(default_factory=HeadSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    initial_weights: str = ""
    split: SplitSettings = field(default_factory=SplitSettings)
    seed: int = 0

    def idle(self, *, on_data: bool) -> Mapping[str, str]:  # noqa: ARG002
        """See :class:`cspine.training.core.settings.Recipe`."""
        if self.initial_weights:
            found = dict.fromkeys(every_setting_of_parts(), "with initial_weights training starts on whole studies")
        else:
            found = idle_parts(self.patches, self.heads)
        for nothing, idle in _IDLE.items():
            if not getattr(self.augmentation, nothing):
                found |= {f"augmentation.{name}": f"augmentation.{nothing} is 0" for name in idle}
        return found | {f"network.{name}": why for name, why in self.network.idle().items()}
