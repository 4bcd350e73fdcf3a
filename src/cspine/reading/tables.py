"""Modality lookup tables (PS3.3, C.11.1): what stored values mean, entry by entry."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

_ENTRIES = 1 << 16
_HOUNSFIELD = "HU"


@dataclass(frozen=True, slots=True)
class ModalityTable:
    """A lookup table.

    Attributes:
        unit: What its entries are, as ``HU`` or ``US`` (unspecified).
        first: The stored value of the first entry.
        entries: Numbers of 16 bits with a sign, little endian: a table of Hounsfield units has those of air.
    """

    unit: str
    first: int
    entries: bytes = field(repr=False)

    @property
    def is_hounsfield(self) -> bool:
        """Says whether its entries are declared as Hounsfield units."""
        return self.unit == _HOUNSFIELD

    def applied(self, stored: NDArray[np.integer]) -> NDArray[np.int16]:
        """Returns what stored values mean; those before the first or after the last entry mean what that one does."""
        entries = np.frombuffer(self.entries, "<i2").astype(np.int16)
        return entries[np.clip(stored.astype(np.int64) - self.first, 0, len(entries) - 1)]


def table_of(dataset: Dataset, signed: bool) -> ModalityTable | None:
    """Returns the modality lookup table of a header, or ``None`` where it has none.

    Args:
        dataset: The header.
        signed: Whether stored values have a sign.

    Raises:
        ValueError: It contradicts itself.
    """
    items = dataset.get("ModalityLUTSequence")
    if not items:
        return None
    item = items[0]
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if dataset.original_encoding[1] else ">"
        entries = np.frombuffer(data, f"{order}u2")
    else:
        entries = np.asarray(data).astype(np.int64).astype(np.uint16)
    wanted = count or _ENTRIES
    if len(entries) != wanted or not 8 <= bits <= 16:
        raise ValueError(f"its lookup table has {len(entries)} entries instead of {wanted}, of {bits} bits")
    if signed and first >= 1 << 15:
        first -= 1 << 16
    return ModalityTable(str(item.get("ModalityLUTType") or "").strip().upper(), first, entries.astype("<u2").tobytes())
