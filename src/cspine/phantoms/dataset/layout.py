"""Samples how a study is stored: the quirks of the RSNA 2022 files, as often as they occur there."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cspine.geometry import Grid, Vector
from cspine.phantoms.model.variation import ScanRanges

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"

RSNA_MASK_SHARE = 87 / 2019
"""Studies with a mask."""

RSNA_BOX_SHARE = 235 / 961
"""Positive studies with boxes."""

FALLING_SHARE = 1822 / 2019
"""Studies whose z falls with the file number."""

JPEG_SHARE = 1 / 8
LARGE_SHARE = 2 / 2019
"""Studies of 768 x 768."""

# The description of the data gives no figure for the following; they are ours.
LATE_START_SHARE = 0.15
OBLIQUE_SHARE = 0.08
TWELVE_BIT_SHARE = 0.3
MANY_WINDOWS_SHARE = 0.4
CIRCLE_SHARE = 0.5
SMALL_COMPONENT_SHARE = 0.5

_FEWEST_PIXELS, _MOST_PIXELS = 32, 512

_MASK_TYPES = ("uint8", "int16", "uint16", "float32")


class Size(StrEnum):
    """Says how finely a study is scanned."""

    FULL = "full"
    SMALL = "small"


@dataclass(frozen=True, slots=True)
class Shares:
    """Says how many studies come with more than labels, or with more fractures than in life.

    Attributes:
        masks: Share of studies with a vertebra mask.
        boxes: Share of positive studies with boxes.
        enriched: Share of studies with many fractures, of which a network learns more than of an ordinary one.
    """

    masks: float = RSNA_MASK_SHARE
    boxes: float = RSNA_BOX_SHARE
    enriched: float = 0.0


@dataclass(frozen=True, slots=True)
class Encoding:
    """Says how pixels become bytes.

    Attributes:
        transfer_syntax: One of the three.
        bits_stored: 12 (unsigned) or 16 (signed).
        intercept: HU of a stored 0.
        centres: Window centres, one or two.
        widths: Window widths.
    """

    transfer_syntax: str
    bits_stored: int
    intercept: int
    centres: tuple[int, ...]
    widths: tuple[int, ...]

    @property
    def signed(self) -> bool:
        """Says whether stored values may be negative."""
        return self.bits_stored == 16

    @property
    def stored_range(self) -> tuple[int, int]:
        """Returns the smallest and the largest stored value."""
        return (-32768, 32767) if self.signed else (0, 4095)


@dataclass(frozen=True, slots=True)
class StudyLayout:
    """Says how one study is sliced and stored.

    Attributes:
        pixel_mm: Distance of rows and of columns.
        spacing_mm: Distance of slices.
        thickness_mm: Slice thickness; slices may overlap.
        size: Rows and columns.
        margins_mm: How far the scan goes beyond C1 and C7.
        turn_deg: Rotation of the slices about x, y and z; all 0 but in oblique studies.
        table_mm: Where the scanner's origin lies, seen from the neck.
        falling: Whether z falls with the file number.
        first_number: Number of the first file.
        padding_hu: What stands outside the scan circle, or ``None`` where the image is whole.
        encoding: How pixels become bytes.
        mask_type: Number type of the mask, or ``None`` for a study without one.
        small_components: Small components (noise) in the mask.
        boxes: Whether fractures are boxed, where there are any.
        box_margin_mm: How far a box reaches beyond the fracture.
    """

    pixel_mm: float
    spacing_mm: float
    thickness_mm: float
    size: int
    margins_mm: tuple[float, float]
    turn_deg: Vector
    table_mm: Vector
    falling: bool
    first_number: int
    padding_hu: int | None
    encoding: Encoding
    mask_type: str | None
    small_components: int
    boxes: bool
    box_margin_mm: float

    def grid(
        self, centre_mm: NDArray[np.float64], top_mm: float, bottom_mm: float, limits_mm: tuple[float, float] = (-np.inf, np.inf)
    ) -> Grid:
        """Returns the slices from feet to head in the neck's own world, which has no table.

        Args:
            centre_mm: World x and y of the middle of the picture; z is not used.
            top_mm: World z of the top of C1.
            bottom_mm: World z of the bottom of C7.
            limits_mm: World z below and above which nothing is scanned.
        """
        high, low = min(top_mm + self.margins_mm[0], limits_mm[1]), max(bottom_mm - self.margins_mm[1], limits_mm[0])
        count = max(2, round((high - low) / self.spacing_mm))
        middle = np.array([centre_mm[0], centre_mm[1], (high + low) / 2])
        upright = Grid.upright((0, 0, 0), (count, self.size, self.size), (self.spacing_mm, self.pixel_mm, self.pixel_mm))
        affine = np.eye(4)
        affine[:3, :3] = Rotation.from_euler("xyz", self.turn_deg, degrees=True).as_matrix() @ upright.affine[:3, :3]
        affine[:3, 3] = middle - affine[:3, :3] @ ((np.asarray(upright.shape) - 1) / 2)
        return Grid(upright.shape, affine)

    def file_number(self, index: int, count: int) -> int:
        """Returns the number of the slice that is ``index`` from the feet."""
        return self.first_number + (count - 1 - index if self.falling else index)


def sample_layout(rng: np.random.Generator, size: Size, shares: Shares) -> StudyLayout:
    """Returns a layout; every quirk is sampled apart from the others and from what the neck is like."""
    pixel_mm, thickness, spacing, pixels, margins = _full(rng) if size is Size.FULL else _small(rng)
    turned = rng.random() < OBLIQUE_SHARE
    turn = rng.uniform((-14, -5, -5), (14, 5, 5))
    table = np.round(rng.uniform((-20, -260, -400), (20, -100, 400)), 1)
    falling, late, start = rng.random() < FALLING_SHARE, rng.random() < LATE_START_SHARE, rng.integers(2, 60)
    encoding = _sample_encoding(rng)
    circle, padding = rng.random() < CIRCLE_SHARE, int(rng.choice((-2000, -1000)))
    masked, mask_type = rng.random() < shares.masks, str(rng.choice(_MASK_TYPES, p=(0.35, 0.35, 0.2, 0.1)))
    noisy, small_components = rng.random() < SMALL_COMPONENT_SHARE, int(rng.integers(1, 6))
    boxed, box_margin = rng.random() < shares.boxes, float(np.clip(rng.lognormal(np.log(5.5), 0.35), 2, 14))
    return StudyLayout(
        pixel_mm=pixel_mm,
        spacing_mm=spacing,
        thickness_mm=thickness,
        size=pixels,
        margins_mm=margins,
        turn_deg=tuple(float(a) for a in np.round(turn, 2)) if turned else (0.0, 0.0, 0.0),  # type: ignore[arg-type]
        table_mm=(float(table[0]), float(table[1]), float(table[2])),
        falling=bool(falling),
        first_number=int(start) if late else 1,
        padding_hu=(padding if encoding.signed else -1000) if circle else None,
        encoding=encoding,
        mask_type=mask_type if masked else None,
        small_components=small_components if noisy else 0,
        boxes=bool(boxed),
        box_margin_mm=box_margin,
    )


def varied_layout(rng: np.random.Generator, layout: StudyLayout, ranges: ScanRanges) -> StudyLayout:
    """Samples larger voxels and a wider field for a share of the scans; ``rng`` itself is not used up."""
    own = rng.spawn(1)[0]
    pixel, slices, field = (np.exp(own.uniform(*np.log(one))) for one in (ranges.pixel_mm, ranges.slice_mm, ranges.field_mm))
    above, below = own.uniform((6, 8), (90, 70))
    if own.random() >= ranges.coarse_share:
        return layout
    pixel_mm, spacing_mm = round(float(pixel), 6), round(float(slices), 3)
    count = int(np.clip(round(field / pixel_mm), _FEWEST_PIXELS, _MOST_PIXELS))
    return replace(
        layout,
        pixel_mm=pixel_mm,
        spacing_mm=spacing_mm,
        thickness_mm=spacing_mm,
        size=count,
        margins_mm=(float(above), float(below)),
    )


def _full(rng: np.random.Generator) -> tuple[float, float, float, int, tuple[float, float]]:
    """Samples pixels, slices and reach as in the RSNA data: median pixel 0.31 mm, about 310 slices."""
    thickness = float(rng.choice((0.5, 0.625, 0.75, 0.8, 1.0), p=(0.07, 0.48, 0.08, 0.07, 0.3)))
    overlap = float(rng.choice((1.0, 0.8), p=(0.65, 0.35)))
    spacing = round(max(0.45, thickness * overlap), 4)
    pixels = 768 if rng.random() < LARGE_SHARE else 512
    field_mm = float(np.clip(512 * 0.32 * rng.lognormal(0, 0.16), 120, 300))
    return round(field_mm / pixels, 6), thickness, spacing, pixels, (float(rng.uniform(10, 45)), float(rng.uniform(15, 50)))


def _small(rng: np.random.Generator) -> tuple[float, float, float, int, tuple[float, float]]:
    """Samples a narrow field with fewer and thicker slices: quick to make and train on, fine enough to show most fracture lines."""
    spacing = round(float(rng.uniform(1.0, 1.3)), 3)
    thickness = round(spacing * float(rng.choice((1.0, 1.25))), 3)
    return round(float(rng.uniform(0.42, 0.5)), 6), thickness, spacing, 288, (float(rng.uniform(6, 18)), float(rng.uniform(8, 22)))


def _sample_encoding(rng: np.random.Generator) -> Encoding:
    syntax = str(rng.choice((IMPLICIT, EXPLICIT, JPEG_LOSSLESS), p=((1 - JPEG_SHARE) / 2, (1 - JPEG_SHARE) / 2, JPEG_SHARE)))
    twelve, many, zero = rng.random() < TWELVE_BIT_SHARE, rng.random() < MANY_WINDOWS_SHARE, rng.random() < 0.1
    centres, widths = ((40, 500), (400, 2500)) if many else ((400,), (2000,))
    return Encoding(syntax, 12 if twelve else 16, -1024 if twelve or not zero else 0, centres, widths)
