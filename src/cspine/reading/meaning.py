"""Tells what the values of an image mean, as far as its header says: Hounsfield units of a cross-section, or something else.

Image Type and Rescale Type: DICOM PS3.3, C.8.2.1, C.8.15.3.8 and C.11.1.1.2. Makers write what they like beside them, so names that
are usual on scanners are known too, in Image Type and Series Description.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from cspine.reading.frames import SeriesFacts

USUAL_KEV = (60.0, 80.0)
"""Virtual mono-energetic images of these energies show bone much as 120 kV do."""

_HOUNSFIELD = ("", "HU", "HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNSFIELD UNITS", "HOUNSFIELD_UNIT", "HOUNSFIELD_UNITS")
_KNOWN_UNITS = ("US", "MGML", "Z_EFF", "ED", "EDW", "OD", "PCT", "HU_MOD")
_KEV = re.compile(r"(\d{2,3}(?:\.\d+)?)[ _-]*KEV|KEV[ _-]*(\d{2,3})|(?:MONO|VMI)[A-Z+]*[ _-]*(\d{2,3})(?!\d)")


def _words(pattern: str) -> re.Pattern[str]:
    """Compiles the words of a pattern, with no letter before or after."""
    return re.compile(rf"(?<![A-Z])(?:{pattern})(?![A-Z])")


_MAPS = {
    "a projection or rendering": _words(
        "MIP|MINIP|MNIP|MAXIP|AVGIP|(MIN|MAX|MEAN|AVERAGE) ?IP|PROJECTION( IMAGE)?|(MINIMUM|MAXIMUM) INTENSITY|"
        "VRT|VOLREN|VOLUME RENDER(ING)?|SURFACE RENDER(ING)?|SSD|CPR|CURVED( MPR)?"
    ),
    "a map of atomic numbers or electron densities": _words(
        "Z ?EFF(ECTIVE)?|EFFECTIVE Z|EFF(ECTIVE)? ATOMIC NUM(BER)?|RHO( Z)?|ELECTRON DENSITY|EDW"
    ),
    "a map of one material, or without one": _words(
        "IODINE(?! CONTRAST)|IODIN|IOD|JOD|VNC|VNCA|VUE|VIRTUAL NON ?(CONTRAST|CALCIUM)|VIRTUAL UNENHANCED|"
        "MAT (SPECIFIC|REMOVED|FRACTIONAL|MODIFIED|VALUE BASED)|CALCIUM SUPP?(RESSION|RESSED)?|CASUPP?|URIC ACID|"
        "BONE ?(REMOVAL|REMOVED|MARROW)|BONELESS|SUBTRACT(ED|ION)"
    ),
    "an image of perfusion": _words("PERF|PERFUSION|R?CBF|R?CBV|MTT|TTP|TTD|TMAX|BLOOD (FLOW|VOLUME)|TIME TO PEAK"),
}


@dataclass(frozen=True, slots=True)
class Unusual:
    """Names what images show instead of thin cross-sections in the Hounsfield units of a usual tube.

    Attributes:
        kind: In words, as ``an image of perfusion``.
        has_hounsfield_units: Whether bone still looks like bone: of slabs and of other energies.
    """

    kind: str
    has_hounsfield_units: bool = False


@lru_cache(maxsize=1024)
def unusual(facts: SeriesFacts) -> Unusual | None:
    """Returns what an image shows, as far as its header says, or ``None`` for the usual."""
    if facts.rescale_type not in _HOUNSFIELD:
        unit = facts.rescale_type if facts.rescale_type in _KNOWN_UNITS else "unknown"
        return Unusual(f"in another unit than Hounsfield's (Rescale Type {unit})")
    kinds = _plain(" ".join(facts.image_type)), _plain(facts.description)
    for kind, words in _MAPS.items():
        if any(words.search(text) for text in kinds):
            return Unusual(kind)
    energy = energy_of(facts)
    if energy is not None and not USUAL_KEV[0] <= energy <= USUAL_KEV[1]:
        return Unusual(f"virtual mono-energetic, of {energy:g} keV", has_hounsfield_units=True)
    return None


@lru_cache(maxsize=1024)
def energy_of(facts: SeriesFacts) -> float | None:
    """Returns the energy of a virtual mono-energetic image, wherever its header says so."""
    return facts.energy_kev or _stated_energy((_plain(" ".join(facts.image_type)), _plain(facts.description)))


def _stated_energy(texts: tuple[str, ...]) -> float | None:
    for text in texts:
        found = _KEV.search(text)
        if found:
            return float(next(filter(None, found.groups())))
    return None


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^A-Z0-9.+]+", " ", text).split())
