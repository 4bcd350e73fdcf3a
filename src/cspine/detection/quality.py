"""Scans that are not assessed, and why: every check has a code and a sentence for people."""

from cspine.imaging.appearance import Appearance
from cspine.locating import Located
from cspine.locating.plausibility import check_plausibility
from cspine.modelpack import AppearanceLimits, QualityLimits
from cspine.reading.hounsfield import fault_of
from cspine.reading.messages import Refusal
from cspine.results import LevelStatus, Reason
from cspine.volume import Volume

_ODD = ("level_missing", "levels_apart", "implausible_volume", "off_bone")

_WORDS = {"bone_hu": "HU of bone", "soft_hu": "HU of soft tissue", "noise_hu": "HU of noise"}


def check_scan(volume: Volume, limits: QualityLimits) -> tuple[Reason, ...]:
    """Returns what forbids assessing a scan, before any network has seen it; nothing if it may be assessed."""
    grid = volume.grid.canonical()
    slices, shortest, thickest = grid.shape[0], min(grid.extent_mm), max(grid.spacing_mm)
    reasons = []
    fault = fault_of(volume.hu)
    if fault is not None and fault.refusal is Refusal.CLIPPED:
        reasons.append(Reason("clipped", f"Values from air to dense bone are needed. In this scan {fault.found}."))
    elif fault is not None:
        low, high = float(volume.hu.min()), float(volume.hu.max())
        reasons.append(
            Reason(
                "not_hounsfield",
                f"A CT of a neck holds air, soft tissue and bone. Values from {low:.0f} to {high:.0f} are something else.",
            )
        )
    if slices < limits.fewest_slices:
        reasons.append(
            Reason("too_few_slices", f"At least {limits.fewest_slices} slices from head to feet are needed. There are {slices}.")
        )
    if thickest > limits.thickest_mm:
        reasons.append(
            Reason("too_thick", f"Slices must be {limits.thickest_mm:g} mm apart at most. These are {thickest:.2f} mm apart.")
        )
    if shortest < limits.shortest_mm:
        text = f"The scan must cover at least {limits.shortest_mm:g} mm in every direction. It covers {shortest:.1f} mm."
        reasons.append(Reason("too_short", text))
    return tuple(reasons)


def check_pixels(volume: Volume, limits: QualityLimits) -> tuple[Reason, ...]:
    """Returns what forbids looking for fractures in a scan whose vertebrae may well be found: pixels in which they are missed."""
    _, pixels, _ = sorted(volume.grid.spacing_mm)
    if pixels <= limits.largest_pixel_mm:
        return ()
    text = (
        f"Pixels may be {limits.largest_pixel_mm:g} mm at most for fractures to be found. These are {pixels:.2f} mm. "
        "`cspine locate` names the levels."
    )
    return (Reason("too_coarse", text),)


def mind_scan(volume: Volume, limits: QualityLimits) -> tuple[Reason, ...]:
    """Returns what to mind about a scan that is assessed: slices or pixels in which an intact vertebra may look fractured."""
    _, pixels, slices = sorted(volume.grid.spacing_mm)
    thick, wide = limits.coarse_mm
    if slices <= thick and pixels <= wide:
        return ()
    sides = " x ".join(f"{side:.2f}" for side in volume.grid.spacing_mm)
    text = (
        f"Voxels are {sides} mm. Beyond slices of {thick:g} mm with pixels of {wide:g} mm the model may flag intact "
        "vertebrae or miss fractures: reconstruct thinner slices with finer pixels."
    )
    return (Reason("coarse", text),)


def check_located(located: Located) -> tuple[Reason, ...]:
    """Returns what forbids assessing a scan once it was searched for vertebrae."""
    if any(vertebra.status is not LevelStatus.UNCERTAIN for vertebra in located.vertebrae):
        return ()
    if located.vertebrae:
        text = "Vertebrae were found, but it is not clear which they are, or whether they belong to the neck."
        return (Reason("levels_uncertain", text), *located.reasons)
    return (Reason("no_cervical_spine", "No cervical vertebra was found in this scan."),)


def check_appearance(seen: Appearance | None, limits: AppearanceLimits) -> tuple[Reason, ...]:
    """Returns what forbids assessing a scan once its vertebrae were cut."""
    if seen is None:
        return (Reason("nothing_to_see", "At the vertebrae that were found there is no bone, or no soft tissue around it."),)
    if seen.noise_hu > limits.most_noise_hu:
        text = f"The noise may be {limits.most_noise_hu:.0f} HU at most. Around the vertebrae it is {seen.noise_hu:.0f} HU."
        return (Reason("extreme_noise", text),)
    return ()


def mind_appearance(seen: Appearance, limits: AppearanceLimits) -> tuple[Reason, ...]:
    """Returns what to mind about a scan that is assessed: metal, and what was not seen in training."""
    reasons = []
    if seen.metal_ml >= limits.metal_ml:
        text = (
            f"There are {seen.metal_ml:.0f} ml of metal, or of something as dense, around the vertebrae; "
            "its streaks hide and mimic fractures."
        )
        reasons.append(Reason("metal", text))
    strange = [
        f"{_WORDS[name]} {value:.0f} ({limits.seen[name][0]:.0f} to {limits.seen[name][1]:.0f} in training)"
        for name, value in seen.values().items()
        if name in limits.seen and name in _WORDS and not limits.seen[name][0] <= value <= limits.seen[name][1]
    ]
    if strange:
        reasons.append(Reason("unlike_training", f"The scan is unlike those of the training set: {', '.join(strange)}."))
    return tuple(reasons)


def what_is_odd(located: Located, volume: Volume) -> tuple[Reason, ...]:
    """Returns what to mind about the vertebrae that were found: doubts of witnesses, gaps, implausible distances and volumes."""
    odd = (reason for reason in check_plausibility(located, volume) if reason.code in _ODD)
    return (*located.reasons, *odd)
