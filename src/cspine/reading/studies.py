"""From a path to studies: what a folder, a zip or a file holds."""

import os
from dataclasses import dataclass
from pathlib import Path

from cspine.errors import StudyError
from cspine.reading import dicom, limits, nifti
from cspine.reading.choosing import SeriesSummary, refused
from cspine.reading.headers import DamagedFileError, frames_of
from cspine.reading.messages import Refusal
from cspine.reading.places import Entry, Folder, Place, is_zip, opened
from cspine.study import Study


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies under a path.

    Attributes:
        studies: What can be tried, sorted.
        barren: What lies beside studies and holds none, each with the reason.
    """

    studies: tuple[Path, ...]
    barren: tuple[tuple[Path, StudyError], ...] = ()


def read_study(path: str | Path, series_uid: str | None = None) -> Study:
    """Reads one CT series.

    Args:
        path: The folder of a study, a zip of it, a NIfTI file or a multi-frame DICOM file.
        series_uid: Which series, where the rules would choose another one or cannot decide.

    Raises:
        StudyError: Nothing there can be read; the message says why and what to do.
    """
    path = _place_of(path)
    with opened(path) as place:
        found = dicom.find(place)
        if found.frames:
            return dicom.read(place, found, series_uid, path.resolve().stem if path.is_file() else path.resolve().name)
        volumes = _volumes(place)
        if len(volumes) == 1:
            with place.open(volumes[0]) as file:
                return nifti.read(file, volumes[0].name)
        if volumes:
            choices = ", ".join(entry.name for entry in volumes[:10])
            raise Refusal.SEVERAL_STUDIES.error(place=path, count=f"{len(volumes)} NIfTI files", choices=choices)
        zips = _zips(place, found)
    return read_study(zips[0], series_uid)


def find_series(path: str | Path) -> tuple[SeriesSummary, ...]:
    """Every series under a path, with the one of each study that :func:`read_study` would use and, for each other one, why not.

    Raises:
        StudyError: There is none.
    """
    studies = studies_in(path)
    if len(studies) == 1:
        return _series_of(studies[0])
    found: list[SeriesSummary] = []
    for study in studies:
        try:
            found.extend(_series_of(study))
        except StudyError as error:
            found.append(refused(study, error))
    return tuple(found)


def studies_in(path: str | Path) -> tuple[Path, ...]:
    """The studies under a path: itself where it is one, else the folders, zips and NIfTI files below it, sorted.

    Folders that hold series of one study are one study.

    Raises:
        StudyError: There is none.
    """
    return list_studies(path).studies


def list_studies(path: str | Path) -> Listing:
    """The studies under a path, as :func:`studies_in`, and what lies beside them and should perhaps be one.

    That are zips that are none, damaged DICOM files, and, where two or more neighbours hold studies, folders that hold none. Names
    that begin with a dot are left out.

    Raises:
        StudyError: There is no study.
    """
    path = _place_of(path)
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises on names that are too long
        with opened(path):
            return Listing((path,))
    barren: list[tuple[Path, StudyError]] = []
    studies = tuple(study for study, _ in _studies_below(path, 0, barren))
    if not studies:
        with opened(path) as place:
            raise Refusal.NO_IMAGES.error(place=path, found=_described(place))
    return Listing(studies, tuple(barren))


def _series_of(study: Path) -> tuple[SeriesSummary, ...]:
    with opened(study) as place:
        images = dicom.find(place)
        volumes = _volumes(place)
        if images.frames:
            return dicom.series_in(place, images)
        if not volumes:
            _zips(place, images)
        found = []
        for entry in volumes:
            with place.open(entry) as file:
                found.append(nifti.summary(file, entry.name, study))
        return tuple(found)


def _place_of(path: str | Path) -> Path:
    """A DICOMDIR stands for its folder."""
    path = Path(path)
    return path.parent if path.name.upper() == "DICOMDIR" and not os.path.isdir(path) else path  # noqa: PTH112 - as in studies_in


def _volumes(place: Place) -> list[Entry]:
    return [entry for entry in place.entries if nifti.is_nifti(entry.name)]


def _studies_below(folder: Path, depth: int, barren: list[tuple[Path, StudyError]]) -> list[tuple[Path, str]]:
    """Studies with their UIDs; zips and NIfTI files have none. ``barren`` grows by what lies beside them."""
    if depth > limits.MAX_DEPTH:
        raise Refusal.TOO_DEEP.error(place=folder, limit=limits.MAX_DEPTH)
    try:
        children = sorted(child for child in folder.iterdir() if not child.is_symlink())
        files, folders = [child for child in children if child.is_file()], [child for child in children if child.is_dir()]
        uid, damaged = _study_uid_of(folder, files)
        if uid is not None:
            return [(folder, uid)]
        below = [(child, "") for child in files if nifti.is_nifti(child.name) or is_zip(child)]
    except OSError as error:
        raise Refusal.NOT_FOUND.error(place=folder, cause=error.strerror) from error
    empty, earlier = [], len(barren)
    for child in folders:
        found = _studies_below(child, depth + 1, barren)
        below.extend(found)
        if not found and not child.name.startswith("."):
            empty.append(child)
    uids = {uid for _, uid in below}
    if len(below) > 1 and len(uids) == 1 and "" not in uids:
        del barren[earlier:]  # within one study nothing is missing
        return [(folder, uids.pop())]
    if not below:
        return [(folder, f"damaged, in {folder}")] if damaged else []
    several = len({study.relative_to(folder).parts[0] for study, _ in below}) > 1
    suspects = [*(empty if several else ()), *damaged, *_broken_zips(files)]
    barren.extend((suspect, _reason_against(suspect)) for suspect in suspects)
    return below


def _study_uid_of(folder: Path, files: list[Path]) -> tuple[str | None, list[Path]]:
    """The Study Instance UID of the first DICOM image directly in a folder, ``None`` without any, and the damaged files before."""
    damaged = []
    for file in files:
        place = Folder(folder, only=file)
        try:
            frames = frames_of(place, place.entries[0])
        except DamagedFileError:
            damaged.append(file)
            continue
        if frames:
            return frames[0].series.study_uid or f"without UID, in {folder}", damaged
    return None, damaged


def _broken_zips(files: list[Path]) -> list[Path]:
    return [file for file in files if file.suffix.lower() == ".zip" and not file.name.startswith(".") and not is_zip(file)]


def _reason_against(path: Path) -> StudyError:
    """Why there is no study at a path that was looked through in vain."""
    if path.suffix.lower() == ".zip":
        return Refusal.DAMAGED_ZIP.error(name=path.name, cause="it is no zip, or its end is missing")
    try:
        with opened(path) as place:
            _zips(place, dicom.find(place))
            return Refusal.NO_IMAGES.error(place=path, found=_described(place))
    except StudyError as error:
        return error


def _zips(place: Place, found: dicom.Found) -> list[Path]:
    """The one zip of a folder that holds nothing else to read.

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
        raise Refusal.NO_IMAGES.error(place=place.path, found=_described(place))
    return zips


def _described(place: Place) -> str:
    links = f", and {place.links} links, which are not followed" if place.links else ""
    return (f"{len(place.entries)} files, none of them one" if place.entries else "it has no files") + links
