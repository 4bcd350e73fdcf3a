"""Finds which bits of a stored pixel hold its value, and what the others hold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.reading.frames import Frame
from cspine.reading.messages import Refusal

_SMOOTH = 0.25
"""Share of what the first bit above counts by which neighbours may differ without it."""

Stored = NDArray[np.integer[Any]]


def values_of(stored: Stored, frame: Frame, signed: bool) -> tuple[Stored, bool]:
    """Returns stored values with the bits that do not count removed, and with their sign.

    Bits above those stored may be the same in all pixels, repeat the sign, be overlays that the header declares, or be drawings
    without which values go on. Where they repeat the topmost bit stored, values have a sign whatever the header says.

    Args:
        stored: As decoded, ``(rows, columns)``.
        frame: What its header says.
        signed: Whether values have a sign, by header or compressed image.

    Returns:
        The values, and whether they have a sign.

    Raises:
        StudyError: Bits beside those stored hold values too.
    """
    form = frame.pixels
    if stored.dtype.kind == "i":  # JPEG 2000 with a sign gives it
        return stored, signed
    shift, above = form.high_bit + 1 - form.bits_stored, stored.dtype.itemsize * 8 - form.high_bit - 1
    if shift == 0 and above <= 0:
        return stored.view(stored.dtype.str.replace("u", "i")) if signed and above == 0 else stored, signed
    if above < 0:  # a codestream of fewer bytes than were allocated
        return stored, signed
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    varying = int(np.bitwise_or.reduce(native, axis=None)) ^ int(np.bitwise_and.reduce(native, axis=None))
    if varying & ((1 << shift) - 1):
        raise _refusal(frame)
    high = varying >> (form.high_bit + 1) << (form.high_bit + 1) & ~form.overlay_bits
    if high:
        signed = _check_high(native, frame, signed, above)
    if signed:
        native = native.view(f"i{stored.dtype.itemsize}")
    return np.right_shift(np.left_shift(native, above), above + shift), signed


def _check_high(native: Stored, frame: Frame, signed: bool, above: int) -> bool:
    """Says whether values have a sign, where bits above those stored vary.

    Raises:
        StudyError: They hold values.
    """
    whole = native.view(f"i{native.dtype.itemsize}")
    if np.array_equal(np.right_shift(np.left_shift(whole, above), above), whole):
        return True
    if not signed and _is_drawn(native, above, 1 << (frame.pixels.high_bit + 1)):
        return signed
    raise _refusal(frame)


def _is_drawn(native: Stored, above: int, first_above: int) -> bool:
    """Says whether values go on without the bits above where those change; one that needs them wraps there."""
    kept = np.right_shift(np.left_shift(native, above), above).astype(np.int64)
    high = native.astype(np.int64) - kept
    steps = [np.abs(np.diff(kept, axis=axis))[np.diff(high, axis=axis) != 0] for axis in (0, 1)]
    return bool(np.median(np.concatenate(steps)) < _SMOOTH * first_above)


def _refusal(frame: Frame) -> Exception:
    form = frame.pixels
    return Refusal.HIGH_BITS.error(name=frame.name, stored=form.bits_stored, high=form.high_bit)
