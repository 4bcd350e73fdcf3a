"""Features of cells of eight pixels from a backbone: its coarse features brought up beside its fine ones."""

from collections.abc import Iterator, Sequence
from typing import Any

from keras import layers

from cspine.networks.backbones import Backbone, features
from cspine.networks.convolution import Convolution, fresh


class Pyramid:
    """A feature pyramid (Lin et al., 2017) on a backbone: layers of the model that uses them.

    Args:
        backbone: Which; what it expects of its channels is seen to here.
        size: Rows and columns of a slice.
        width: Filters of the features.
        seeds: Where the seeds of fresh weights are taken from.
        magnify: Side of the square of pixels that the backbone sees for one pixel of the slice: 1, or 2, as the stem of a backbone
            halves twice before anything is compared, and a fracture is two pixels wide.
        fine_only: Whether there are fine features alone, and the backbone ends at them.
    """

    def __init__(
        self,
        backbone: Backbone,
        size: Sequence[int],
        width: int,
        seeds: Iterator[int],
        *,
        magnify: int = 1,
        fine_only: bool = False,
    ) -> None:
        self._magnify = layers.UpSampling2D(magnify, interpolation="bilinear", name="magnify") if magnify > 1 else None
        self._border = layers.ZeroPadding2D((backbone.border, backbone.border), name="border")
        self._expected = layers.Rescaling(list(backbone.scale), list(backbone.offset), name="expected")
        seen = [magnify * n + sum(backbone.border) for n in size]
        self._features = features(backbone, seen, seeds, fine_only=fine_only)
        self._fine_only = fine_only
        self._sides = [Convolution(f"side{cell}", width, seeds, size=1) for cell in (8, 16, 32)]
        self._expand = [
            layers.Conv2DTranspose(width, backbone.window, strides=2, kernel_initializer=fresh(seeds), name=f"expand{cell}")
            for cell in (8, 16)
        ]
        self._neck = Convolution("neck", width, seeds)

    def __call__(self, channels: Any) -> tuple[Any, Any]:
        """Returns features of three channels, ``(n, rows, columns, 3)``: of all that the backbone sees, and of fine ones alone.

        Both are ``(n, rows / 8, columns / 8, width)``; with ``fine_only`` the first are the second.
        """
        seen = channels if self._magnify is None else self._magnify(channels)
        found = self._features(self._expected(self._border(seen)))
        sides = [side(one) for side, one in zip(self._sides, found, strict=False)]
        fine = sides[0] if self._magnify is None else layers.MaxPooling2D(name="strongest_of_fine")(sides[0])
        return (fine, fine) if self._fine_only else (self._with_context(fine, *sides[1:]), fine)

    def _with_context(self, fine: Any, middle: Any, deep: Any) -> Any:
        """Returns the fine features with the coarse ones brought up to them."""
        middle = layers.Add(name="both16")([middle, _fitted(self._expand[1](deep), middle)])
        coarse = self._expand[0](middle) if self._magnify is None else middle  # one of 8 pixels of the slice is one of 16 seen
        return self._neck(layers.Add(name="both8")([fine, _fitted(coarse, fine)]))


def _fitted(x: Any, wanted: Any) -> Any:
    """Returns zeros after the last row and column where windows of three cells have left out a border."""
    missing = [there - here for there, here in zip(wanted.shape[1:3], x.shape[1:3], strict=True)]
    return layers.ZeroPadding2D(((0, missing[0]), (0, missing[1])))(x) if any(missing) else x
