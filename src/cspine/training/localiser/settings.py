"""Defines what a recipe of a localiser says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cspine.errors import UsageError
from cspine.intervals import Count, NotNegative, Share, Whole, check_intervals
from cspine.networks.volume_settings import UNet3DSettings
from cspine.specs import VolumeSpec
from cspine.training.core.settings import FitSettings, SplitSettings


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """The synthetic necks that a localiser learns from.

    Attributes:
        necks: How many.
        held_out: How many more, of anatomies that are bent far out of shape, the network is validated on.
        beyond_life: Share of necks whose vertebrae move on their own, far more than in life.
        wide: Share of necks of the preset ``wide``: children to large men, arms beside the head, masks, worn and fused levels.
        trunks: Share of images of vertebrae as large as those of chest and loin, none of them cervical.
        margin: Voxels around a window that are rendered too, so that it can be turned and moved, ``(z, y, x)``.
        seed: Of the necks.
    """

    necks: Count = 1200
    held_out: Count = 40
    beyond_life: Share = 0.7
    wide: Share = 0.0
    trunks: Share = 0.12
    margin: tuple[Whole, Whole, Whole] = (24, 24, 24)
    seed: int = 0

    def __post_init__(self) -> None:
        check_intervals(self, "pool")


@dataclass(frozen=True, slots=True)
class MaskedSettings:
    """Says how much of training is on studies with masks, where a data set is given.

    Attributes:
        share: Of windows, how many come from them and not from synthetic necks; with 1 no necks are made.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(
                f"masked.share must be above 0, and 1 at most; leave --data out to train on phantoms alone. Received: {self.share}"
            )


@dataclass(frozen=True, slots=True)
class VolumeAugmentation:
    """Says how a window or a crop of a volume is augmented; 0 is not at all.

    Attributes:
        turn_deg: Standard deviation of its rotation about each axis.
        scale: Standard deviation of its size along each axis, relative.
        shear: Standard deviation of its shear.
        elastic_mm: Standard deviation of a smooth displacement (elastic deformation: Simard et al., 2003).
        truncation_share: How often the image ends within the window, at each of its six sides.
        coarse_share: How often pixels are as coarse as those of whole-body and planning CT, up to 5 mm.
        blur_voxels: Spread of the kernel: its standard deviation is the size of a normal number of this one.
        random_hu_share: How often densities are sampled without regard to what they are in life.
        noise_hu: The most noise.
        streak_share: How often there are streaks.
        empty_share: How often there is nothing of a neck, only shapes.
    """

    turn_deg: NotNegative = 8.0
    scale: NotNegative = 0.07
    shear: NotNegative = 0.04
    elastic_mm: NotNegative = 2.0
    truncation_share: Share = 0.25
    coarse_share: Share = 0.0
    blur_voxels: NotNegative = 0.45
    random_hu_share: Share = 0.25
    noise_hu: NotNegative = 90.0
    streak_share: Share = 0.15
    empty_share: Share = 0.04

    def __post_init__(self) -> None:
        check_intervals(self, "augmentation")


@dataclass(frozen=True, slots=True)
class LocaliserRecipe:
    """One experiment.

    Attributes:
        name: What it is called on the command line.
        network: The network and its settings.
        input: What it is fed.
        pool: The synthetic necks that it learns from.
        masked: How far studies with masks take their place, where a data set is given.
        augmentation: How either are changed.
        region_share: How often a neck is seen on voxels as large as those of the pass that proposes regions in a large scan.
        fit: How the weights are found.
        initial_weights: A package whose weights it begins with, its folder or its name; fresh weights if empty.
        split: How the patients of a data set are parted.
        seed: Of weights, batches and augmentation.
    """

    name: str
    network: UNet3DSettings
    input: VolumeSpec
    pool: PoolSettings = field(default_factory=PoolSettings)
    masked: MaskedSettings = field(default_factory=MaskedSettings)
    augmentation: VolumeAugmentation = field(default_factory=VolumeAugmentation)
    region_share: Share = 0.0
    fit: FitSettings = field(default_factory=FitSettings)
    initial_weights: str = ""
    split: SplitSettings = field(default_factory=SplitSettings)
    seed: int = 0

    def idle(self, *, on_data: bool) -> Mapping[str, str]:
        """See :class:`cspine.training.core.settings.Recipe`."""
        if not on_data:
            why = "without --data the network learns from necks that are made, and nobody is held out"
            return dict.fromkeys(("masked.share", "split.folds", "split.seed"), why)
        if self.masked.share == 1:
            unused = ("necks", "held_out", "beyond_life", "wide", "trunks", "seed")
            return dict.fromkeys((f"pool.{name}" for name in unused), "with masked.share=1 no necks are made")
        return {"pool.held_out": "with --data the network is validated on patients"}
