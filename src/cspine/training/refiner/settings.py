"""What a recipe of a refiner says."""

from dataclasses import dataclass, field

from cspine.errors import UsageError
from cspine.networks.volume_settings import UNet3DSettings
from cspine.specs import RefinerSpec
from cspine.training.localiser.settings import ChanceSettings
from cspine.training.slices.settings import FitSettings


@dataclass(frozen=True, slots=True)
class StripSettings:
    """The necks that a refiner learns from: all of the spine from skull to chest, and little beside it.

    Attributes:
        necks: How many.
        held_out: How many more, of anatomies that are bent far out of shape, choose the epoch.
        beyond_life: Share of necks whose vertebrae move on their own, far more than in life.
        size: Voxels that are rendered around the middle of C1..C7, ``(z, y, x)``.
        seed: Of the necks.
    """

    necks: int = 800
    held_out: int = 40
    beyond_life: float = 0.5
    size: tuple[int, int, int] = (160, 104, 104)
    seed: int = 1

    def __post_init__(self) -> None:
        if self.necks < 1 or self.held_out < 1 or not 0 <= self.beyond_life <= 1 or min(self.size) < 1:
            raise UsageError(f"A pool needs a neck to learn from, one to choose by, a share in 0..1 and a size. Received: {self}")


@dataclass(frozen=True, slots=True)
class GuideSettings:
    """How far the coarse labels that guide a refiner are off while it learns.

    Attributes:
        off_mm: Standard deviation of the middle of a crop from the middle of its vertebra, along each axis.
        shift_mm: The most by which all coarse labels are shifted, in any direction.
        bend_mm: Standard deviation of a smooth displacement of them.
        doubt: Standard deviation of a smooth field that moves their borders, as a share of what a border is steep.
        swell: Standard deviation of what makes all vertebrae too large or too small, the same.
        swap_share: How often a part of a vertebra is given to its neighbour; as often another part, and so on.
        lose_share: Of these, how often it is given to nobody.
        swap_most: The largest share of a vertebra that is given away.
    """

    off_mm: float = 4.0
    shift_mm: float = 4.0
    bend_mm: float = 1.2
    doubt: float = 0.12
    swell: float = 0.12
    swap_share: float = 0.45
    lose_share: float = 0.3
    swap_most: float = 0.5


@dataclass(frozen=True, slots=True)
class RefinerRecipe:
    """One experiment.

    Attributes:
        name: What it is called on the command line.
        network: The network and its settings.
        input: What it is fed.
        pool: The necks that it learns from.
        chance: How they are changed.
        guide: How far coarse labels are off.
        batch: Crops in a batch.
        batches: Batches in an epoch.
        fit: How the weights are found.
        start: A package to begin with, its folder or its name; fresh weights if empty.
        seed: Of weights, batches and chance.
    """

    name: str
    network: UNet3DSettings
    input: RefinerSpec
    pool: StripSettings = field(default_factory=StripSettings)
    chance: ChanceSettings = field(default_factory=ChanceSettings)
    guide: GuideSettings = field(default_factory=GuideSettings)
    batch: int = 1
    batches: int = 500
    fit: FitSettings = field(default_factory=FitSettings)
    start: str = ""
    seed: int = 0
