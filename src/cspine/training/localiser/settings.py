"""Defines what a recipe of a localiser says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cspine.errors import UsageError
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
        trunks: Share of images of vertebrae as large as those of chest and loin, none of them cervical.
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
        if (
            min(self.necks, self.held_out) < 1
            or min(self.margin) < 0
            or not 0 <= self.beyond_life <= 1
            or not 0 <= self.trunks <= 1
        ):
            raise UsageError(
                f"A pool needs a neck to train on, one to validate on, shares in 0..1 and a margin of 0 or more. Received: {self}"
            )


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
        blur_voxels: Spread of the kernel: its standard deviation is the size of a normal number of this one.
        random_hu_share: How often densities are sampled without regard to what they are in life.
        noise_hu: The most noise.
        streak_share: How often there are streaks.
        empty_share: How often there is nothing of a neck, only shapes.
    """

    turn_deg: float = 8.0
    scale: float = 0.07
    shear: float = 0.04
    elastic_mm: float = 2.0
    truncation_share: float = 0.25
    blur_voxels: float = 0.45
    random_hu_share: float = 0.25
    noise_hu: float = 90.0
    streak_share: float = 0.15
    empty_share: float = 0.04

    def __post_init__(self) -> None:
        shares = (self.truncation_share, self.random_hu_share, self.streak_share, self.empty_share)
        amounts = (self.turn_deg, self.scale, self.shear, self.elastic_mm, self.blur_voxels, self.noise_hu)
        if not min(*shares, *amounts) >= 0 or not max(shares) <= 1:
            raise UsageError(f"augmentation needs shares in 0..1 and nothing below 0. Received: {self}")


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
            unused = ("necks", "held_out", "beyond_life", "trunks", "seed")
            return dict.fromkeys((f"pool.{name}" for name in unused), "with masked.share=1 no necks are made")
        return {"pool.held_out": "with --data the network is validated on patients"}
