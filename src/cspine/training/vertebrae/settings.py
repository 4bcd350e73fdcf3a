"""What a recipe of a network that judges vertebra by vertebra says."""

from dataclasses import dataclass, field

from cspine.errors import UsageError
from cspine.networks.volume_settings import VertebraMILSettings
from cspine.specs import VertebraSpec
from cspine.training.slices.settings import BoxUse, FitSettings, FractureMaskUse, SplitSettings


@dataclass(frozen=True, slots=True)
class CropSettings:
    """How crops are cut for training: once, and kept.

    Attributes:
        spare: Slices, rows and columns around a crop that are cut too, so that it can be moved; rows and columns are even.
        turns: How many times each study that is learnt from is cut, each time tilted otherwise.
        tilt_deg: Standard deviation of the tilt about either axis.
        found: Whether studies with masks are cut once more where the localiser finds their vertebrae; those that are held out are
            then judged so too, as in service.
        localiser: Who finds the vertebrae of studies without masks: a package of kind localiser, by folder or name.
    """

    spare: tuple[int, int, int] = (6, 12, 12)
    turns: int = 1
    tilt_deg: float = 5.0
    found: bool = True
    localiser: str = "localiser_phantoms"

    def __post_init__(self) -> None:
        if min(self.spare) < 0 or any(side % 2 for side in self.spare[1:]) or self.turns < 1:
            raise UsageError(f"crops needs one turn at least, and spare rows and columns that are even. Received: {self}")


@dataclass(frozen=True, slots=True)
class VertebraLabels:
    """What is learnt of where a fracture is.

    Attributes:
        boxes: Whether boxes tell in which slices and cells a fractured level is broken.
        fracture_masks: The same of the known fractures of a phantom, which patients do not have.
    """

    boxes: BoxUse = BoxUse.LABEL
    fracture_masks: FractureMaskUse = FractureMaskUse.LABEL


@dataclass(frozen=True, slots=True)
class CropChance:
    """How crops are changed in training; 0 is not at all.

    Attributes:
        shift_mm: Standard deviation by which a crop is off along each axis, as a localiser is; never more than what is spare.
        height: Standard deviation by which the height of a vertebra is off, relative.
        mask_shift_mm: The same as ``shift_mm`` for the mask against the picture.
        mask_wrong: How often a mask is grown or shrunk by a pixel.
        flip: Probability of a mirrored study.
        gain: Relative change of contrast, either way.
        offset: Change of brightness, in units of the window, either way.
        noise: Largest standard deviation of added noise, in units of the window.
        coarse: How often the scan is one of thicker slices and larger pixels.
        coarse_mm: The thickest slices, and the largest pixels, of these.
        hidden: How often only some neighbouring levels are in the scan.
        mixup: Share of batches whose studies are mixed in pairs (Zhang et al., 2018).
    """

    shift_mm: float = 1.0
    height: float = 0.07
    mask_shift_mm: float = 0.6
    mask_wrong: float = 0.2
    flip: float = 0.5
    gain: float = 0.12
    offset: float = 0.05
    noise: float = 0.03
    coarse: float = 0.5
    coarse_mm: tuple[float, float] = (3.5, 1.1)
    hidden: float = 0.15
    mixup: float = 0.2


@dataclass(frozen=True, slots=True)
class PatchSettings:
    """The first part of training: what a break looks like, from small parts of slices.

    Attributes:
        size: Rows and columns of a patch, in multiples of 32.
        batch: Patches in a batch.
        batches: Batches in an epoch.
        epochs: How many; with none the network begins with whole studies.
        learning_rate: Highest.
        broken_share: Share of patches that lie on a known fracture.
        off_px: By how many pixels the place may be off the middle, either way.
        judged: Patches of held-out patients on which epochs are judged.
    """

    size: tuple[int, int] = (64, 64)
    batch: int = 48
    batches: int = 500
    epochs: int = 12
    learning_rate: float = 2e-3
    broken_share: float = 0.5
    off_px: int = 20
    judged: int = 1500

    def __post_init__(self) -> None:
        if min(self.batch, self.batches, self.judged) < 1 or self.epochs < 0 or any(side % 32 or not side for side in self.size):
            raise UsageError(f"patches needs a batch, batches, epochs and sides in multiples of 32. Received: {self}")


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """The second part of training: whole studies are judged with the backbone as it is, where it has learnt from patches.

    Attributes:
        epochs: How many, of as many batches as later; with none all of the network learns at once.
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
        chance: How crops are changed.
        patches: What is learnt before whole studies are.
        heads: How the rest of the network learns to use that.
        batch: Studies in a batch.
        batches: Batches in an epoch.
        fit: How the weights are found.
        start: The file of a trained network of the same layers to go on from, with whole studies at once; fresh weights if empty.
            It must not have learnt from patients who are held out here.
        split: How patients are parted.
        seed: Of weights, batches and chance.
    """

    name: str
    network: VertebraMILSettings
    input: VertebraSpec
    crops: CropSettings = field(default_factory=CropSettings)
    labels: VertebraLabels = field(default_factory=VertebraLabels)
    chance: CropChance = field(default_factory=CropChance)
    patches: PatchSettings = field(default_factory=PatchSettings)
    heads: HeadSettings = field(default_factory=HeadSettings)
    batch: int = 2
    batches: int = 250
    fit: FitSettings = field(default_factory=FitSettings)
    start: str = ""
    split: SplitSettings = field(default_factory=SplitSettings)
    seed: int = 0
