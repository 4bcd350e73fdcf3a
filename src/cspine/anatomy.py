"""The vertebrae that are assessed, their names, label values and codes.

Label values follow the RSNA 2022 masks: 0 background, 1..7 C1..C7, 8..19 T1..T12.
"""

from dataclasses import dataclass
from enum import IntEnum

BACKGROUND = 0
OTHER_BONE = 20
"""Bone that is no vertebra, in label maps of our own."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept.

    Attributes:
        value: Code value, for instance ``14806007``.
        scheme: Coding scheme designator, for instance ``SCT``.
        meaning: What a person reads.
    """

    value: str
    scheme: str
    meaning: str


class Level(IntEnum):
    """A vertebra; its value is its label in a mask."""

    C1 = 1
    C2 = 2
    C3 = 3
    C4 = 4
    C5 = 5
    C6 = 6
    C7 = 7
    T1 = 8

    @property
    def code(self) -> Code:
        """Returns the SNOMED CT code of the vertebra (SNOMED International, as in DICOM PS3.16)."""
        return _CODES[self]

    @classmethod
    def from_name(cls, name: str) -> "Level":
        """Returns the level that a table calls ``name``.

        Raises:
            KeyError: No such level.
        """
        return cls[name.strip().upper()]


CERVICAL: tuple[Level, ...] = tuple(level for level in Level if level <= Level.C7)
"""C1..C7, head to chest: the order of every array with one entry per level."""

CERVICAL_SPINE = Code("122494005", "SCT", "Cervical spine")
FRACTURE = Code("125605004", "SCT", "Fracture of bone")

_CODES = {
    Level.C1: Code("14806007", "SCT", "C1 vertebra"),
    Level.C2: Code("39976000", "SCT", "C2 vertebra"),
    Level.C3: Code("113205007", "SCT", "C3 vertebra"),
    Level.C4: Code("5329002", "SCT", "C4 vertebra"),
    Level.C5: Code("36978003", "SCT", "C5 vertebra"),
    Level.C6: Code("36054005", "SCT", "C6 vertebra"),
    Level.C7: Code("87391001", "SCT", "C7 vertebra"),
    Level.T1: Code("64864005", "SCT", "T1 vertebra"),
}
