"""Finds studies at a path: what a folder, a zip or a file holds."""

import os
from pathlib import Path

from cspine.errors import StudyError
from cspine.reading import dicom
from cspine.reading.choosing import SeriesSummary
from cspine.reading.formats import ZIP, is_nifti, other_format
from cspine.reading.messages import Refusal
from cspine.reading.places import FileEntry, Place, ZipPlace, is_zip, opened
from cspine.study import Study

BEGINNING = 4096
"""Bytes that tell what a file is."""

NO_ZIP = "it is not a zip, or its end is missing"
"""What is wrong with what begins like a zip, or is called one, and cannot be opened."""

_MOST_NAMED = 100


def read_study(path: str | Path, series_uid: str | None = None) -> Study:
    """Reads one CT series.

    Args:
        path: The folder of a study, a zip of it, a NIfTI file or a multi-frame DICOM file.
        series_uid: Which series, where the rules would choose another one or cannot decide.

    Raises:
        StudyError: Nothing there can be read; the message says why and what to do.
    """
    path = place_of(path)
    with opened(path) as place:
        found = dicom.find(place)
        if found.frames:
            return dicom.read(place, found, series_uid, path.resolve().stem if path.is_file() else path.resolve().name)
        volumes = _volumes(place)
        if len(volumes) == 1:
            from cspine.reading import nifti  # which a DICOM study need not wait for

            with place.open(volumes[0]) as file:
                return nifti.read(file, volumes[0].name)
        if volumes:
            choices = ", ".join(entry.name for entry in volumes[:10])
            raise Refusal.SEVERAL_STUDIES.error(place=path, count=f"{len(volumes)} NIfTI files", choices=choices)
        zips = zips_in(place, found)
    return read_study(zips[0], series_uid)


def series_of(study: Path) -> tuple[SeriesSummary, ...]:
    """Returns every series of one study.

    Raises:
        StudyError: There is none.
    """
    with opened(study) as place:
        images = dicom.find(place)
        volumes = _volumes(place)
        if images.frames:
            return dicom.series_in(place, images)
        if not volumes:
            zips_in(place, images)
        found = []
        from cspine.reading import nifti

        for entry in volumes:
            with place.open(entry) as file:
                found.append(nifti.summary(file, entry.name, study))
        return tuple(found)


def place_of(path: str | Path) -> Path:
    """Returns the path, or the folder of a DICOMDIR, which stands for it."""
    path = Path(path)
    return path.parent if path.name.upper() == "DICOMDIR" and not os.path.isdir(path) else path  # noqa: PTH112 - as in studies_in


def _volumes(place: Place) -> list[FileEntry]:
    return [entry for entry in place.entries if is_nifti(entry.name)]


def zips_in(place: Place, found: dicom.FoundFrames) -> list[Path]:
    """Returns the one zip of a folder that holds nothing else to read.

    Raises:
        StudyError: There is none, or more than one.
    """
    if found.damaged:
        raise found.refusal()
    zips = [place.path / entry.name for entry in place.entries if place.path.is_dir() and is_zip(place.path / entry.name)]
    if len(zips) > 1:
        choices = ", ".join(path.name for path in zips[:10])
        raise Refusal.SEVERAL_STUDIES.error(place=place.path, count=f"{len(zips)} zips", choices=choices)
    if not zips:
        raise _no_images(place)
    return zips


def _no_images(place: Place) -> StudyError:
    """Returns why a place holds nothing to read: in another format, or none at all."""
    for entry in place.entries[:_MOST_NAMED]:
        found = other_format(entry.name, place.read(entry, 0, BEGINNING))
        if found is not None:
            name = f"{entry.name} in {place.path.name}" if isinstance(place, ZipPlace) else entry.name
            if found is ZIP and not isinstance(place, ZipPlace):
                return Refusal.DAMAGED_ZIP.error(name=name, cause=NO_ZIP)
            return Refusal.OTHER_FORMAT.error(name=name, format=found.name, advice=found.advice)
    return Refusal.NO_IMAGES.error(place=place.path, found=described(place))


def described(place: Place) -> str:
    """Returns what a place holds that is no image, in a few words."""
    links = f", and {place.links} links, which are not followed" if place.links else ""
    return (f"{len(place.entries)} files, none of them such an image" if place.entries else "it has no files") + links
