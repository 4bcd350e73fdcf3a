"""The settings of each network that sees a spine in space: plain data, as :mod:`cspine.networks.settings`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cspine.errors import UsageError
from cspine.specs import VertebraSpec, VolumeSpec

if TYPE_CHECKING:
    import keras

    from cspine.networks.vertebra_mil import VertebraMIL


@dataclass(frozen=True, slots=True)
class UNet3DSettings:
    """A 3-D U-Net: for each voxel of a window, what it belongs to.

    Attributes:
        widths: Filters, at full resolution and after each halving.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64, 96)

    def check(self, spec: VolumeSpec) -> None:
        """Tells what can be told before anything is prepared.

        Raises:
            UsageError: The network cannot see such windows.
        """
        step = 2 ** (len(self.widths) - 1)
        if any(side % step for side in spec.size) or min(self.widths, default=0) < 1:
            raise UsageError(f"A U-Net of {len(self.widths)} widths needs sides that {step} divides. Received: {spec.size}")

    def build(self, spec: VolumeSpec, seed: int) -> "keras.Model":
        """The network, with fresh weights.

        Raises:
            UsageError: As :meth:`check`.
        """
        from cspine.networks.unet3d import UNet3D

        self.check(spec)
        return UNet3D(
            input_shape=(*spec.size, spec.channels), widths=self.widths, classes=spec.classes, output=spec.output, seed=seed
        )


@dataclass(frozen=True, slots=True)
class VertebraMILSettings:
    """A network that judges vertebra by vertebra, and the seven together.

    Attributes:
        widths: Filters after each halving of a slice, the stem first; four at least.
        close: Filters of a pair of convolutions right behind the stem, before anything is pooled; 0 is none.
        residual: Whether pairs of convolutions are bridged.
        width: Of the features of slices and of vertebrae.
        mixers: Layers of attention among the vertebrae; with none each is judged alone, and any fracture is their noisy-OR.
        heads: Of each such layer.
        dropout: Share of features that are dropped.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96)
    close: int = 0
    residual: bool = True
    width: int = 96
    mixers: int = 2
    heads: int = 4
    dropout: float = 0.2

    def check(self, spec: VertebraSpec) -> None:
        """Tells what can be told before anything is prepared.

        Raises:
            UsageError: The network cannot see such crops.
        """
        step = 2 ** len(self.widths)
        if len(self.widths) < 4 or min(self.widths) < 1 or any(side % step for side in spec.size):
            raise UsageError(
                f"vertebra_mil needs four widths at least, and rows and columns that {step} divides. "
                f"Received: {self.widths}, {spec.size}"
            )
        if self.width % self.heads:
            raise UsageError(f"vertebra_mil needs a width that its heads divide. Received: {self.width} and {self.heads}")

    def build(self, spec: VertebraSpec, seed: int) -> "VertebraMIL":
        """The network, with fresh weights.

        Raises:
            UsageError: As :meth:`check`.
        """
        from cspine.networks.vertebra_mil import VertebraMIL

        self.check(spec)
        return VertebraMIL(
            input_shape=spec.shape,
            widths=self.widths,
            close=self.close,
            residual=self.residual,
            width=self.width,
            mixers=self.mixers,
            heads=self.heads,
            dropout=self.dropout,
            beside=spec.neighbour_weight,
            seed=seed,
        )
