"""Turns stored pixels into Hounsfield units, exactly.

imagecodecs decodes every syntax below, JPEG Lossless five times as fast as GDCM (``benchmarks/reading.py``).
"""

import threading
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from cspine.reading import limits
from cspine.reading.bits import values_of
from cspine.reading.codestreams import Codec, Codestream, head_of
from cspine.reading.facts import DamagedFileError
from cspine.reading.fragments import split
from cspine.reading.frames import Frame, PixelPlace
from cspine.reading.headers import plain
from cspine.reading.messages import Refusal
from cspine.reading.places import Place, ZipPlace
from cspine.volume import AIR_HU

_MOST = np.iinfo(np.int16).max
_END_OF_IMAGE, _TAIL = b"\xff\xd9", 64
_GREY = ("", "MONOCHROME1", "MONOCHROME2")  # which of them tells how to show values, not what they are
_RLE = "1.2.840.10008.1.2.5"
_RETIRED_JPEG = (
    "1.2.840.10008.1.2.4.52",
    "1.2.840.10008.1.2.4.56",
    *(f"1.2.840.10008.1.2.4.{n}" for n in (53, 54, 55, *range(58, 67))),
)


@dataclass(frozen=True, slots=True)
class Syntax:
    """A transfer syntax that is read.

    Attributes:
        name: What to call it.
        compressed: Whether pixels come as fragments.
        lossy: Whether it loses something, for certain.
    """

    name: str
    compressed: bool = False
    lossy: bool = False


SYNTAXES = {
    "": Syntax("not stated"),
    "1.2.840.10008.1.2": Syntax("Implicit VR Little Endian"),
    "1.2.840.10008.1.2.1": Syntax("Explicit VR Little Endian"),
    "1.2.840.10008.1.2.1.99": Syntax("Deflated Explicit VR Little Endian"),
    "1.2.840.10008.1.2.2": Syntax("Explicit VR Big Endian"),
    "1.2.840.10008.1.2.4.50": Syntax("JPEG Baseline", compressed=True, lossy=True),
    "1.2.840.10008.1.2.4.51": Syntax("JPEG Extended", compressed=True, lossy=True),
    "1.2.840.10008.1.2.4.57": Syntax("JPEG Lossless", compressed=True),
    "1.2.840.10008.1.2.4.70": Syntax("JPEG Lossless SV1", compressed=True),
    "1.2.840.10008.1.2.4.80": Syntax("JPEG-LS Lossless", compressed=True),
    "1.2.840.10008.1.2.4.81": Syntax("JPEG-LS Near-lossless", compressed=True, lossy=True),
    "1.2.840.10008.1.2.4.90": Syntax("JPEG 2000 Lossless", compressed=True),
    "1.2.840.10008.1.2.4.91": Syntax("JPEG 2000", compressed=True, lossy=True),
    "1.2.840.10008.1.2.4.201": Syntax("HTJ2K Lossless", compressed=True),
    "1.2.840.10008.1.2.4.202": Syntax("HTJ2K Lossless RPCL", compressed=True),
    "1.2.840.10008.1.2.4.203": Syntax("HTJ2K", compressed=True, lossy=True),
    _RLE: Syntax("RLE Lossless", compressed=True),
}
"""Every transfer syntax that is read."""


def refusal_of_format(frame: Frame) -> Refusal | None:
    """Returns what speaks against decoding a frame, as far as its header tells."""
    form, rescale = frame.pixels, frame.rescale
    bits = form.bits_allocated in (8, 16, 32) and 1 <= form.bits_stored <= form.high_bit + 1 <= form.bits_allocated
    scaled = 0 < abs(rescale.slope) <= limits.STEEPEST_SLOPE and abs(rescale.intercept) <= limits.FARTHEST_INTERCEPT
    faults = {
        Refusal.RETIRED_COMPRESSION: form.transfer_syntax in _RETIRED_JPEG,
        Refusal.UNSUPPORTED_COMPRESSION: form.transfer_syntax not in SYNTAXES,
        Refusal.BAD_PIXEL_FORMAT: not bits,
        Refusal.BAD_RESCALE: not scaled,
        Refusal.MODALITY_LUT: rescale.table is not None and not rescale.table.is_hounsfield,
        Refusal.NOT_GREY: form.photometric not in _GREY,
        Refusal.NO_PIXELS: frame.place is None,
    }
    return next((refusal for refusal, found in faults.items() if found), None)


class PixelReader:
    """Reads the pixels of frames; several threads may ask at once.

    A file with several frames is unpacked once and kept until the reader goes.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._files: dict[str, bytes] = {}
        self._images: dict[str, list[bytes]] = {}

    def decode(self, frame: Frame, out: NDArray[Any]) -> bool:
        """Reads a frame into ``out`` ``(rows, columns)`` as Hounsfield units, float32, or int16 where :func:`is_whole` says so.

        What lies outside the scan circle becomes air.

        Returns:
            Whether header and pixels agree about the sign.

        Raises:
            StudyError: The file changed, or its pixels are missing or damaged.
            NoRoomError: A value is greater than int16 can hold.
        """
        where = _place_of(frame)
        signed = frame.pixels.signed
        if where.length is None:
            stored, signed = _decompressed(self._compressed(frame, where), frame)
        elif SYNTAXES[frame.pixels.transfer_syntax].compressed:
            raise Refusal.DAMAGED_PIXELS.error(name=frame.name, cause="it is not divided into fragments")
        else:
            stored = self._uncompressed(frame, where, where.length)
        values, has_sign = values_of(stored, frame, signed)
        _to_hu(values, frame, out)
        return has_sign == frame.pixels.signed

    def _bytes(self, frame: Frame, where: PixelPlace, start: int, count: int | None) -> bytes:
        """Returns the bytes of the plain file."""
        if not where.deflated and (where.frames == 1 or not isinstance(self._place, ZipPlace)):
            return self._place.read(where.entry, start, count)
        with self._lock:
            data = self._files.get(where.entry.name)
            if data is None:
                data = _plain(self._place.read(where.entry), frame)
                if where.frames > 1:
                    self._files[where.entry.name] = data
        return data[start:] if count is None else data[start : start + count]

    def _uncompressed(self, frame: Frame, where: PixelPlace, length: int) -> NDArray[np.integer[Any]]:
        form = frame.pixels
        wanted = form.rows * form.columns * form.bits_allocated // 8
        skipped = where.frame * wanted
        if length - wanted * where.frames >= max(2, wanted // form.rows):
            raise Refusal.EXCESS_PIXELS.error(name=frame.name, wanted=wanted * where.frames, found=length)
        data = self._bytes(frame, where, where.offset + skipped, min(wanted, max(0, length - skipped)))
        if len(data) < wanted:
            raise Refusal.TRUNCATED_PIXELS.error(name=frame.name, wanted=wanted, found=len(data))
        order = ">" if form.big_endian else "<"
        return np.frombuffer(data, f"{order}u{form.bits_allocated // 8}").reshape(form.rows, form.columns)

    def _compressed(self, frame: Frame, where: PixelPlace) -> bytes:
        if where.frames == 1:
            return split(self._bytes(frame, where, where.offset, None), 1, frame.name)[0]
        name = where.entry.name
        with self._lock:
            if name not in self._images:
                data = _plain(self._place.read(where.entry), frame) if where.deflated else self._place.read(where.entry)
                self._images[name] = split(data[where.offset :], where.frames, name)
            return self._images[name][where.frame]


def _place_of(frame: Frame) -> PixelPlace:
    if frame.place is None:
        raise Refusal.NO_PIXELS.error(name=frame.name)
    return frame.place


def _plain(data: bytes, frame: Frame) -> bytes:
    try:
        return plain(data)[0]
    except DamagedFileError as error:
        raise Refusal.CHANGED_WHILE_READ.error(name=frame.name) from error


def _decompressed(data: bytes, frame: Frame) -> tuple[NDArray[np.integer[Any]], bool]:
    """Returns stored values and whether they have a sign."""
    form = frame.pixels
    if form.transfer_syntax == _RLE:
        return _run_lengths(data, frame), form.signed
    head = head_of(data)
    if head is None:
        raise Refusal.DAMAGED_PIXELS.error(name=frame.name, cause="it has no head")
    _check_head(head, frame)
    if head.codec is Codec.JPEG and _END_OF_IMAGE not in data[-_TAIL:]:  # libjpeg would fill up with grey
        raise Refusal.DAMAGED_PIXELS.error(name=frame.name, cause="it ends too early")
    try:
        stored = np.asarray(_DECODERS[head.codec](data))
    # each codec has errors of its own; all derive from RuntimeError or ValueError
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise Refusal.DAMAGED_PIXELS.error(name=frame.name, cause=error) from error
    if stored.shape != (form.rows, form.columns) or stored.dtype.kind not in "iu":
        found = f"{stored.dtype} of shape {stored.shape}"
        raise Refusal.CODESTREAM_DISAGREES.error(name=frame.name, found=found, wanted=f"{form.rows} x {form.columns}")
    return stored, form.signed or head.signed


_DECODERS = {
    Codec.JPEG: imagecodecs.jpeg_decode,
    Codec.JPEG_LS: imagecodecs.jpegls_decode,
    Codec.JPEG_2000: imagecodecs.jpeg2k_decode,
}


def _check_head(head: Codestream, frame: Frame) -> None:
    form = frame.pixels
    if (head.rows, head.columns, head.components) != (form.rows, form.columns, 1) or head.bits > form.bits_allocated:
        raise Refusal.CODESTREAM_DISAGREES.error(
            name=frame.name,
            found=f"{head.rows} x {head.columns} x {head.components} of {head.bits} bits",
            wanted=f"{form.rows} x {form.columns} x 1 of {form.bits_allocated} bits",
        )


def _run_lengths(data: bytes, frame: Frame) -> NDArray[np.integer[Any]]:
    form = frame.pixels
    size = form.bits_allocated // 8
    wanted = form.rows * form.columns * size
    segments = int.from_bytes(data[:4], "little")
    if segments != size:
        raise Refusal.CODESTREAM_DISAGREES.error(name=frame.name, found=f"{segments} bytes per pixel", wanted=size)
    try:
        raw = imagecodecs.dicomrle_decode(data, dtype=f"<u{size}", out=wanted)
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise Refusal.DAMAGED_PIXELS.error(name=frame.name, cause=error) from error
    if len(raw) != wanted:
        raise Refusal.DAMAGED_PIXELS.error(name=frame.name, cause=f"{len(raw)} bytes instead of {wanted}")
    return np.frombuffer(raw, f"<u{size}").reshape(form.rows, form.columns)


class NoRoomError(Exception):
    """A value is greater than int16 can hold."""


def is_whole(frame: Frame) -> bool:
    """Says whether the Hounsfield units of a frame are whole numbers that int16 holds, as far as its header tells."""
    slope, intercept = frame.rescale.slope, frame.rescale.intercept
    plain = frame.rescale.table is None and frame.pixels.bits_allocated < 32
    return plain and slope == 1.0 and intercept == round(intercept) and abs(intercept) <= _MOST


def _to_hu(stored: NDArray[np.integer[Any]], frame: Frame, out: NDArray[Any]) -> None:
    if out.dtype == np.int16:
        _to_whole_hu(stored, int(frame.rescale.intercept), out)
    else:
        _to_float_hu(stored, frame, out)
    padding = _padding(frame)
    if padding is not None and is_filling(frame):
        np.copyto(out, out.dtype.type(AIR_HU), where=(stored >= padding[0]) & (stored <= padding[1]))


def _to_whole_hu(stored: NDArray[np.integer[Any]], intercept: int, out: NDArray[np.int16]) -> None:
    may_be_more = intercept > 0 or not np.can_cast(stored.dtype, np.int16)
    if may_be_more and int(stored.max()) + intercept > _MOST:
        raise NoRoomError
    whole = stored.view("<i2") if stored.dtype == "<u2" else stored  # which spares numpy a buffer
    np.add(whole, np.int16(intercept), out=out, casting="unsafe", dtype=np.int16)
    if int(stored.min()) + intercept < limits.AIR_BELOW_HU:  # asked of what is stored, as what is far below has come round
        np.copyto(out, np.int16(AIR_HU), where=stored < int(limits.AIR_BELOW_HU) - intercept)


def _to_float_hu(stored: NDArray[np.integer[Any]], frame: Frame, out: NDArray[np.float32]) -> None:
    slope, intercept = frame.rescale.slope, frame.rescale.intercept
    if frame.rescale.table is not None:
        out[...] = frame.rescale.table.applied(stored)
    elif slope == 1.0 and intercept == round(intercept) and abs(intercept) < 1 << 20 and stored.dtype.itemsize < 4:
        np.add(stored, np.float32(intercept), out=out, casting="unsafe", dtype=np.float32)
    else:
        out[...] = stored.astype(np.float64) * slope + intercept
    if out.min() < limits.AIR_BELOW_HU:
        np.copyto(out, np.float32(AIR_HU), where=out < limits.AIR_BELOW_HU)


def is_filling(frame: Frame) -> bool:
    """Says whether the padding value of a frame, if it has one, cannot be tissue."""
    padding = _padding(frame)
    if padding is None:
        return True
    hu = [value * frame.rescale.slope + frame.rescale.intercept for value in padding]
    return max(hu) <= limits.PADDING_BELOW_HU or min(hu) >= limits.PADDING_ABOVE_HU


def most_hu(frame: Frame) -> float:
    """Returns the greatest value in Hounsfield units that a frame could hold."""
    if frame.rescale.table is not None:
        return float("inf")
    form = frame.pixels
    ends = (-(1 << (form.bits_stored - 1)), (1 << (form.bits_stored - 1)) - 1) if form.signed else (0, (1 << form.bits_stored) - 1)
    return max(end * frame.rescale.slope + frame.rescale.intercept for end in ends)


def padding_hu(frame: Frame) -> float | None:
    """Returns the padding value in Hounsfield units."""
    padding = _padding(frame)
    return None if padding is None else padding[0] * frame.rescale.slope + frame.rescale.intercept


def _padding(frame: Frame) -> tuple[int, int] | None:
    """Returns the first and the last stored value that is padding, with the sign that the pixels have."""
    if frame.rescale.padding is None or frame.rescale.table is not None:
        return None
    whole = 1 << frame.pixels.bits_stored
    first, last = (value % whole for value in frame.rescale.padding)
    if frame.pixels.signed:
        first, last = (value - whole if value >= whole // 2 else value for value in (first, last))
    return min(first, last), max(first, last)
