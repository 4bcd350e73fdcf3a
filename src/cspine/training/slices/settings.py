"""What a training run is made of: plain, typed settings, so that a recipe is one short file."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from cspine.errors import UsageError
from cspine.networks.settings import NetworkSettings
from cspine.specs import SliceSpec


class BoxUse(StrEnum):
    """What the boxes of a study do to the labels of its slices."""

    LABEL = "label"
    IGNORE = "ignore"


class Precision(StrEnum):
    """Number types of a network, as Keras calls them."""

    FLOAT32 = "float32"
    MIXED_FLOAT16 = "mixed_float16"
    MIXED_BFLOAT16 = "mixed_bfloat16"


class FractureMaskUse(StrEnum):
    """What the known fractures of a phantom are for."""

    LABEL = "label"
    IGNORE = "ignore"


class Target(StrEnum):
    """What the fracture output is taught."""

    FRACTURE = "fracture"
    VISIBLE = "visible"


class MaskUse(StrEnum):
    """Whose masks say where the levels are."""

    OWN = "own"
    TAUGHT = "taught"


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """How the labels of a study become labels of its slices.

    Attributes:
        target: What the fracture output is taught: fractures, or, as in a protocol that is known to be wrong, which levels a slice
            shows.
        boxes: In a study with boxes, whether a slice of a fractured level counts as fractured where a box is on it, and only there.
        fracture_masks: Whether fracture masks take the place of boxes. Phantoms have such masks, patients have none.
        full_from: Share of its largest cross-section from which on a level counts as wholly visible in a slice.
        masks: Whether studies without masks stay without, or a teacher marks them.
        teacher: The folder of a run whose network does, or a package that finds vertebrae: its folder or its name.
    """

    target: Target = Target.FRACTURE
    boxes: BoxUse = BoxUse.LABEL
    fracture_masks: FractureMaskUse = FractureMaskUse.LABEL
    full_from: float = 0.25
    masks: MaskUse = MaskUse.OWN
    teacher: str = ""


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """Which slices make a batch.

    Attributes:
        batch: Slices per step.
        batches: Steps per epoch.
        fractured_share: Share of slices that show a fracture, each fractured level of each study as often as the next.
        beside_share: Share that shows a fractured level where it is known to be whole, so that it is the break that is learnt, and
            not who has one.
        anywhere_share: Share that may lie outside the neck; the rest shows some level.
        crop: Rows and columns of the part of a slice that is learnt from, around the levels it shows; all of it if 0 or too large.
            Networks that slide over a slice learn the same from less; they are judged, and serve, on whole slices.
    """

    batch: int = 32
    batches: int = 250
    fractured_share: float = 0.3
    beside_share: float = 0.3
    anywhere_share: float = 0.1
    crop: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        shares = (self.fractured_share, self.beside_share, self.anywhere_share)
        if min(self.batch, self.batches) < 1 or min(shares) < 0 or sum(shares) > 1:
            raise UsageError(f"sampling needs a batch, batches and shares that sum to 1 at most. Received: {self}")


@dataclass(frozen=True, slots=True)
class AugmentationSettings:
    """How far a slice may be moved and changed in training; 0 is not at all.

    Attributes:
        shift_mm: In either direction, along rows and columns.
        warped_share: Share of slices that are rotated and scaled; the others move by whole pixels and stay as sharp as they are.
        rotation_deg: Either way.
        scale: Relative change of size, either way.
        flip: Probability of a mirrored slice.
        gain: Relative change of contrast, either way.
        offset: Change of brightness, in units of the window, either way.
        noise: Largest standard deviation of added noise, in units of the window.
    """

    shift_mm: float = 10.0
    warped_share: float = 0.5
    rotation_deg: float = 15.0
    scale: float = 0.12
    flip: float = 0.5
    gain: float = 0.1
    offset: float = 0.04
    noise: float = 0.015


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How the weights are found.

    Attributes:
        epochs: At most.
        learning_rate: Highest; it rises over the first twentieth of all steps and falls to nothing as a cosine.
        weight_decay: Of AdamW (Loshchilov and Hutter, 2019).
        fracture_weight: Weight of the fracture loss.
        overall_weight: Weight of the loss of any fracture, of networks that say so themselves.
        visible_weight: Weight of the loss of visibility.
        level_map_weight: Weight of the loss of the map of levels.
        maps_weight: Weight of the loss of the maps of a U-Net.
        fracture_map_weight: Weight of the loss of the map of boxes.
        positive_weight: How much more a fractured level counts than a whole one.
        patience: Epochs without a better score on held-out patients before training stops.
        checkpoint_minutes: Between checkpoints within an epoch.
        threads: Processor threads of the network; 0 for as many as there are.
        workers: Threads that prepare batches.
        precision: What the network calculates in; the mixed ones are for GPUs. Weights and losses are float32.
    """

    epochs: int = 30
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    fracture_weight: float = 1.0
    overall_weight: float = 0.5
    visible_weight: float = 0.3
    level_map_weight: float = 0.5
    maps_weight: float = 0.5
    fracture_map_weight: float = 0.3
    positive_weight: float = 1.0
    patience: int = 10
    checkpoint_minutes: float = 3.0
    threads: int = 2
    workers: int = 1
    precision: Precision = Precision.FLOAT32

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.learning_rate <= 0 or self.patience < 1 or self.workers < 1 or self.threads < 0:
            raise UsageError(f"fit needs positive epochs, learning_rate, patience and workers. Received: {self}")


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """How patients are parted.

    Attributes:
        folds: How many parts.
        seed: Of the partition; one for all recipes, so that they can be compared.
        slices_kept: Share of the slices of the patients that are learnt from which are not, drawn at random. To test on these
            is the mistake that :mod:`cspine.training.slices.leaky` shows: their neighbours were learnt from.
    """

    folds: int = 5
    seed: int = 0
    slices_kept: float = 0.0

    def __post_init__(self) -> None:
        if self.folds < 2 or not 0 <= self.slices_kept < 1:
            raise UsageError(f"split needs two folds at least, and slices_kept in 0..1. Received: {self}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One experiment.

    Attributes:
        name: What it is called on the command line.
        network: The family and its settings.
        input: What the network is fed.
        labels: How slices get their labels.
        sampling: Which slices make a batch.
        augmentation: How slices are changed.
        fit: How the weights are found.
        split: How patients are parted.
        seed: Of weights, batches and augmentation.
    """

    name: str
    network: NetworkSettings
    input: SliceSpec
    labels: LabelSettings = field(default_factory=LabelSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    seed: int = 0

    @property
    def learnt_input(self) -> SliceSpec:
        """What the network is fed while it learns: slices, or parts of them."""
        rows, columns = (min(part or whole, whole) for part, whole in zip(self.sampling.crop, self.input.size, strict=True))
        return replace(self.input, size=(rows, columns))
