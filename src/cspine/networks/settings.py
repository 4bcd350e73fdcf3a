"""The settings of each network that classifies slices: plain data, to be listed and checked without a deep-learning framework."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cspine.errors import UsageError
from cspine.networks.options import IMAGENET, NONE, WHOLE, BackboneName, Learning, LearningStage
from cspine.specs import SliceSpec

if TYPE_CHECKING:
    import keras


_FEWEST_WIDTHS = 3
"""Halvings after which the heads of a network from scratch read the slice: cells of eight pixels."""


class NetworkSettings(Protocol):
    """A family of slice networks, as a recipe sets it.

    Every network takes ``(n, rows, columns, channels)`` in 0..1 and answers with a dictionary:
    ``fracture`` ``(n, 7)`` and ``visible`` ``(n, 7)`` in 0..1, and ``level_map`` ``(n, rows / 8, columns / 8, 8)``, for each cell
    how much of it is background or C1..C7. Some have further outputs: ``maps`` ``(n, rows, columns, 8)``, the same for each pixel,
    and ``fracture_map`` ``(n, rows / 8, columns / 8, 1)``, how much of each cell a reader would box.

    A class that derives from this one and writes :meth:`build` is a family: all else is as for a network from scratch.
    """

    @property
    def outputs(self) -> tuple[str, ...]:
        """Returns the names of the outputs."""
        return ("fracture", "visible", "level_map")

    @property
    def stages(self) -> tuple[LearningStage, ...]:
        """Returns how training goes, stage by stage."""
        return (LearningStage(),)

    def check(self, spec: SliceSpec) -> None:
        """Checks what can be checked before anything is prepared.

        Raises:
            UsageError: The network cannot see such slices, or its weights are not there.
        """

    def build(self, spec: SliceSpec, seed: int) -> "keras.Model":
        """Returns the network with fresh weights, the same for the same seed.

        Its ``on_patches()`` is the part that says of each cell whether it is fractured, ``(n, rows / 8, columns / 8, 1)``.

        Raises:
            UsageError: As :meth:`check`, but for weights.
        """
        ...

    def fetch(self) -> None:
        """Gets the pretrained weights that these settings ask for, before hours are spent on data.

        Raises:
            TrainingError: They cannot be had, or are of another network.
        """

    def pretrain(self, model: "keras.Model") -> None:
        """Puts pretrained weights into a network of :meth:`build`, where these settings ask for some."""

    def idle(self) -> Mapping[str, str]:
        """Returns settings that do nothing beside the others, and why."""
        return {}


@dataclass(frozen=True, slots=True)
class CustomCNNSettings:
    """A convolutional network from scratch.

    Attributes:
        widths: Filters after each halving of the slice, the stem first; five at least, so that the last sees the whole neck.
        head_width: Filters of the map that both heads read.
        dropout: Share of feature maps that are dropped before the heads.
        fracture_map: Whether a further output is trained on boxes, and says where a reader would draw one.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    head_width: int = 64
    dropout: float = 0.2
    fracture_map: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """Returns the names of the outputs."""
        return ("fracture", "visible", "level_map", *(["fracture_map"] if self.fracture_map else []))

    @property
    def stages(self) -> tuple[LearningStage, ...]:
        """Returns one stage: everything learns from the beginning to the end."""
        return (LearningStage(),)

    def check(self, spec: SliceSpec) -> None:
        """See :class:`NetworkSettings`."""
        if len(self.widths) < _FEWEST_WIDTHS or min(self.widths) < 1:
            raise UsageError(f"network.widths needs {_FEWEST_WIDTHS} widths at least, each 1 or more. Received: {self.widths}")
        _check_heads(self.head_width, self.dropout)
        factor = 2 ** len(self.widths)
        if any(n % factor or n < 1 for n in spec.size):
            raise UsageError(f"Rows and columns of custom_cnn must be multiples of {factor}. Set input.size. Received: {spec.size}")

    def build(self, spec: SliceSpec, seed: int) -> "keras.Model":
        """See :class:`NetworkSettings`."""
        self.check(spec)
        from cspine.networks.custom_cnn import CustomCNN

        return CustomCNN(
            input_shape=(*spec.size, spec.channels),
            widths=self.widths,
            head_width=self.head_width,
            dropout=self.dropout,
            fracture_map=self.fracture_map,
            seed=seed,
        )

    def fetch(self) -> None:
        """Does nothing: there are no pretrained weights."""

    def pretrain(self, model: "keras.Model") -> None:
        """Does nothing: there are no pretrained weights."""

    def idle(self) -> Mapping[str, str]:
        """See :class:`NetworkSettings`."""
        return {}


@dataclass(frozen=True, slots=True)
class PretrainedSettings:
    """Holds what all networks with a backbone that was trained on photographs have in common.

    Attributes:
        backbone: Which network that is.
        weights: ``imagenet``, ``none``, or the path of a file of weights of the backbone without its classifier.
        head_width: Filters of the map that the heads read.
        dropout: Share of feature maps that are dropped before the heads.
        fracture_map: Whether a further output is trained on boxes, and says where a reader would draw one.
        head_epochs: Epochs in which the backbone stays as it is, before it is fine-tuned.
        tuned_from: The first layer of the backbone that is fine-tuned: the usual one where empty, all of them with ``all``. With
            ``near`` all is the usual.
        tuned_rate: Factor of the learning rate for fine-tuning.
        tuned_normalisation: Whether batch normalisation is fine-tuned too, or works as in inference.
        magnify: Side of the square of pixels that the backbone sees for one pixel of the slice, 1 or 2; the stem of each backbone
            halves twice, and a fracture is two pixels wide. 2 costs four times as much.
        near: Whether a fracture is looked for in the fine features of the backbone alone, and not in all of them: who sees a whole
            neck may learn, from few, which necks are fractured instead of what a fracture looks like.
    """

    backbone: BackboneName
    weights: str = IMAGENET
    head_width: int = 64
    dropout: float = 0.2
    fracture_map: bool = False
    head_epochs: int = 5
    tuned_from: str = ""
    tuned_rate: float = 0.1
    tuned_normalisation: bool = False
    magnify: int = 1
    near: bool = False

    def __post_init__(self) -> None:
        if self.magnify not in (1, 2):
            raise UsageError(f"network.magnify needs 1 or 2. Received: {self.magnify}")
        if self.head_epochs < 0 or not self.tuned_rate > 0:
            raise UsageError(f"network needs head_epochs of 0 or more and a positive tuned_rate. Received: {self}")

    @property
    def stages(self) -> tuple[LearningStage, ...]:
        """Returns the heads first, then the end of the backbone with them; everything at once where nothing was trained before."""
        if self.weights == NONE:
            return (LearningStage(),)
        first = self.tuned_from or (WHOLE if self.near else "")
        tuning = LearningStage(Learning.TUNING, rate=self.tuned_rate, tuned_from=first, normalisation=self.tuned_normalisation)
        return (LearningStage(Learning.HEADS, epochs=self.head_epochs), tuning) if self.head_epochs else (tuning,)

    @property
    def factor(self) -> int:
        """Returns what rows and columns must be multiples of."""
        return 32

    def check(self, spec: SliceSpec) -> None:
        """See :class:`NetworkSettings`."""
        self._check_slice(spec)
        _check_heads(self.head_width, self.dropout)
        if self.weights not in (IMAGENET, NONE) and not Path(self.weights).is_file():
            raise UsageError(f"Weights need imagenet, none or a file. There is no file {self.weights}; give another --weights.")

    def _check_slice(self, spec: SliceSpec) -> None:
        if spec.neighbours != 1:
            raise UsageError(
                "A pretrained network sees a slice and its two neighbours as its three channels. Set input.neighbours=1. "
                f"Received: {spec.neighbours}"
            )
        if any(n % self.factor for n in spec.size) or min(spec.size) < 64:
            raise UsageError(
                f"Rows and columns must be multiples of {self.factor}, 64 at least. Set input.size. Received: {spec.size}"
            )

    def fetch(self) -> None:
        """See :class:`NetworkSettings`."""
        if self.weights == NONE:
            return
        from cspine.networks.backbones import fetch_pretrained

        fetch_pretrained(self.backbone.value, self.weights)

    def pretrain(self, model: "keras.Model") -> None:
        """Puts the pretrained weights into the backbone.

        Raises:
            TrainingError: They cannot be had, or are of another network.
        """
        from cspine.networks.backbones import load_pretrained

        load_pretrained(model, self.backbone.value, self.weights)

    def idle(self) -> Mapping[str, str]:
        """See :class:`NetworkSettings`."""
        if self.weights == NONE:
            tuned = ("head_epochs", "tuned_from", "tuned_rate", "tuned_normalisation")
            return dict.fromkeys(tuned, "with network.weights=none all learns at once")
        return {}


@dataclass(frozen=True, slots=True)
class TransferSettings(PretrainedSettings):
    """A network that was trained on photographs, under heads of our own."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Returns the names of the outputs."""
        return ("fracture", "visible", "level_map", *(["fracture_map"] if self.fracture_map else []))

    def build(self, spec: SliceSpec, seed: int) -> "keras.Model":
        """See :class:`NetworkSettings`."""
        self._check_slice(spec)
        from cspine.networks.freezing import first_tuned
        from cspine.networks.transfer import TransferNetwork

        network = TransferNetwork(
            input_shape=(*spec.size, spec.channels),
            backbone=self.backbone.value,
            head_width=self.head_width,
            dropout=self.dropout,
            fracture_map=self.fracture_map,
            near=self.near,
            magnify=self.magnify,
            seed=seed,
        )
        if self.weights != NONE:
            first_tuned(network, self.stages[-1].tuned_from)  # a wrong layer is named now, not when fine-tuning begins hours later
        return network


@dataclass(frozen=True, slots=True)
class UNetTransferSettings(PretrainedSettings):
    """A U-Net whose maps are seen, with the slice, by a network that was trained on photographs.

    The U-Net learns from scratch and from the first epoch on. The fracture map, where there is one, is one of its maps.

    Attributes:
        widths: Filters of the U-Net, at the resolution of the slice and after each halving.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64, 96)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Returns the names of the outputs."""
        return ("fracture", "visible", "level_map", "maps", *(["fracture_map"] if self.fracture_map else []))

    @property
    def factor(self) -> int:
        """Returns what rows and columns must be multiples of."""
        return max(32, 2 ** (len(self.widths) - 1))

    def check(self, spec: SliceSpec) -> None:
        """See :class:`NetworkSettings`."""
        if not self.widths or min(self.widths) < 1:
            raise UsageError(f"network.widths needs one width at least, each 1 or more. Received: {self.widths}")
        PretrainedSettings.check(self, spec)

    def build(self, spec: SliceSpec, seed: int) -> "keras.Model":
        """See :class:`NetworkSettings`."""
        self._check_slice(spec)
        from cspine.networks.freezing import first_tuned
        from cspine.networks.unet_transfer import UNetTransferNetwork

        network = UNetTransferNetwork(
            input_shape=(*spec.size, spec.channels),
            backbone=self.backbone.value,
            widths=self.widths,
            head_width=self.head_width,
            dropout=self.dropout,
            fracture_map=self.fracture_map,
            near=self.near,
            magnify=self.magnify,
            seed=seed,
        )
        if self.weights != NONE:
            first_tuned(network, self.stages[-1].tuned_from)  # a wrong layer is named now, not when fine-tuning begins hours later
        return network


def _check_heads(head_width: int, dropout: float) -> None:
    if head_width < 1 or not 0 <= dropout < 1:
        raise UsageError(
            f"network needs a head_width of 1 or more and a dropout in 0..1, below 1. Received: {head_width} and {dropout}"
        )
