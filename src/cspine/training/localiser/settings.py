"""What a recipe of a localiser says."""

from dataclasses import dataclass, field

from cspine.errors import UsageError
from cspine.networks.volume_settings import UNet3DSettings
from cspine.specs import VolumeSpec
from cspine.training.slices.settings import FitSettings, SplitSettings


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """The necks that a localiser learns from.

    Attributes:
        necks: How many.
        held_out: How many more, of anatomies that are bent far out of shape, choose the epoch.
        beyond_life: Share of necks whose vertebrae move on their own, far more than in life.
        trunks: Share of pictures of vertebrae as large as those of chest and loin, none of them cervical.
        margin: Voxels around a window that are rendered too, so that it can be turned and moved, ``(z, y, x)``.
        seed: Of the necks.
    """

    necks: int = 1200
    held_out: int = 40
    beyond_life: float = 0.7
    trunks: float = 0.12
    margin: tuple[int, int, int] = (24, 24, 24)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.necks < 1 or self.held_out < 1 or not 0 <= self.beyond_life <= 1 or not 0 <= self.trunks <= 1:
            raise UsageError(f"A pool needs a neck to learn from, one to choose by, and shares in 0..1. Received: {self}")


@dataclass(frozen=True, slots=True)
class MaskedSettings:
    """How much is learnt from studies with masks, where a data set is given.

    Attributes:
        share: Of windows, how many come from them and not from synthetic necks; with 1 no necks are made.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(
                f"masked.share must be above 0, and 1 at most; leave --data out to learn from necks alone. Received: {self.share}"
            )


@dataclass(frozen=True, slots=True)
class ChanceSettings:
    """How a window is changed before it is learnt from.

    Attributes:
        turn_deg: Standard deviation of its rotation about each axis.
        scale: Standard deviation of its size along each axis, relative.
        shear: Standard deviation of its shear.
        bend_mm: Standard deviation of a smooth displacement.
        cut_share: How often the picture ends within the window, at each of its six sides.
        blur: Spread of the kernel, in voxels: its standard deviation is the size of a normal number of this one.
        random_share: How often densities are drawn without regard to what they are in life.
        noise_hu: The most noise.
        streak_share: How often there are streaks.
        empty_share: How often there is nothing of a neck, only shapes.
    """

    turn_deg: float = 8.0
    scale: float = 0.07
    shear: float = 0.04
    bend_mm: float = 2.0
    cut_share: float = 0.25
    blur: float = 0.45
    random_share: float = 0.25
    noise_hu: float = 90.0
    streak_share: float = 0.15
    empty_share: float = 0.04


@dataclass(frozen=True, slots=True)
class LocaliserRecipe:
    """One experiment.

    Attributes:
        name: What it is called on the command line.
        network: The network and its settings.
        input: What it is fed.
        pool: The necks that it learns from.
        masked: How far studies with masks take their place, where a data set is given.
        chance: How either are changed.
        batch: Windows in a batch.
        batches: Batches in an epoch.
        fit: How the weights are found.
        start: A package to begin with, its folder or its name; fresh weights if empty.
        split: How the patients of a data set are parted.
        seed: Of weights, batches and chance.
    """

    name: str
    network: UNet3DSettings
    input: VolumeSpec
    pool: PoolSettings = field(default_factory=PoolSettings)
    masked: MaskedSettings = field(default_factory=MaskedSettings)
    chance: ChanceSettings = field(default_factory=ChanceSettings)
    batch: int = 1
    batches: int = 500
    fit: FitSettings = field(default_factory=FitSettings)
    start: str = ""
    split: SplitSettings = field(default_factory=SplitSettings)
    seed: int = 0
