"""Ways in which a study comes damaged, and a folder of studies some of which are."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1

_BOMB_BYTES = 0xFFFFFFFE


@dataclass(frozen=True, slots=True)
class Damage:
    """A way in which a study comes damaged.

    Attributes:
        name: What to call it.
        do: Damages the study in a folder; may put a file in its place.
        codes: What a reader may say.
    """

    name: str
    do: Callable[[Path], None]
    codes: tuple[str, ...]


def make_batch(sources: Sequence[Path], folder: Path, count: int, damaged: int) -> dict[str, Damage]:
    """Fills a folder with studies, evenly spread among them damaged ones.

    Args:
        sources: Folders of DICOM studies. Good studies are links to them.
        folder: Where to; it must be new.
        count: How many studies there shall be.
        damaged: How many of them are damaged, each kind in turn.

    Returns:
        The damaged ones by name.
    """
    folder.mkdir(parents=True)
    places = {round((i + 0.5) * count / damaged): i for i in range(damaged)}
    done = {}
    for number in range(count):
        source, study = sources[number % len(sources)], folder / f"study{number:04d}"
        shutil.copytree(source, study, copy_function=shutil.copyfile if number in places else os.link)
        if number in places:
            done[study.name] = DAMAGES[places[number] % len(DAMAGES)]
            done[study.name].do(study)
    return done


def _images(study: Path) -> list[Path]:
    """Returns the files, by position along the stack."""
    return sorted(study.iterdir(), key=lambda path: float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2]))


def _truncate(study: Path) -> None:
    path = _images(study)[-3]
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _miss(study: Path) -> None:
    images = _images(study)
    for path in images[len(images) // 3 : 2 * len(images) // 3]:
        path.unlink()


def _take_for_mr(study: Path) -> None:
    for path in study.iterdir():
        data = pydicom.dcmread(path)
        data.Modality = "MR"
        data.save_as(path)


def _empty_pixels(study: Path) -> None:
    for path in study.iterdir():
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.PixelData = np.zeros((data.Rows, data.Columns), f"u{data.BitsAllocated // 8}").tobytes()
        data["PixelData"].VR, data["PixelData"].is_undefined_length = "OW", False
        data.save_as(path)


def _crash(study: Path) -> None:
    """Turns the marker of a Huffman table into another by one byte; the decoder of lossless JPEG ends with SIGSEGV over it."""
    path = _images(study)[-3]
    data = pydicom.dcmread(path)
    image = bytearray(imagecodecs.jpeg_encode(np.full((data.Rows, data.Columns), 1000, np.uint16), lossless=True, bitspersample=12))
    image[image.index(b"\xff\xc4") + 1] = 0xC7
    data.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    data.PixelData = encapsulate([bytes(image)])
    data["PixelData"].VR = "OB"
    data.save_as(path)


def _write_words(study: Path) -> None:
    for path in study.iterdir():
        path.write_text("The images are on the other disc.\n")


def _remove(study: Path) -> None:
    for path in study.iterdir():
        path.unlink()


def _zip(study: Path) -> Path:
    path = Path(shutil.make_archive(str(study), "zip", study))
    shutil.rmtree(study)
    return path


def _break_zip(study: Path) -> None:
    path = _zip(study)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _bomb(study: Path) -> None:
    """Lets every member say that it unpacks to four gigabytes."""
    path = _zip(study)
    data, place = bytearray(path.read_bytes()), -1
    while (place := data.find(b"PK\x01\x02", place + 1)) >= 0:
        data[place + 24 : place + 28] = _BOMB_BYTES.to_bytes(4, "little")
    path.write_bytes(data)


DAMAGES = (
    Damage("a file cut short", _truncate, ("truncated_pixels", "damaged_pixels", "damaged_file")),
    Damage("a byte that crashes a decoder", _crash, ("reader_died", "damaged_pixels")),
    Damage("slices missing", _miss, ("wide_gap",)),
    Damage("not CT", _take_for_mr, ("not_ct",)),
    Damage("pixels all zero", _empty_pixels, ("not_hu", "not_hounsfield")),
    Damage("words instead of images", _write_words, ("no_images",)),
    Damage("an empty folder", _remove, ("no_images",)),
    Damage("a zip cut short", _break_zip, ("damaged_zip",)),
    Damage("a zip that would fill the disk", _bomb, ("zip_too_big", "file_too_big")),
)
