"""Tiles of grey images with captions, as one small PNG."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

WINDOW_HU = (-450.0, 1350.0)
_GREYS = 40
_GAP = 3
_LINE = 15


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Tiles side by side.

    Attributes:
        title: What the row shows.
        tiles: HU, ``(rows, columns)`` each; ``None`` leaves a place empty.
        captions: One for each tile, or none.
    """

    title: str
    tiles: Sequence[NDArray[np.float32] | None] = field(repr=False)
    captions: Sequence[str] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Rows of tiles, one below the other."""

    rows: Sequence[Row]

    def save(self, path: Path) -> None:
        """Writes it with few greys, so that it stays small."""
        strips = [_strip(row) for row in self.rows]
        width, height = max(s.width for s in strips), sum(s.height for s in strips)
        whole = Image.new("L", (width, height), 255)
        top = 0
        for strip in strips:
            whole.paste(strip, (0, top))
            top += strip.height
        whole.save(path, optimize=True)


def _strip(row: Row) -> Image.Image:
    shown = [tile for tile in row.tiles if tile is not None]
    height, width = (max(tile.shape[a] for tile in shown) for a in range(2))
    top = _LINE + (_LINE if any(row.captions) else 0)
    strip = Image.new("L", (len(row.tiles) * (width + _GAP) - _GAP, height + top + _GAP), 255)
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size=12)
    draw.text((2, 0), row.title, fill=0, font=font)
    for number, tile in enumerate(row.tiles):
        left = number * (width + _GAP)
        if row.captions:
            draw.text((left + 2, _LINE), row.captions[number], fill=90, font=font)
        if tile is not None:
            strip.paste(Image.fromarray(_greys(tile)), (left, top))
    return strip


def _greys(hu: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = WINDOW_HU
    share = np.clip((hu - low) / (high - low), 0, 1)
    return np.asarray(np.round(share * _GREYS) * (255 / _GREYS), dtype=np.uint8)
