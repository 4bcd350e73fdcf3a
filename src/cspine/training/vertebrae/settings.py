"""Defines what a recipe of a network that classifies vertebra by vertebra says."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field

from cspine.errors import UsageError
from cspine.networks.volume_settings import VertebraMILSettings
from cspine.specs import VertebraSpec
from cspine.training.core.settings import BoxUse, FitSettings, FractureMaskUse, SplitSettings


@dataclass(frozen=True, slots=True)
class CropSettings:
    """Says how crops are cut for training: once, and kept.

    Attributes:
        spare: Slices, rows and columns around a crop that are cut too, so that it can be moved; rows and columns are even.
        turns: How many times each study of the training set is cut, each time turned otherwise.
        found: Whether studies with masks are cut once more where the localiser finds their vertebrae; those that are held out are
            then classified so too, as in service.
        localiser: Who finds the vertebrae of studies without masks: a package of kind localiser, by folder or name.
    """

    spare: tuple[int, int, int] = (6, 12, 12)
    turns: int = 1
    found: bool = True
    localiser: str = "localiser_phantoms"

    def __post_init__(self) -> None:
        if min(self.spare) < 0 or any(side % 2 for side in self.spare[1:]) or self.turns < 1:
            raise UsageError(f"crops needs one turn at least, and spare rows and columns that are even. Received: {self}")


@dataclass(frozen=True, slots=True)
class VertebraLabels:
    """Says how training uses where a fracture is.

    Attributes:
        boxes: Whether boxes tell in which slices and cells a level is fractured.
        fracture_masks: The same of the known fractures of a phantom, which patients do not have.
    """

    boxes: BoxUse = BoxUse.LABEL
    fracture_masks: FractureMaskUse = FractureMaskUse.LABEL


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
        coarse_share: How often the scan is one of thicker slices and larger pixels.
        coarse_mm: The thickest slices, and the largest pixels, of these.
        hidden_share: How often only some neighbouring levels are in the scan.
        mixup_share: Share of batches whose studies are mixed in pairs (Zhang et al., 2018).
    """

    shift_mm: float = 1.0
    turn_deg: float = 5.0
    height_scale: float = 0.07
    mask_shift_mm: float = 0.6
    mask_error_share: float = 0.2
    flip_share: float = 0.5
    gain: float = 0.12
    offset_hu: float = 95.0
    noise_hu: float = 57.0
    coarse_share: float = 0.5
    coarse_mm: tuple[float, float] = (3.5, 1.1)
    hidden_share: float = 0.15
    mixup_share: float = 0.2

    def __post_init__(self) -> None:
        shares = (self.mask_error_share, self.flip_share, self.coarse_share, self.hidden_share, self.mixup_share)
        amounts = (self.shift_mm, self.turn_deg, self.height_scale, self.mask_shift_mm, self.offset_hu, self.noise_hu)
        if not min(*shares, *amounts, *self.coarse_mm, self.gain) >= 0 or not max(shares) <= 1 or not self.gain < 1:
            raise UsageError(f"augmentation needs shares in 0..1, a gain below 1 and nothing below 0. Received: {self}")


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

    fracture: float = 1.0
    overall: float = 0.5
    slices: float = 0.5
    fracture_map: float = 0.3
    positive: float = 1.0

    def __post_init__(self) -> None:
        if not min(astuple(self)) >= 0 or not self.positive > 0:
            raise UsageError(f"losses needs weights of 0 or more, and positive above 0. Received: {self}")


@dataclass(frozen=True, slots=True)
class PatchSettings:
    """The first part of training: what a fracture looks like, from small parts of slices.

    Attributes:
        size: Rows and columns of a patch, in multiples of 32.
        batch: Patches in a batch.
        batches: Batches in an epoch.
        epochs: How many; with 0 the network begins with whole studies.
        learning_rate: Highest.
        fractured_share: Share of patches that lie on a known fracture.
        shift_px: By how many pixels the place may be off the middle, either way.
        held_out: Patches of held-out patients on which the network is validated.
    """

    size: tuple[int, int] = (64, 64)
    batch: int = 48
    batches: int = 500
    epochs: int = 12
    learning_rate: float = 2e-3
    fractured_share: float = 0.5
    shift_px: int = 20
    held_out: int = 1500

    def __post_init__(self) -> None:
        counts = min(self.batch, self.batches, self.held_out) >= 1 and self.epochs >= 0 and self.shift_px >= 0
        if not counts or any(side % 32 or side < 1 for side in self.size):
            raise UsageError(f"patches needs a batch, batches, epochs and sides in multiples of 32. Received: {self}")
        if not self.learning_rate > 0 or not 0 <= self.fractured_share <= 1:
            raise UsageError(f"patches needs a learning_rate above 0 and a fractured_share in 0..1. Received: {self}")


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """The second part of training: whole studies are classified with the backbone as it is, where it was trained on patches.

    Attributes:
        epochs: How many, of as many batches as later; with 0 all of the network learns at once.
        learning_rate: Highest.
    """

    epochs: int = 6
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.learning_rate <= 0:
            raise UsageError(f"heads needs epochs and a learning_rate above 0. Received: {self}")


@dataclass(frozen=True, slots=True)
class VertebraRecipe:
    """One experiment.

    Attributes:
        name: What it is called on the command line.
        network: The network and its settings.
        input: What it is fed.
        crops: How crops are cut.
        labels: What is learnt of where a fracture is.
        augmentation: How crops are changed.
        losses: How much each output counts.
        patches: What is learnt before whole studies are.
        heads: How the rest of the network learns to use that.
        fit: How the weights are found.
        initial_weights: The file of a trained network of the same layers to go on from, with whole studies at once; fresh weights
            if empty. It must not have been trained on patients who are held out here.
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
        patches = tuple(f"patches.{name}" for name in PatchSettings.__dataclass_fields__)
        heads = tuple(f"heads.{name}" for name in HeadSettings.__dataclass_fields__)
        found: dict[str, str] = {}
        if self.initial_weights:
            found = dict.fromkeys((*patches, *heads), "with initial_weights training starts on whole studies")
        elif not self.patches.epochs:
            found = dict.fromkeys((*patches, *heads), "patches.epochs is 0")
            del found["patches.epochs"]
        elif not self.heads.epochs:
            found["heads.learning_rate"] = "heads.epochs is 0"
        if not self.augmentation.coarse_share:
            found["augmentation.coarse_mm"] = "augmentation.coarse_share is 0"
        if not self.network.mixers:
            found["network.heads"] = "network.mixers is 0"
        return found
