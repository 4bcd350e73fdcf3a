"""Features of cells of eight pixels from a backbone: its coarse features brought up beside its fine ones."""

from collections.abc import Iterator, Sequence
from typing import Any

from keras import layers

from cspine.networks.backbones import CELLS, Backbone, features
from cspine.networks.convolution import Convolution, fresh


class Pyramid:
    """A feature pyramid (Lin et al., 2017) on a backbone: layers of the model that uses them.

    Args:
        backbone: Which; what it expects of its channels is seen to here.
        size: Rows and columns of a slice; ``None`` where they vary.
        width: Filters of the features.
        seeds: Where the seeds of fresh weights are taken from.
        magnify: Side of the square of pixels that the backbone sees for one pixel of the slice: 1, or 2, as the stem of a backbone
            halves twice before anything is compared, and a fracture is two pixels wide.
        coarsest: Pixels of the coarsest cells whose features are used, where the backbone ends: 32, 16, or 8 for fine ones alone.
    """

    def __init__(
        self,
        backbone: Backbone,
        size: Sequence[int | None],
        width: int,
        seeds: Iterator[int],
        *,
        magnify: int = 1,
        coarsest: int = CELLS[-1],
    ) -> None:
        self._magnify = layers.UpSampling2D(magnify, interpolation="bilinear", name="magnify") if magnify > 1 else None
        self._border = layers.ZeroPadding2D((backbone.border, backbone.border), name="border")
        self._expected = layers.Rescaling(list(backbone.scale), list(backbone.offset), name="expected")
        seen = [None if n is None else magnify * n + sum(backbone.border) for n in size]
        self._features = features(backbone, seen, seeds, coarsest=coarsest)
        self._sides = [Convolution(f"side{cell}", width, seeds, size=1) for cell in CELLS]
        self._expand = [
            layers.Conv2DTranspose(width, backbone.window, strides=2, kernel_initializer=fresh(seeds), name=f"expand{cell}")
            for cell in CELLS[:-1]
        ]
        self._neck = Convolution("neck", width, seeds)

    def __call__(self, channels: Any) -> tuple[Any, Any]:
        """Returns features of three channels, ``(n, rows, columns, 3)``: of all that the backbone sees, and of fine ones alone.

        Both are ``(n, rows / 8, columns / 8, width)``; where there are fine features alone the first are the second.
        """
        seen = channels if self._magnify is None else self._magnify(channels)
        found = self._features(self._expected(self._border(seen)))
        fine, *coarser = (side(one) for side, one in zip(self._sides, found, strict=False))
        fine = fine if self._magnify is None else layers.MaxPooling2D(name="strongest_of_fine")(fine)
        return self._with_context(fine, coarser) if coarser else fine, fine

    def _with_context(self, fine: Any, coarser: Sequence[Any]) -> Any:
        """Returns the fine features with the coarse ones brought up to them."""
        middle, *deep = coarser
        for one in deep:
            middle = layers.Add(name="both16")([middle, _fitted(self._expand[1](one), middle)])
        coarse = self._expand[0](middle) if self._magnify is None else middle  # one of 8 pixels of the slice is one of 16 seen
        return self._neck(layers.Add(name="both8")([fine, _fitted(coarse, fine)]))


def _fitted(x: Any, wanted: Any) -> Any:
    """Returns zeros after the last row and column where windows of three cells have left out a border."""
    missing = [there - here for there, here in zip(wanted.shape[1:3], x.shape[1:3], strict=True)]
    return layers.ZeroPadding2D(((0, missing[0]), (0, missing[1])))(x) if any(missing) else x
