"""Defines what a recipe of a refiner says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cspine.intervals import Count, NotNegative, Share, ShareBelowOne, check_intervals
from cspine.networks.volume_settings import UNet3DSettings
from cspine.specs import RefinerSpec
from cspine.training.core.settings import FitSettings
from cspine.training.localiser.settings import VolumeAugmentation


@dataclass(frozen=True, slots=True)
class StripSettings:
    """The necks that a refiner learns from: all of the spine from skull to chest, and little beside it.

    Attributes:
        necks: How many.
        held_out: How many more, of anatomies that are bent far out of shape, the network is validated on.
        beyond_life: Share of necks whose vertebrae move on their own, far more than in life.
        wide: Share of necks of the preset ``wide``: other sizes, arches, joints, worn and fused levels.
        size: Voxels that are rendered around the middle of C1..C7, ``(z, y, x)``.
        seed: Of the necks.
    """

    necks: Count = 800
    held_out: Count = 40
    beyond_life: Share = 0.5
    wide: Share = 0.0
    size: tuple[Count, Count, Count] = (160, 104, 104)
    seed: int = 1

    def __post_init__(self) -> None:
        check_intervals(self, "pool")


@dataclass(frozen=True, slots=True)
class GuideSettings:
    """Says how far the coarse labels that guide a refiner are off in training.

    Attributes:
        crop_shift_mm: Standard deviation of the middle of a crop from the middle of its vertebra, along each axis.
        shift_mm: The most by which all coarse labels are shifted, in any direction.
        elastic_mm: Standard deviation of a smooth displacement of them.
        border_noise: Standard deviation of a smooth field that moves their borders, as a share of what a border is steep.
        size_noise: Standard deviation of what makes all vertebrae too large or too small, the same.
        swap_share: How often a part of a vertebra is given to its neighbour; as often another part, and so on.
        drop_share: Of these, how often it is given to nobody.
        swap_largest: The largest share of a vertebra that is given away.
    """

    crop_shift_mm: NotNegative = 4.0
    shift_mm: NotNegative = 4.0
    elastic_mm: NotNegative = 1.2
    border_noise: NotNegative = 0.12
    size_noise: NotNegative = 0.12
    swap_share: ShareBelowOne = 0.45
    drop_share: Share = 0.3
    swap_largest: Share = 0.5

    def __post_init__(self) -> None:
        check_intervals(self, "guide")


@dataclass(frozen=True, slots=True)
class RefinerRecipe:
    """One experiment.

    Attributes:
        name: What it is called on the command line.
        network: The network and its settings.
        input: What it is fed.
        pool: The necks that it learns from.
        augmentation: How they are changed.
        guide: How far coarse labels are off.
        fit: How the weights are found.
        initial_weights: A package whose weights it begins with, its folder or its name; fresh weights if empty.
        seed: Of weights, batches and augmentation.
    """

    name: str
    network: UNet3DSettings
    input: RefinerSpec
    pool: StripSettings = field(default_factory=StripSettings)
    augmentation: VolumeAugmentation = field(default_factory=VolumeAugmentation)
    guide: GuideSettings = field(default_factory=GuideSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    initial_weights: str = ""
    seed: int = 0

    def idle(self, *, on_data: bool) -> Mapping[str, str]:  # noqa: ARG002
        """See :class:`cspine.training.core.settings.Recipe`."""
        if not self.guide.swap_share:
            return dict.fromkeys(("guide.drop_share", "guide.swap_largest"), "guide.swap_share is 0")
        return {}
