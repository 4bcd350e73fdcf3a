"""Sets how far the necks and scans of a data set may differ from one another: every range in one typed object, with presets.

Ranges are uniform unless a field says otherwise; a range whose ends are equal fixes its value. Each value is sampled apart from the
rest, from a stream of its own, so that fixing one leaves all others as they were. Sources or reasons stand beside each range.
"""

from dataclasses import dataclass, field, fields, replace

import numpy as np

from cspine.errors import UsageError
from cspine.phantoms.model.spread import LIFE, Spread

Range = tuple[float, float]
"""Least and greatest value."""


class _Checked:
    """Settings whose ranges rise and whose shares lie between 0 and 1."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for one in fields(self):  # type: ignore[arg-type]
            value = getattr(self, one.name)
            if isinstance(value, tuple) and not (np.all(np.isfinite(value)) and value[0] <= value[1]):
                raise UsageError(f"`{one.name}` must be two numbers, the least first. Received: {value}.")
            if one.type is float and not 0 <= value <= 1:
                raise UsageError(f"`{one.name}` must be a share between 0 and 1. Received: {value}.")


@dataclass(frozen=True, slots=True)
class ProportionRanges(_Checked):
    """Size of the whole neck, and its parts against one another.

    Attributes:
        size: The whole neck against a mean adult's, log-uniform.
        head_exponent: A neck smaller than an adult's carries a head larger by ``size ** -exponent``.
        disc_height: Height of discs; bodies give or take the room, so that the neck keeps its length.
        disc_height_level: Standard deviation of one disc's own factor.
        pedicle_mm: Added to the length of the pedicles, and so to the depth of the canal.
        facet_deg: Added to the slope of the facets; positive is steeper downwards to the back.
        lamina_height: Height of the laminae.
        lamina_slope_deg: Added to their slope; positive sinks to the back.
        spinous_length: Length of the spinous processes.
        spinous_height: Their height.
        spinous_slope_deg: Added to their slope; positive sinks to the back.
        arch_width: Width of the arch behind the body.
        arch_tilt_deg: How far the arch leans to one side against the body.
    """

    size: Range = (1.0, 1.0)
    head_exponent: Range = (0.0, 0.0)
    disc_height: Range = (1.0, 1.0)
    disc_height_level: float = 0.0
    pedicle_mm: Range = (0.0, 0.0)
    facet_deg: Range = (0.0, 0.0)
    lamina_height: Range = (1.0, 1.0)
    lamina_slope_deg: Range = (0.0, 0.0)
    spinous_length: Range = (1.0, 1.0)
    spinous_height: Range = (1.0, 1.0)
    spinous_slope_deg: Range = (0.0, 0.0)
    arch_width: Range = (1.0, 1.0)
    arch_tilt_deg: Range = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class JunctionRanges(_Checked):
    """Says how near skull and jaw come to C1 and the dens.

    Attributes:
        settling_mm: How far the skull sinks onto C1.
        clivus_share: How often a clivus and the hind rim of the foramen magnum are added to the coarse skull.
        basion_mm: How high the clivus ends above the middle of C1's ring, where it is added.
        opisthion_mm: The same for the hind rim.
        jaw_back_mm: How far the jaw lies farther back.
        joint_mm: Space kept between two bones; ``None`` keeps the usual one.
        assimilation_share: How often C1 has grown together with the skull.
    """

    settling_mm: Range = (0.0, 0.0)
    clivus_share: float = 0.0
    basion_mm: Range = (0.0, 0.0)
    opisthion_mm: Range = (0.0, 0.0)
    jaw_back_mm: Range = (0.0, 0.0)
    joint_mm: Range | None = None
    assimilation_share: float = 0.0


@dataclass(frozen=True, slots=True)
class DegenerationRanges:
    """Says how worn necks are.

    Attributes:
        severity: Parameters of the beta distribution of the whole neck's wear.
        fused_share: How often a joint of C2 to C6 has grown together.
        sclerosis_share: How often a body is dense or rarefied throughout.
        sclerosis_gain: How dense; negative is rarefied.
    """

    severity: Range = (1.1, 1.9)
    fused_share: float = 0.003
    sclerosis_share: float = 0.0
    sclerosis_gain: Range = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class SurroundingShares(_Checked):
    """Says what lies beside a neck in how many scans.

    Attributes:
        arms_up: Both arms raised beside the head, elbows in view.
        hands: A hand beside neck or head.
        headrest: A foam rest or wedge under head and neck, on a board.
        mask_frame: A thermoplastic mask over the face, with its frame.
        external_tubes: Tubes and cables outside the body.
    """

    arms_up: float = 0.0
    hands: float = 0.0
    headrest: float = 0.0
    mask_frame: float = 0.0
    external_tubes: float = 0.0


@dataclass(frozen=True, slots=True)
class ViewShares(_Checked):
    """Says what of a neck a scan shows.

    Attributes:
        masked: Scans that are -1024 HU beyond a mask around the body, as in planning CT whose outside was masked.
        begins_below_c2: Scans that begin below C2.
        ends_at_c4: Scans that end at C4.
    """

    masked: float = 0.0
    begins_below_c2: float = 0.0
    ends_at_c4: float = 0.0


@dataclass(frozen=True, slots=True)
class ScanRanges(_Checked):
    """Says how scans are acquired, where they differ from those of the RSNA data.

    Attributes:
        coarse_share: Scans with large voxels; the others are as in the RSNA data.
        pixel_mm: Their pixels, log-uniform.
        slice_mm: Their slices, log-uniform.
        field_mm: Width of their pictures.
        cutoff_per_mm: Where the kernel falls to 1/e; ``None`` keeps the usual kernels.
        boost: Edge enhancement of the kernel.
        noise: Factor of the noise, log-uniform.
    """

    coarse_share: float = 0.0
    pixel_mm: Range = (0.9, 0.9)
    slice_mm: Range = (1.0, 1.0)
    field_mm: Range = (250.0, 250.0)
    cutoff_per_mm: Range | None = None
    boost: Range = (0.0, 0.0)
    noise: Range = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class DetailRanges(_Checked):
    """Says how the bone of one person differs from that of another in the features that a fracture is recognised by.

    Attributes:
        cortex: Factor of the thickness of compact bone, log-uniform.
        unevenness: How much it differs from place to place, relative.
        cortex_roughness: How much its density differs from place to place, relative.
        grain_mm: Size of fine trabeculae.
        clumps_mm: Size of coarse ones.
        roughness: Factor of their contrast, log-uniform.
        striation: By how much they are longer along the spine.
        marrow_share: How often a body has rarefied places.
        vein_share: How often a body has veins of other shapes than a Y.
        canal_share: How often an arch has one more, wider canal.
        facet_share: How often an articular process is worn unevenly: bumps, erosions, cysts.
        ossicle_share: How often an intact vertebra has a loose rounded piece of bone beside it.
        atlas_mm: How far C1 is shifted to a side, and as far to the front or back, with the skull.
    """

    cortex: Range = (1.0, 1.0)
    unevenness: Range = (0.3, 0.3)
    cortex_roughness: float = 0.0
    grain_mm: Range = (1.1, 1.1)
    clumps_mm: Range = (3.5, 3.5)
    roughness: Range = (1.0, 1.0)
    striation: Range = (1.0, 1.0)
    marrow_share: float = 0.0
    vein_share: float = 0.0
    canal_share: float = 0.0
    facet_share: float = 0.0
    ossicle_share: float = 0.0
    atlas_mm: Range = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Variation:
    """Says how far necks and scans differ.

    Attributes:
        name: The preset that it is, or was made from.
        spread: Posture, and size and shape of single vertebrae.
        proportions: Size of the whole and parts against one another.
        junction: Skull and jaw at C1 and the dens.
        degeneration: Wear, sclerosis, fused levels.
        surroundings: Arms, hands, rests, masks, tubes.
        view: What a scan shows.
        scan: How it is acquired.
        detail: Compact and spongy bone, vessels, worn joints, loose pieces.
    """

    name: str = "typical"
    spread: Spread = LIFE
    proportions: ProportionRanges = field(default_factory=ProportionRanges)
    junction: JunctionRanges = field(default_factory=JunctionRanges)
    degeneration: DegenerationRanges = field(default_factory=DegenerationRanges)
    surroundings: SurroundingShares = field(default_factory=SurroundingShares)
    view: ViewShares = field(default_factory=ViewShares)
    scan: ScanRanges = field(default_factory=ScanRanges)
    detail: DetailRanges = field(default_factory=DetailRanges)


TYPICAL = Variation()
"""Adults in trauma CT."""

WIDE = Variation(
    name="wide",
    spread=Spread(
        flexion_deg=16.0,
        lean_deg=8.0,
        turn_deg=14.0,
        joint_deg=(3.0, 2.0, 2.0),
        stretch=0.04,
        slip_mm=(0.5, 0.9, 0.0),
        person=(0.06, 0.05, 0.06),
        vertebra=(0.035, 0.04, 0.08),
        warp_mm=0.6,
    ),
    proportions=ProportionRanges(
        # C2 to T1 is about half an adult's length in the second year of life; 1.2 is two standard deviations above a mean man
        size=(0.5, 1.2),
        # head girth is 86 % of an adult's in the second year; the base, which carries the condyles, grows later than the vault
        head_exponent=(0.15, 0.4),
        # healthy cervical discs are 4 to 7 mm high beside bodies of 11 to 16 mm (Gilad and Nissan 1986)
        disc_height=(0.5, 1.45),
        disc_height_level=0.12,
        # the canal at C3 to C7 is 14 mm deep in adults, from 9 to 21 (Lee et al. 2007), the shipped ones are 14 to 16
        pedicle_mm=(-1.5, 4.5),
        # facets stand 35 to 60 degrees to the transverse plane (Panjabi et al. 1993), one anatomy has 10 of these
        facet_deg=(-10.0, 10.0),
        # laminae are lowest at C4, 10.4 mm +- 1.1 (Xu et al. 1999), the shipped ones 11 to 14 high; taller ones would meet
        lamina_height=(0.75, 1.12),
        lamina_slope_deg=(-12.0, 12.0),
        # C3 to C5 have 12 to 20 mm, C7 up to 40; a Visible Human's are two fifths longer than the shipped ones
        spinous_length=(0.65, 1.45),
        # as for the laminae: a quarter less, and as much more as there is room for
        spinous_height=(0.75, 1.15),
        spinous_slope_deg=(-18.0, 22.0),
    ),
    junction=JunctionRanges(
        # 95 % of adults have less than 8.5 mm from basion to dens (Rojas et al. 2007); the dens ends 13 to 18 above mid-C1
        settling_mm=(0.0, 4.0),
        clivus_share=0.7,
        basion_mm=(13.0, 22.0),
        opisthion_mm=(7.0, 18.0),
        jaw_back_mm=(-2.0, 7.0),
        # partial volume and arthrosis close joints in coarse scans
        joint_mm=(0.1, 1.7),
        # 0.1 to 1 % in life; more, to be seen at all
        assimilation_share=0.03,
    ),
    # as many old necks as young ones; fusions in 3 % of necks in life (block vertebrae, surgery), here in a fifth
    degeneration=DegenerationRanges(severity=(1.0, 1.3), fused_share=0.05, sclerosis_share=0.08, sclerosis_gain=(-0.5, 0.8)),
    surroundings=SurroundingShares(arms_up=0.2, hands=0.1, headrest=0.4, mask_frame=0.3, external_tubes=0.3),
    view=ViewShares(masked=0.25, begins_below_c2=0.08, ends_at_c4=0.12),
    # planning CT of OpenKBP has pixels of 3.5 to 5.1 mm and slices of 2 to 3.3 mm; whole-body scans slices of up to 5 mm
    scan=ScanRanges(
        coarse_share=0.5,
        pixel_mm=(0.6, 5.0),
        slice_mm=(1.0, 5.0),
        field_mm=(180.0, 500.0),
        cutoff_per_mm=(0.3, 1.1),
        boost=(0.0, 2.2),
        noise=(0.3, 3.0),
    ),
)
"""For training what must work on real scans: children to large men, arms, masks, coarse voxels."""

HELD_OUT = Variation(
    name="held_out",
    proportions=ProportionRanges(
        disc_height=(0.85, 1.15),
        # beyond what is trained on, on its other side, or in no other preset at all
        pedicle_mm=(4.6, 6.0),
        facet_deg=(-14.0, -11.0),
        lamina_height=(0.6, 0.72),
        lamina_slope_deg=(13.0, 17.0),
        spinous_length=(0.5, 0.62),
        spinous_height=(0.6, 0.72),
        spinous_slope_deg=(-24.0, -19.0),
        arch_width=(1.06, 1.14),
        arch_tilt_deg=(3.0, 6.0),
    ),
)
"""For tests only, never for training: arches outside the ranges of :data:`WIDE`; no other preset has wider or tilted ones."""

FINE = Variation(
    name="fine",
    proportions=replace(WIDE.proportions, size=(0.85, 1.12), head_exponent=(0.0, 0.0)),
    junction=JunctionRanges(
        settling_mm=(0.0, 2.5), clivus_share=0.7, basion_mm=(13.0, 22.0), opisthion_mm=(7.0, 18.0), joint_mm=(0.4, 2.4)
    ),
    degeneration=DegenerationRanges(severity=(1.0, 1.3), fused_share=0.01, sclerosis_share=0.08, sclerosis_gain=(-0.5, 0.8)),
    # trauma CT of the neck has pixels of 0.25 to 0.6 mm and slices of 0.6 to 1.5 mm, whatever the kernel
    scan=ScanRanges(cutoff_per_mm=(0.3, 1.1), boost=(0.0, 2.2), noise=(0.5, 2.5)),
    detail=DetailRanges(
        # compact bone of cervical bodies is 0.3 to 1 mm thick, of laminae up to 2 mm
        cortex=(0.55, 1.6),
        unevenness=(0.15, 0.6),
        cortex_roughness=0.06,
        # spaces between trabeculae are 0.6 to 1.2 mm wide, wider in old age; voxels blur them
        grain_mm=(0.7, 1.8),
        clumps_mm=(2.5, 6.0),
        roughness=(0.7, 2.2),
        striation=(1.0, 2.5),
        marrow_share=0.5,
        vein_share=0.5,
        canal_share=0.5,
        facet_share=0.3,
        ossicle_share=0.12,
        # in 30 of 100 healthy people the two gaps beside the dens differ by 1 mm and more
        atlas_mm=(-1.6, 1.6),
    ),
)
"""For training a classifier: bone as different from person to person as real bone is, in trauma CT."""

PRESETS = {preset.name: preset for preset in (TYPICAL, WIDE, FINE, HELD_OUT)}
"""Every preset by its name."""
