"""Settings of the parts of training that come before whole studies or slices: patches, then heads."""

from dataclasses import dataclass

from cspine.errors import UsageError
from cspine.intervals import Count, Positive, Share, Whole, check_intervals

_MULTIPLE = 32


@dataclass(frozen=True, slots=True)
class PatchSettings:
    """The first part of training: what a fracture looks like, from small parts of slices.

    Attributes:
        size: Rows and columns of a patch, in multiples of 32.
        batch: Patches in a batch.
        batches: Batches in an epoch.
        epochs: How many; with 0 the network begins with whole studies, or slices.
        learning_rate: Highest.
        fractured_share: Share of patches that lie on a known fracture.
        shift_px: By how many pixels the place may be off the middle, either way.
        held_out: Patches of held-out patients on which the network is validated.
        mined: Patches of intact bone that are classified after each epoch; the tenth of them that look most fractured are the
            hard negatives of the next epoch. With 0 there are none.
        hard_share: Share of hard negatives among the patches of intact bone.
    """

    size: tuple[Count, Count] = (64, 64)
    batch: Count = 48
    batches: Count = 500
    epochs: Whole = 12
    learning_rate: Positive = 2e-3
    fractured_share: Share = 0.5
    shift_px: Whole = 20
    held_out: Count = 1500
    mined: Whole = 0
    hard_share: Share = 0.25

    def __post_init__(self) -> None:
        check_intervals(self, "patches")
        if any(side % _MULTIPLE for side in self.size):
            raise UsageError(f"patches.size needs multiples of {_MULTIPLE}. Received: {self.size}")


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """The second part of training: whole studies or slices, with the layers that patches trained as they are.

    Attributes:
        epochs: How many, of as many batches as later; with 0 all of the network learns at once.
        learning_rate: Highest.
    """

    epochs: Whole = 6
    learning_rate: Positive = 2e-3

    def __post_init__(self) -> None:
        check_intervals(self, "heads")


def idle_parts(patches: PatchSettings, heads: HeadSettings) -> dict[str, str]:
    """Returns the settings of both parts that do nothing beside the others, by dotted name, and why."""
    found: dict[str, str] = {}
    if not patches.epochs:
        found = dict.fromkeys(every_setting_of_parts(), "patches.epochs is 0")
        del found["patches.epochs"]
        return found
    if not heads.epochs:
        found["heads.learning_rate"] = "heads.epochs is 0"
    if not patches.mined:
        found["patches.hard_share"] = "patches.mined is 0"
    return found


def every_setting_of_parts() -> tuple[str, ...]:
    """Returns the dotted names of all settings of both parts."""
    return tuple(
        f"{group}.{name}"
        for group, noun in (("patches", PatchSettings), ("heads", HeadSettings))
        for name in noun.__dataclass_fields__
    )
