"""Lists what lies under a path: studies, what should perhaps be one, and every series."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from cspine.errors import StudyError
from cspine.reading import dicom, limits
from cspine.reading.choosing import SeriesSummary, refused
from cspine.reading.facts import DamagedFileError
from cspine.reading.formats import ZIP, UnreadFormat, is_nifti, is_passed_over, other_format
from cspine.reading.headers import frames_of, looks_like_dicom
from cspine.reading.messages import Refusal
from cspine.reading.places import FolderPlace, check_file, is_zip, opened
from cspine.reading.studies import BEGINNING, NO_ZIP, described, place_of, series_of, zips_in

Suspects = list[tuple[Path, StudyError]]
T = TypeVar("T")

_MOST_DEATHS = 3
_NOT_SEARCHED = (Refusal.TOO_DEEP.code, Refusal.NOT_ALLOWED.code)


class FileGuard(Protocol):
    """Runs what inspects a file: in this process, or in one that may die of it."""

    def __call__(self, inspect: Callable[[Path], T], path: Path) -> T:
        """Returns what ``inspect`` finds at a path.

        Raises:
            StudyError: It cannot be read, or not within the limits.
        """
        ...


def unguarded(inspect: Callable[[Path], T], path: Path) -> T:
    """Inspects in this process."""
    return inspect(path)


@dataclass(frozen=True, slots=True)
class Listing:
    """Holds what lies under a path.

    Attributes:
        studies: What can be tried, sorted.
        barren: What lies beside studies and holds none, each with the reason.
    """

    studies: tuple[Path, ...]
    barren: tuple[tuple[Path, StudyError], ...] = ()


def find_series(path: str | Path) -> tuple[SeriesSummary, ...]:
    """Returns every series under a path, with the one of each study that :func:`read_study` would use and why not the others.

    Raises:
        StudyError: There is none.
    """
    studies = studies_in(path)
    if len(studies) == 1:
        return series_of(studies[0])
    found: list[SeriesSummary] = []
    for study in studies:
        try:
            found.extend(series_of(study))
        except StudyError as error:
            found.append(refused(study, error))
    return tuple(found)


def studies_in(path: str | Path) -> tuple[Path, ...]:
    """Returns the studies under a path: itself where it is one, else the folders, zips and NIfTI files below it, sorted.

    Folders that hold series of one study are one study.

    Raises:
        StudyError: There is none.
    """
    listing = list_studies(path)
    if not listing.studies:
        raise listing.barren[0][1]
    return listing.studies


def list_studies(path: str | Path, guard: FileGuard = unguarded) -> Listing:
    """Returns the studies under a path, as :func:`studies_in` does, and what lies beside them and should perhaps be one.

    That are zips that are none, damaged DICOM files, formats that are not read, what cannot be opened or goes too deep, and, where
    two or more neighbours hold studies, folders that hold none. Names that begin with a dot are left out.

    Args:
        path: Where to look.
        guard: Runs what inspects a file.

    Raises:
        StudyError: There is nothing at the path, or nothing that could be a study.
    """
    path = place_of(path)
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises on names that are too long
        check_file(path)
        return Listing((path,))
    search = _Search(guard, [])
    studies = tuple(study for study, _ in search.below(path, 0))
    if not studies and not search.barren:
        with opened(path) as place:
            raise Refusal.NO_IMAGES.error(place=path, found=described(place))
    return Listing(studies, tuple(search.barren))


@dataclass(frozen=True, slots=True)
class _Search:
    """A walk through folders.

    Attributes:
        guard: Runs what inspects a file.
        barren: Grows by what lies beside studies.
    """

    guard: FileGuard
    barren: Suspects

    def below(self, folder: Path, depth: int) -> list[tuple[Path, str]]:
        """Returns studies with their UIDs; zips and NIfTI files have none.

        Raises:
            StudyError: The first folder cannot be opened.
        """
        if depth > limits.MAX_DEPTH:
            self.barren.append((folder, Refusal.TOO_DEEP.error(place=folder, limit=limits.MAX_DEPTH)))
            return []
        try:
            files, folders = _children(folder)
        except OSError as error:
            if depth == 0:
                raise Refusal.NOT_FOUND.error(place=folder, cause=error.strerror) from error
            self.barren.append((folder, Refusal.NOT_ALLOWED.error(name=folder, cause=error.strerror)))
            return []
        suspects: Suspects = []
        uid = self._study_uid(files, suspects)
        if uid is not None:
            return [(folder, uid or f"without UID, in {folder}")]
        return self._gathered(folder, depth, self._single(files, suspects), folders, suspects)

    def _gathered(
        self,
        folder: Path,
        depth: int,
        single: list[tuple[Path, str]],
        folders: list[Path],
        suspects: Suspects,
    ) -> list[tuple[Path, str]]:
        """Returns the studies of a folder that holds no image itself."""
        below, empty, earlier = single, [], len(self.barren)
        for child in folders:
            known = len(self.barren)
            found = self.below(child, depth + 1)
            below.extend(found)
            if not found and len(self.barren) == known:
                empty.append(child)
        uids = {uid for _, uid in below}
        searched = all(error.code not in _NOT_SEARCHED for _, error in self.barren[earlier:])
        if len(below) > 1 and len(uids) == 1 and "" not in uids and searched:
            del self.barren[earlier:]  # within one study nothing is missing
            return [(folder, uids.pop())]
        if len({study.relative_to(folder).parts[0] for study, _ in below}) > 1:
            suspects.extend((child, self._reason_against(child)) for child in empty)
        self.barren.extend(suspects)
        return below

    def _study_uid(self, files: list[Path], suspects: Suspects) -> str | None:
        """Returns the Study Instance UID of the first DICOM image among files, or ``None``; adds damaged files to ``suspects``."""
        deaths = 0
        for file in files:
            try:
                if not _begins_like_dicom(file):
                    continue
                uid = self.guard(_study_uid_of, file)
            except OSError as error:
                suspects.append((file, Refusal.NOT_ALLOWED.error(name=file.name, cause=error.strerror)))
            except StudyError as error:
                suspects.append((file, error))
                deaths += error.code.startswith("reader_")
                if deaths == _MOST_DEATHS:  # each took its time; the rest is not looked at
                    return None
            else:
                if uid is not None:
                    return uid
        return None

    def _single(self, files: list[Path], suspects: Suspects) -> list[tuple[Path, str]]:
        """Returns files that are a study each; adds broken zips and other formats, one of each, to ``suspects``."""
        known, below = {path for path, _ in suspects}, []
        others: dict[UnreadFormat, list[Path]] = {}
        for file in files:
            try:
                if is_nifti(file.name) or is_zip(file):
                    below.append((file, ""))
                elif file not in known:
                    found = other_format(file.name, _beginning(file))
                    if found is ZIP:
                        suspects.append((file, Refusal.DAMAGED_ZIP.error(name=file.name, cause=NO_ZIP)))
                    elif found is not None and not found.is_general:
                        others.setdefault(found, []).append(file)
            except OSError as error:
                if file not in known:
                    suspects.append((file, Refusal.NOT_ALLOWED.error(name=file.name, cause=error.strerror)))
        for found, paths in others.items():
            name = paths[0].name if len(paths) == 1 else f"{paths[0].name} (and {len(paths) - 1} more)"
            suspects.append((paths[0], Refusal.OTHER_FORMAT.error(name=name, format=found.name, advice=found.advice)))
        return below

    def _reason_against(self, path: Path) -> StudyError:
        """Returns why there is no study at a path in which none was found."""
        try:
            return self.guard(_reason_in, path)
        except StudyError as error:
            return error


def _children(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns files and folders of a folder, sorted, without links and what begins with a dot."""
    with os.scandir(folder) as children:
        seen = [child for child in children if not child.name.startswith(".") and not is_passed_over(child.name)]
    seen.sort(key=lambda child: child.name)
    files = [Path(child.path) for child in seen if child.is_file(follow_symlinks=False)]
    return files, [Path(child.path) for child in seen if child.is_dir(follow_symlinks=False)]


def _begins_like_dicom(file: Path) -> bool:
    return looks_like_dicom(_beginning(file))


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened_file:
        return opened_file.read(BEGINNING)


def _study_uid_of(file: Path) -> str | None:
    """Returns the Study Instance UID of a DICOM image, perhaps empty; ``None`` for any other file."""
    place = FolderPlace(file.parent, only=file)
    try:
        frames = frames_of(place, place.entries[0])
    except DamagedFileError as error:
        raise dicom.refusal_of_file(file.name, error) from error
    return frames[0].series.study_uid if frames else None


def _reason_in(path: Path) -> StudyError:
    with opened(path) as place:
        zips_in(place, dicom.find(place))
        return Refusal.NO_IMAGES.error(place=path, found=described(place))
