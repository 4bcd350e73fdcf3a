"""The settings of each network that sees a spine in space: plain data, as :mod:`cspine.networks.settings`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cspine.errors import UsageError
from cspine.networks.options import IMAGENET, NONE, VertebraBackbone
from cspine.specs import VertebraSpec, VolumeSpec

if TYPE_CHECKING:
    import keras

    from cspine.networks.vertebra_mil import VertebraMIL

_STEP, _SMALLEST = 16, 64
"""Rows and columns that a backbone of photographs takes: multiples of one, and the other at least."""


@dataclass(frozen=True, slots=True)
class UNet3DSettings:
    """A 3-D U-Net: for each voxel of a window, what it belongs to.

    Attributes:
        widths: Filters, at full resolution and after each halving.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64, 96)

    def check(self, spec: VolumeSpec) -> None:
        """Checks what can be checked before anything is prepared.

        Raises:
            UsageError: The network cannot see such windows.
        """
        if not self.widths or min(self.widths) < 1:
            raise UsageError(f"network.widths needs one width at least, each 1 or more. Received: {self.widths}")
        step = 2 ** (len(self.widths) - 1)
        if any(side % step for side in spec.size):
            raise UsageError(f"A U-Net of {len(self.widths)} widths needs sides that {step} divides. Received: {spec.size}")

    def build(self, spec: VolumeSpec, seed: int) -> "keras.Model":
        """Returns the network, with fresh weights.

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
    """A network that classifies vertebra by vertebra, and the seven together.

    Attributes:
        widths: Filters after each halving of a slice, the stem first; four at least.
        close: Filters of a pair of convolutions right behind the stem, before anything is pooled; 0 is none.
        residual: Whether pairs of convolutions are bridged.
        width: Of the features of slices and of vertebrae.
        mixers: Layers of attention among the vertebrae; with 0 each is classified alone, and any fracture is their noisy-OR.
        heads: Of each such layer.
        dropout: Share of features that are dropped.
        backbone: What classifies the cells of a slice: our own small one, or one that was trained on photographs, which costs
            several times as much and needs a GPU to train.
        weights: What one that was trained on photographs starts from: ``imagenet``, ``none``, or the path of a file of weights of
            the backbone without its classifier.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96)
    close: int = 0
    residual: bool = True
    width: int = 96
    mixers: int = 2
    heads: int = 4
    dropout: float = 0.2
    backbone: VertebraBackbone = VertebraBackbone.OWN
    weights: str = IMAGENET

    @property
    def pretrained(self) -> bool:
        """Returns whether the backbone is one of photographs."""
        return self.backbone is not VertebraBackbone.OWN

    def check(self, spec: VertebraSpec) -> None:
        """Checks what can be checked before anything is prepared.

        Raises:
            UsageError: The network cannot see such crops, or its weights are no file.
        """
        if self.pretrained:
            self._check_pretrained(spec)
        else:
            self._check_own(spec)
        if min(self.width, self.heads) < 1 or self.width % self.heads:
            raise UsageError(f"vertebra_mil needs a width that its heads divide. Received: {self.width} and {self.heads}")
        if min(self.close, self.mixers) < 0 or not 0 <= self.dropout < 1:
            raise UsageError(
                "vertebra_mil needs close and mixers of 0 or more, and a dropout in 0..1, below 1. "
                f"Received: {self.close}, {self.mixers} and {self.dropout}"
            )

    def _check_own(self, spec: VertebraSpec) -> None:
        step = 2 ** len(self.widths)
        if len(self.widths) < 4 or min(self.widths) < 1 or any(side % step for side in spec.size):
            raise UsageError(
                f"vertebra_mil needs four widths at least, and rows and columns that {step} divides. "
                f"Received: {self.widths}, {spec.size}"
            )

    def _check_pretrained(self, spec: VertebraSpec) -> None:
        if any(side % _STEP for side in spec.size) or min(spec.size) < _SMALLEST:
            raise UsageError(
                f"vertebra_mil with {self.backbone.value} needs rows and columns that {_STEP} divides, {_SMALLEST} at least. "
                f"Received: {spec.size}"
            )
        if self.weights not in (IMAGENET, NONE) and not Path(self.weights).is_file():
            raise UsageError(f"Weights need imagenet, none or a file. There is no file {self.weights}; give another --weights.")

    def fetch(self) -> None:
        """Gets the pretrained weights that these settings ask for, before hours are spent on data.

        Raises:
            TrainingError: They cannot be had, or are of another network.
        """
        if self.pretrained and self.weights != NONE:
            from cspine.networks.backbones import fetch_pretrained

            fetch_pretrained(self.backbone.value, self.weights)

    def pretrain(self, model: "keras.Model") -> None:
        """Puts pretrained weights into the backbone of a network of :meth:`build`, or of its part on slices, where there are any.

        Raises:
            TrainingError: They cannot be had, or are of another network.
        """
        if self.pretrained:
            from cspine.networks.backbones import load_pretrained

            load_pretrained(model, self.backbone.value, self.weights)

    def idle(self) -> Mapping[str, str]:
        """Returns the settings that do nothing beside the others, and why."""
        found = {} if self.mixers else {"heads": "network.mixers is 0"}
        if self.pretrained:
            return found | dict.fromkeys(("widths", "close", "residual"), f"network.backbone is {self.backbone.value}")
        return found | {"weights": "network.backbone is own"}

    def build(self, spec: VertebraSpec, seed: int) -> "VertebraMIL":
        """Returns the network, with fresh weights.

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
            neighbour_weight=spec.neighbour_weight,
            backbone=self.backbone.value,
            seed=seed,
        )
