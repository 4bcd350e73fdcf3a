"""One image of a DICOM file: what its header says, and where its pixels are."""

from dataclasses import dataclass

from cspine.geometry import Vector
from cspine.reading.places import FileEntry
from cspine.reading.tables import ModalityTable


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """Holds what a file says about the series it belongs to.

    Attributes:
        study_uid: Study Instance UID, empty where there is none.
        series_uid: Series Instance UID, empty where there is none.
        sop_class_uid: What kind of object it is.
        modality: For instance ``CT``; empty in the RSNA files.
        image_type: Values of Image Type, upper case.
        kernel: Convolution kernel, as the maker names it.
        words: Descriptions and body part, upper case, to search for names. Never shown: people write anything there.
        frame_of_reference_uid: The frame of the positions, or ``None``.
        description: Series Description, upper case; never shown either.
        rescale_type: Unit of the values, upper case; empty where the file does not say.
        energy_kev: Energy of virtual mono-energetic images, or ``None``.
    """

    study_uid: str
    series_uid: str
    sop_class_uid: str
    modality: str
    image_type: tuple[str, ...]
    kernel: str
    words: str
    frame_of_reference_uid: str | None
    description: str = ""
    rescale_type: str = ""
    energy_kev: float | None = None


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Holds what a file says about how an image came about; texts as written, empty where the file says nothing.

    Attributes:
        number: Acquisition Number.
        time: Date and time of the acquisition.
        content_time: Date and time at which the image was made.
        instance: Instance Number, or ``None``.
        phase: Temporal position, phase of the heart and contrast agent.
        voltage: Peak voltage of the tube.
        thickness_mm: Slice Thickness, or ``None``.
        stack: Stack of an enhanced object.
    """

    number: str = ""
    time: str = ""
    content_time: str = ""
    instance: int | None = None
    phase: str = ""
    voltage: str = ""
    thickness_mm: float | None = None
    stack: str = ""


@dataclass(frozen=True, slots=True)
class ImagePlane:
    """Says where an image lies.

    Attributes:
        position_mm: Centre of the first pixel.
        along_row: Unit direction in which the column index grows.
        along_column: Unit direction in which the row index grows.
        pixel_mm: Distance of rows, distance of columns.
    """

    position_mm: Vector
    along_row: Vector
    along_column: Vector
    pixel_mm: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """Describes how pixels are stored.

    Attributes:
        rows: Rows.
        columns: Columns.
        samples: Values per pixel.
        bits_allocated: Bits that a value takes.
        bits_stored: Bits of them that count.
        high_bit: The highest of those.
        signed: Whether the header says two's complement.
        transfer_syntax: UID, empty where the file has none.
        big_endian: Byte order of uncompressed pixels.
        photometric: Photometric Interpretation, upper case; empty where there is none.
        overlay_bits: The bits that overlays lie in, as a mask.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    transfer_syntax: str
    big_endian: bool
    photometric: str = ""
    overlay_bits: int = 0


@dataclass(frozen=True, slots=True)
class Rescale:
    """Turns stored values into Hounsfield units.

    Attributes:
        slope: Factor.
        intercept: Summand.
        lacking: Which of Slope and Intercept the file does not give; they are 1 and 0 for want of better.
        padding: First and last stored value that mean "nothing here", or ``None``.
        table: A lookup table that takes the place of slope and intercept, or ``None``.
    """

    slope: float
    intercept: float
    lacking: tuple[str, ...]
    padding: tuple[int, int] | None
    table: ModalityTable | None = None


@dataclass(frozen=True, slots=True)
class PixelPlace:
    """Says where the pixels of an image are.

    Attributes:
        entry: The file.
        offset: First byte of the value, in the plain (not deflated) file.
        length: Bytes of the value; ``None`` where it is a sequence of compressed fragments.
        deflated: Whether the file must be inflated first.
        frame: Counted from 0 in a multi-frame file.
        frames: Frames of the file.
    """

    entry: FileEntry
    offset: int
    length: int | None
    deflated: bool
    frame: int
    frames: int


@dataclass(frozen=True, slots=True)
class Frame:
    """An image of a series.

    Attributes:
        sop_instance_uid: The object it is part of.
        series: Facts of its series.
        plane: Where it lies, or ``None`` where the header does not say.
        pixels: How they are stored.
        rescale: What they mean.
        place: Where they are; ``None`` where the file has none.
        acquisition: How it came about.
        misdeclared: Attributes that state another value representation than the standard gives them, and were read as it says.
        has_commas: Whether its numbers are written with a decimal comma, which DICOM does not allow.
    """

    sop_instance_uid: str
    series: SeriesFacts
    plane: ImagePlane | None
    pixels: PixelFormat
    rescale: Rescale
    place: PixelPlace | None
    acquisition: Acquisition = Acquisition()
    has_commas: bool = False
    misdeclared: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Returns what to call it in a message: its file."""
        if self.place is None:
            return "a file without pixels"
        return self.place.entry.name if self.place.frames == 1 else f"{self.place.entry.name}, frame {self.place.frame + 1}"
