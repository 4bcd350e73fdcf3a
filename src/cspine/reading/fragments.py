"""The compressed images of a DICOM file, one for each frame (DICOM PS3.5, A.4)."""

import numpy as np

from cspine.reading.codestreams import starts
from cspine.reading.messages import Refusal

_ITEM = b"\xfe\xff\x00\xe0"


def split(data: bytes, frames: int, name: str) -> list[bytes]:
    """Returns the compressed image of each frame.

    Frames of several fragments are separated by the offset table, or else by how a compressed image begins.

    Args:
        data: The value of Pixel Data, from its first item on.
        frames: How many images there should be.
        name: What to call the file in a message.

    Raises:
        PixelError: There are too few bytes or another number of images.
    """
    items = _items(data, name)
    table, fragments = items[0][1], items[1:]
    if frames == 1:
        return [b"".join(fragment for _, fragment in fragments)]
    if len(fragments) == frames:
        return [bytes(fragment) for _, fragment in fragments]
    first = fragments[0][0]
    heads = [first + int(offset) for offset in np.frombuffer(table[: len(table) // 4 * 4], "<u4")]
    if len(heads) != frames or heads[0] != first:
        heads = [at for at, fragment in fragments if starts(bytes(fragment[:12]))]
    if len(heads) != frames:
        raise Refusal.DAMAGED_PIXELS.error(name=name, cause=f"{len(heads)} images for {frames} frames")
    places = np.searchsorted(heads, [at for at, _ in fragments], side="right") - 1
    images: list[list[memoryview]] = [[] for _ in range(frames)]
    for place, (_, fragment) in zip(places, fragments, strict=True):
        images[max(0, int(place))].append(fragment)
    return [b"".join(image) for image in images]


def _items(data: bytes, name: str) -> list[tuple[int, memoryview]]:
    """Returns where each item begins, and its value; the first is the offset table."""
    view, at = memoryview(data), 0
    items: list[tuple[int, memoryview]] = []
    while data[at : at + 4] == _ITEM:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > len(data):
            raise Refusal.TRUNCATED_PIXELS.error(name=name, wanted=length, found=len(data) - at - 8)
        items.append((at, view[at + 8 : at + 8 + length]))
        at += 8 + length
    if len(items) < 2:
        raise Refusal.TRUNCATED_PIXELS.error(name=name, wanted="some", found=0)
    return items
