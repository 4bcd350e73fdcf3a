"""Checks that values can be Hounsfield units: where air, soft tissue and bone lie, and whether anything was cut off.

Limits were set on 191 real necks, ten other real scans and phantoms, each as it is and shifted, scaled, wrapped and windowed
(``limits``): what is right lies far on one side, what is wrong far on the other.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.reading import limits
from cspine.reading.messages import Notice, Refusal
from cspine.study import ReadingWarning

_SAMPLES = 1_000_000
_LOWEST, _HIGHEST = -1100, 4100
_BONE_ABOVE_HU = 200
_SOFT_HU = (-150, 150)
_AROUND_HU = 41
_SHIFTED_SOFT_HU = (800, 1300)
_FEWEST, _FEWEST_PILED, _FEWEST_STEPS = 1000, 30, 5
_BESIDE_HU = 100
_STEPPED_HU = (-200, 400)
_NEAR_HU = 50
_MOSTLY = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts how many voxels have which value, of about a million spread over a volume.

    Attributes:
        counts: Voxels for each whole HU from -1100 to 4100; the ends hold what is beyond.
        least: The least value.
        most: The greatest value.
        beyond: Share of voxels that no metal reaches.
    """

    counts: NDArray[np.int64] = field(repr=False)
    least: float
    most: float
    beyond: float

    @classmethod
    def of(cls, hu: NDArray[Any]) -> "Histogram":
        """Returns the histogram of Hounsfield units ``(slices, rows, columns)``: some rows and columns of every slice."""
        step = max(1, round((hu.size / _SAMPLES) ** 0.5))
        some = hu[:, ::step, ::step].astype(np.float32, order="C").ravel()  # once from afar; all that follows is near
        least, most = float(some.min()), float(some.max())
        beyond = float(np.mean(some > limits.BEYOND_METAL_HU)) if most > limits.BEYOND_METAL_HU else 0.0
        np.clip(some, _LOWEST, _HIGHEST, out=some)
        np.rint(some, out=some)
        some -= _LOWEST
        counts = np.bincount(some.astype(np.intp), minlength=_HIGHEST - _LOWEST + 1)
        return cls(counts, least, most, beyond)

    def between(self, low: float, high: float = _HIGHEST) -> int:
        """Counts the voxels from ``low`` to ``high`` HU, both included."""
        return int(self.counts[round(low) - _LOWEST : round(high) - _LOWEST + 1].sum())

    def quantile(self, share: float, low: int) -> int:
        """Returns the value below which a share of the voxels from ``low`` HU on lie."""
        summed = np.cumsum(self.counts[low - _LOWEST :])
        return low + int(np.searchsorted(summed, share * summed[-1]))


@dataclass(frozen=True, slots=True)
class Fault:
    """Says why values are not taken for Hounsfield units.

    Attributes:
        refusal: The kind of fault.
        found: What was found, as the end of a sentence about "they", the values.
    """

    refusal: Refusal
    found: str


def check_hounsfield(hu: NDArray[Any], place: str, most_hu: float = np.inf) -> tuple[ReadingWarning, ...]:
    """Checks a million voxels, and gives what is unusual about them.

    Args:
        hu: Values, ``(slices, rows, columns)``.
        place: What to call them in a message.
        most_hu: The greatest value that could be stored.

    Raises:
        PixelError: They cannot be Hounsfield units, or were cut off where bone or air is.
    """
    histogram = Histogram.of(hu)
    fault = _fault_in(histogram)
    if fault is None and most_hu < limits.BONE_REACHES_HU and histogram.most > most_hu - _NEAR_HU:
        fault = Fault(Refusal.CLIPPED, f"Bits Stored hold nothing above {most_hu:g} HU, and bone reaches {histogram.most:g} HU")
    if fault is not None:
        raise fault.refusal.error(place=place, found=fault.found)
    return tuple(_doubts_about(histogram))


def fault_of(hu: NDArray[Any]) -> Fault | None:
    """Returns why values ``(slices, rows, columns)`` are not taken for Hounsfield units, or ``None``."""
    return _fault_in(Histogram.of(hu))


def _fault_in(values: Histogram) -> Fault | None:
    reach = f"they reach from {values.least:g} to {values.most:g}"
    wrong = _fault_of_ends(values) or _fault_of_tissue(values)
    if wrong is not None:
        return Fault(Refusal.NOT_HU, f"{reach}, {wrong}")
    cut = _floor(values) or _ceiling(values)
    if cut is not None:
        return Fault(Refusal.CLIPPED, cut)
    if values.least > limits.DARKEST_MUST_BE_BELOW_HU:
        return Fault(Refusal.NOT_HU, f"{reach}, so there is no air")
    if values.most < limits.BRIGHTEST_MUST_BE_ABOVE_HU:
        return Fault(Refusal.NOT_HU, f"{reach}, so there is no bone")
    return None


def _fault_of_ends(values: Histogram) -> str | None:
    """Returns why values are too great or not small enough, as the end of a sentence."""
    if values.least > limits.LOWEST_FLOOR_HU:
        return f"so there is no air{_shift(values)}"
    if values.quantile(0.95, _LOWEST) > limits.NINETEEN_OF_TWENTY_MUST_BE_BELOW_HU:
        return "and many are denser than any bone"
    if values.beyond > limits.MOST_BEYOND_METAL:
        return f"and {values.beyond:.1%} are denser than any metal, as where a sign was lost"
    return None


def _shift(values: Histogram) -> str:
    """Returns a note on a missing intercept, where tissue lies where it would without one."""
    low, high = _SHIFTED_SOFT_HU
    share = values.between(low, high) / max(1, values.between(_BONE_ABOVE_HU))
    return ", and tissue lies near 1000, as where Rescale Slope or Intercept are missing" if share > limits.MOST_SHIFTED else ""


def _floor(values: Histogram) -> str | None:
    """Returns where values of air are cut off, as the end of a sentence."""
    piled = values.between(values.least, values.least) > limits.FLOOR_SHARE * values.counts.sum()
    return f"air is cut off at {values.least:g} HU" if piled and values.least > limits.DARKEST_MUST_BE_BELOW_HU else None


def _ceiling(values: Histogram) -> str | None:
    """Returns where values of bone are cut off or squeezed, as the end of a sentence; nothing for painted densities."""
    if _is_painted(values):
        return None
    piled = _pile(values)
    bone = values.between(_BONE_ABOVE_HU)
    if piled is not None:
        share = values.between(piled, piled) / max(1, bone)
        return f"{min(share, 1):.1%} of bone is cut off at {piled} HU"
    if bone < _FEWEST:
        return None
    top = values.quantile(0.999, _BONE_ABOVE_HU)
    near = round(limits.NEAR_THE_TOP * top)
    share = values.between(near + 1) / bone
    rising = values.between(near + 1) > values.between(2 * near - top + 1, near)  # dense bone thins out towards its densest
    spread = values.between(_BONE_ABOVE_HU / 2, 0.8 * top) / bone  # bone of one density with noise on it is not squeezed
    if top < limits.BONE_REACHES_HU and share > limits.MOST_NEAR_THE_TOP and rising and spread > limits.LEAST_SPREAD:
        return f"bone ends abruptly at {top} HU, with {share:.1%} of it right below, as after a lookup table or where values wrap"
    return None


def _is_painted(values: Histogram) -> bool:
    """Says whether nearly all soft tissue has one value, as in drawings for tests, where blocks of one density are no ceiling."""
    low, high = _SOFT_HU
    soft = values.counts[low - _LOWEST : high - _LOWEST + 1]
    return bool(soft.max() > limits.MOST_OF_ONE_VALUE * soft.sum())


def _pile(values: Histogram) -> int | None:
    """Returns the value within bone that far more voxels have than values a little below, or ``None``.

    Values below must be there: blocks of one density, as phantoms for tests have, are no ceiling.
    """
    summed = np.concatenate([[0], np.cumsum(values.counts)])
    present = np.concatenate([[0], np.cumsum(values.counts > 0)])
    at = np.arange(limits.LOWEST_CEILING_HU, limits.BONE_REACHES_HU + 1) - _LOWEST
    below, steps = summed[at] - summed[at - _BESIDE_HU], present[at] - present[at - _BESIDE_HU]
    times = values.counts[at] * steps / np.maximum(below, 1)
    times[(values.counts[at] < _FEWEST_PILED) | (steps < _FEWEST_STEPS)] = 0
    best = int(np.argmax(times))
    return int(at[best]) + _LOWEST if times[best] > limits.MOST_PILED else None


def _fault_of_tissue(values: Histogram) -> str | None:
    """Returns why values in the range of soft tissue are something else, as the end of a sentence."""
    first = round(limits.DARKEST_MUST_BE_BELOW_HU) + 1
    tissue = values.between(first)
    if tissue < _FEWEST:
        return None
    if _shift(values):
        return "but much lies near 1000 HU, where tissue comes to lie where Rescale Slope or Intercept are missing"
    soft = values.between(*_SOFT_HU) / tissue
    if soft < limits.LEAST_SOFT_TISSUE:
        return f"but only {soft:.1%} of what is denser than {first - 1} HU is soft tissue"
    smooth = np.convolve(values.counts[first - _LOWEST :], np.ones(_AROUND_HU, dtype=np.int64), "same")
    peak = first + int(np.argmax(smooth))
    low, high = limits.SOFT_TISSUE_PEAKS_HU
    return None if low <= peak <= high else f"but most of the tissue lies near {peak} HU"


def _doubts_about(values: Histogram) -> list[ReadingWarning]:
    doubts = []
    if values.least > limits.AIR_MUST_BE_BELOW_HU:
        doubts.append(Notice.NO_AIR.warning(least=values.least))
    step = _step(values)
    if step >= limits.COARSE_STEP_HU:
        doubts.append(Notice.COARSE_VALUES.warning(step=step))
    return doubts


def _step(values: Histogram) -> float:
    """Returns the distance between values of soft tissue, where they are even; else 1."""
    low, high = _STEPPED_HU
    gaps = np.diff(np.flatnonzero(values.counts[low - _LOWEST : high - _LOWEST + 1]))
    if len(gaps) < _FEWEST_STEPS or values.between(low, high) < _FEWEST:
        return 1.0
    step = float(np.median(gaps))
    return step if np.mean(np.abs(gaps - step) <= 1) > _MOSTLY else 1.0
