"""Combines what witnesses say: how sure each name is, and why not.

Names come from counting, so a name is as sure as the weakest link of its chain: that the scan shows a neck upright, that the
count begins at the right vertebra, and that each step from there has the size of one vertebra. Each link begins with odds from
before, and its witnesses add their log-likelihood ratios.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from cspine.anatomy import Level
from cspine.locating.located import SURE, Located, Question, Vertebra, Witness
from cspine.locating.measures import DEPTHS_MM, HEIGHTS_MM, PITCHES_MM, WIDTHS_MM, Measures, measure, scale
from cspine.locating.witnesses import log_ratio
from cspine.results import LevelStatus, Reason

_STORED_ODDS, _LINK_ODDS = 3.0, 4.0
"""Log odds from before: that a scan is stored as its header says, and that a step is right."""

_PITCH_SPREAD, _ATLAS_SPREAD = 0.13, 0.2
"""Standard deviations of the logarithm of distances; the middle of C1, a ring that tilts, varies more."""

_HEIGHT_SPREAD, _AXIS_SPREAD, _DEPTH_SPREAD, _WIDTH_SPREAD = 0.16, 0.25, 0.15, 0.13
"""The same of sizes. The height of C2 varies more: its dens may be called C1 in large voxels (:mod:`cspine.locating.dens`)."""

_SIZES = (0.8, 1.35)
"""Sizes of necks, against the usual one, at which a network trained on adults may be trusted."""

_HALF_BODY = 0.65
"""A body of less than this of its height is not whole."""

_UNTRUSTED = 0.5
"""The most that a name is sure in a neck of another size, or across a gap in the count."""


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a count.

    Attributes:
        level: The name that depends on it, and all that are counted from there.
        probability: That it is right.
        text: What speaks against it.
    """

    level: Level
    probability: float
    text: str


def weigh(located: Located, witnesses: Sequence[Witness]) -> Located:
    """Returns the vertebrae with the confidence that the witnesses leave them, and with reasons where names are not sure.

    Args:
        located: The vertebrae as the network and their order name them.
        witnesses: On how the scan is stored, and what it shows.
    """
    if not located.vertebrae:
        return located
    located = with_cut_ends(located)
    measures = measure(located)
    links = count_links(located.vertebrae, measures)
    stored = stored_probability(witnesses)
    trusted = 1.0 if _SIZES[0] <= scale(measures) <= _SIZES[1] else _UNTRUSTED
    vertebrae, weakest = [], 1.0
    for one in located.vertebrae:
        weakest = min([weakest, *(link.probability for link in links if link.level == one.level)])
        vertebrae.append(_weighed(one, min(stored, trusted, weakest)))
    reasons = (*_stored_reasons(stored, witnesses), *_size_reasons(scale(measures)), *_link_reasons(links))
    return replace(located, vertebrae=tuple(vertebrae), reasons=reasons, witnesses=tuple(witnesses))


def with_cut_ends(located: Located) -> Located:
    """Returns the vertebrae, with the first and the last one seen in part where half of its body is missing.

    A mask around the body, or metal, may cut a vertebra far from the border of the scan.
    """
    measures = measure(located)
    size = scale(measures)
    ends = {one.level for one in (*located.vertebrae[:1], *located.vertebrae[-1:])} - {Level.C2}  # its dens may be called C1
    cut = {
        one.level
        for one in measures
        if one.level in ends & HEIGHTS_MM.keys() and one.height_mm < _HALF_BODY * HEIGHTS_MM[one.level] * size
    }
    vertebrae = tuple(
        replace(one, status=LevelStatus.PARTLY_IN_VIEW) if one.level in cut and one.status is LevelStatus.ASSESSED else one
        for one in located.vertebrae
    )
    return replace(located, vertebrae=vertebrae)


def count_odds(located: Located) -> float:
    """Returns the log odds of the weakest step of the count: no neck where it is far below 0."""
    links = count_links(located.vertebrae, measure(located))
    return float(logit(np.clip(min((link.probability for link in links), default=_UNTRUSTED), 1e-6, 1 - 1e-6)))


def stored_probability(witnesses: Sequence[Witness]) -> float:
    """Returns how likely a scan shows a neck as its header says: as likely as the least likely answer to any question.

    Witnesses to one question add up; but a throat in front does not say where the head is.
    """
    asked = {question: sum(one.log_ratio for one in witnesses if one.question is question) for question in Question}
    return float(expit(_STORED_ODDS + min(asked.values())))


def count_links(vertebrae: Sequence[Vertebra], measures: Sequence[Measures]) -> tuple[Link, ...]:
    """Returns the steps of the count from the head, each under the first name that depends on it.

    Args:
        vertebrae: Head to chest.
        measures: Of those that could be measured.
    """
    known, size = {one.level: one for one in measures}, scale(measures)
    width = _width_scale(measures)
    links = []
    for upper, lower in zip([None, *vertebrae], vertebrae, strict=False):
        own = known.get(lower.level)
        if own is not None:
            links.append(_size_link(own, size, width))
        before = known.get(upper.level) if upper is not None else None
        if upper is not None and lower.level > upper.level + 1:
            links.append(Link(lower.level, _UNTRUSTED, f"Nothing was found between {upper.level.name} and {lower.level.name}"))
        elif before is not None and before.pitch_mm is not None:
            links.append(_pitch_link(before, before.pitch_mm, size, vertebrae[0].level))
    return tuple(links)


def _pitch_link(upper: Measures, pitch_mm: float, size: float, first: Level) -> Link:
    """Returns whether two neighbours are one vertebra apart. On the distance of C1 and C2, which anchor the count, all depends."""
    usual = PITCHES_MM[upper.level] * size
    spread = _ATLAS_SPREAD if upper.level is Level.C1 else _PITCH_SPREAD
    level = first if upper.level is Level.C1 else Level(upper.level + 1)
    names = f"{upper.level.name} and {Level(upper.level + 1).name}"
    text = f"{names} are {pitch_mm:.0f} mm apart, where {usual:.0f} mm is usual in a neck of this size"
    return Link(level, float(expit(_LINK_ODDS + log_ratio(pitch_mm, usual, spread))), text)


def _size_link(own: Measures, size: float, width: float) -> Link:
    """Returns whether a vertebra has the sizes of one, against those of the others."""
    ratios = []
    if own.whole:
        for observed, usual, spread in (
            (own.height_mm, HEIGHTS_MM.get(own.level, 0.0) * size, _AXIS_SPREAD if own.level is Level.C2 else _HEIGHT_SPREAD),
            (own.depth_mm, DEPTHS_MM.get(own.level, 0.0) * size, _DEPTH_SPREAD),
            (own.width_mm, WIDTHS_MM.get(own.level, 0.0) * width, _WIDTH_SPREAD),
        ):
            if usual > 0:
                ratios.append(log_ratio(observed, usual, spread))
    text = f"{own.level.name} is {own.height_mm:.0f} mm high, {own.depth_mm:.0f} mm deep and {own.width_mm:.0f} mm wide"
    return Link(own.level, float(expit(_LINK_ODDS + min(sum(ratios), 0.0))), text)


def _width_scale(measures: Sequence[Measures]) -> float:
    """Returns how wide vertebrae are against the usual ones: a scan may hold but the middle of them."""
    ratios = [one.width_mm / WIDTHS_MM[one.level] for one in measures if one.whole and one.level in WIDTHS_MM]
    return float(np.median(ratios)) if ratios else 1.0


def _weighed(vertebra: Vertebra, probability: float) -> Vertebra:
    confidence = min(vertebra.confidence, probability)
    status = vertebra.status if confidence >= SURE else LevelStatus.UNCERTAIN
    return replace(vertebra, confidence=confidence, status=status)


def _stored_reasons(stored: float, witnesses: Sequence[Witness]) -> tuple[Reason, ...]:
    if stored >= SURE:
        return ()
    region = [witness for witness in witnesses if witness.question is Question.REGION]
    if stored_probability(region) < SURE:
        return (Reason("region_doubtful", f"This may be no neck. {_against(region)}"),)
    return (Reason("orientation_doubtful", f"The scan may be stored differently from what its header says. {_against(witnesses)}"),)


def _against(witnesses: Sequence[Witness]) -> str:
    """Returns what was observed that speaks against a neck as stored."""
    return " ".join(witness.text for witness in witnesses if witness.log_ratio < 0)


def _size_reasons(size: float) -> tuple[Reason, ...]:
    if _SIZES[0] <= size <= _SIZES[1]:
        return ()
    return (
        Reason(
            "size_doubtful", f"These vertebrae have {size:.2f} times the usual size; the localiser was trained on necks of adults."
        ),
    )


def _link_reasons(links: Sequence[Link]) -> tuple[Reason, ...]:
    weak = [link for link in links if link.probability < SURE]
    if not weak:
        return ()
    text = f"Names from {weak[0].level.name} on may be wrong. {'; '.join(link.text for link in weak)}."
    return (Reason("count_doubtful", text),)
