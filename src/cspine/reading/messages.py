"""Every reason to refuse a scan and everything reading warns about, each with its words."""

from enum import Enum

from cspine.errors import PixelError, StudyError
from cspine.study import ReadingWarning

_MOST_CHARACTERS = 800


class Refusal(Enum):
    """Says why something is not read. ``docs/reference/reading.md`` has a line for each."""

    NOT_FOUND = "Nothing can be opened at {place} ({cause}). Give a folder, a zip or a NIfTI file."
    NO_IMAGES = "There is no DICOM image in {place}: {found}. Give the folder of one CT study, a zip of it or a NIfTI file."
    SEVERAL_STUDIES = "One study is needed; {place} holds {count}. Give one of {choices}."
    DAMAGED_FILE = "{name} begins like DICOM but cannot be parsed ({cause}). Copy it again from where it came."
    WRONG_NUMBER = "{name} does not hold numbers where DICOM needs them ({cause}). Export it again as the standard asks."
    COSTLY_HEADERS = "Searching the files of {place} would cost too much ({cause}). Give the folder of one CT study."
    OTHER_FORMAT = "{name} is {format}, which is not read. {advice}"
    NOT_A_FILE = "{place} is neither a folder nor a file. Give a folder, a zip or a NIfTI file."
    TOO_MANY_FILES = "At most {limit} files are searched for one study; {place} holds more. Give the folder of one study."
    TOO_DEEP = "Folders are searched {limit} levels deep; {place} goes deeper. Give the folder of one study."
    FILE_TOO_BIG = "A file may have {limit} bytes at most; {name} has {size}. Give one CT series."
    DAMAGED_ZIP = "{name} cannot be unpacked ({cause}). Copy it again, or unpack it yourself and give the folder."
    ZIP_TOO_BIG = (
        "A zip may unpack to {limit} bytes at most; {place} would unpack to {size}. Unpack it yourself and give the folder."
    )
    NO_SUCH_SERIES = "There is no series {uid} in {place}. Give one of: {choices}."
    AMBIGUOUS_SERIES = "Several series in {place} are equally good: {choices}. Choose one with --series UID."
    NOTHING_USABLE = "No series in {place} can be used: {reasons}. Give a CT series of the neck."
    NOT_CT = "A CT series is needed; series {uid} is {kind}."
    NOT_ANATOMY = "Cross-sections are needed; series {uid} is {kind}."
    COLOUR = "Grey images are needed; series {uid} has {samples} values per pixel."
    NO_POSITIONS = "Image Position, Orientation and Pixel Spacing are needed; series {uid} lacks at least one. Export it again."
    BAD_GEOMETRY = (
        "Two perpendicular unit directions, a position and a positive pixel spacing are needed; series {uid} has {found}."
    )
    BAD_SIZE = "Images of 2 to {limit} rows and columns are needed; series {uid} says {rows} x {columns}."
    TOO_LARGE = "A volume may have {limit} voxels at most; series {uid} has {slices} x {rows} x {columns}. Give one CT series."
    SINGLE_SLICE = "A stack of slices is needed; series {uid} has one image. Give the folder of the whole series."
    ONE_POSITION = "A stack of slices is needed; all {count} images of series {uid} lie at one position. Give the whole series."
    ROUNDED_TOGETHER = (
        "Each slice needs a position of its own; those of series {uid} are rounded to {unit:g} mm, so that different images share "
        "one. Export it again with all digits."
    )
    INTERLEAVED = (
        "The slices of one pass are needed; in series {uid} those of several are interleaved: {count} of {slices}, in a "
        "row, look less like their neighbours than like those beyond. Give one acquisition."
    )
    WIDE_GAP = (
        "Slices may lie {limit:g} mm apart at most; series {uid} has none between {low} and {high} mm. Give the whole series."
    )
    TOO_MIXED = "A series may mix {limit} sizes and directions of images; series {uid} mixes more. Give one acquisition."
    CROOKED_STACK = "Slices must lie on a straight line; in series {uid} one is {offset:.2f} mm off it. Give one acquisition."
    STEEP_SHEAR = (
        "Slices may be sheared by {limit:g} degrees at most, as by a tilted gantry; those of series {uid} are sheared by "
        "{degrees:.0f}. Export it again."
    )
    DIFFERENT_DUPLICATES = (
        "Each position may have one image; series {uid} has different images at {where} mm. Give one acquisition."
    )
    RETIRED_COMPRESSION = "The retired compression {syntax} is not read. Have the archive send series {uid} uncompressed."
    UNSUPPORTED_COMPRESSION = "Transfer syntax {syntax} is not read. Have the archive send series {uid} uncompressed."
    BAD_PIXEL_FORMAT = "Pixels of 8, 16 or 32 bits are needed; {name} says {found}. Export it again."
    BAD_RESCALE = (
        "A Rescale Slope other than 0 and an Intercept that give Hounsfield units are needed; {name} has {found}. Export it again."
    )
    MODALITY_LUT = (
        "Hounsfield units are needed; series {uid} has a Modality LUT Sequence whose entries are not declared as such. "
        "Export it again with Rescale Slope and Intercept."
    )
    NOT_GREY = "Grey images are needed; by their Photometric Interpretation the values of series {uid} stand for colours."
    HIGH_BITS = (
        "Only the {stored} bits up to bit {high} of a pixel may hold its value; in {name} others do too. "
        "Export it again with the right Bits Stored and High Bit."
    )
    EXCESS_PIXELS = (
        "{name} should have {wanted} bytes of pixels by its Rows, Columns, Bits Allocated and Number of Frames, and has {found}. "
        "Export it again."
    )
    RESCALE_JUMPS = (
        "Values must fit together where Rescale Slope or Intercept change from slice to slice; in series {uid} they jump by "
        "{jump:.0f} HU. Export it again."
    )
    NO_PIXELS = "{name} has no pixel data. Export it again with its images."
    TRUNCATED_PIXELS = "{name} should have {wanted} bytes of pixels and has {found}. Copy it again from where it came."
    DAMAGED_PIXELS = "The compressed image in {name} cannot be decoded ({cause}). Copy it again from where it came."
    CODESTREAM_DISAGREES = "The compressed image in {name} is {found}, its header says {wanted}. Export it again."
    NOT_ALLOWED = "{name} cannot be opened ({cause}). Allow it to be read, or copy it to where it can be."
    CHANGED_WHILE_READ = "{name} changed or vanished while it was read. Wait until nothing writes there any more, and try again."
    NOT_HU = (
        "Hounsfield units are needed; the values of {place} are something else: {found}. "
        "Give the CT before it was windowed or normalised."
    )
    CLIPPED = "Values from air to dense bone are needed; in {place} {found}. Give the CT before it was windowed or stored anew."
    NIFTI_DAMAGED = "{name} cannot be read as NIfTI ({cause}). Convert the scan again, or give its DICOM folder."
    NIFTI_BROKEN_OFF = "{name} is damaged: it cannot be unpacked to its end ({cause}). Copy it again from where it came."
    NIFTI_STEPS = (
        "Voxels {finest:g} to {coarsest:g} mm apart are needed; {name} has {found}. Correct its unit of length (xyzt_units), or "
        "convert the scan again from DICOM."
    )
    NIFTI_DIMENSIONS = "A NIfTI of three dimensions is needed; {name} has the shape {shape}. Give one volume."
    NIFTI_COLOUR = "A NIfTI of numbers is needed; {name} holds {kind}. Give the CT itself, not a coloured map."
    NIFTI_NO_PLACE = "A NIfTI must say where its voxels lie; {name} has neither sform nor qform. Convert the scan again from DICOM."
    NIFTI_TRUNCATED = "{name} should have {wanted} bytes of voxels and has {found}. Copy it again from where it came."

    @property
    def code(self) -> str:
        """Returns a stable short name."""
        return self.name.lower()

    def error(self, **facts: object) -> StudyError:
        """Returns the refusal as an error, one line."""
        kind = PixelError if self in _PIXELS else StudyError
        error = kind(self.value.format(**{name: _plain(fact) for name, fact in facts.items()}))
        error.code = self.code
        return error


class Notice(Enum):
    """Says what reading warns about. ``docs/reference/reading.md`` has a line for each."""

    GANTRY_TILT = "The stack is sheared by {degrees:.1f} degrees, as a tilted gantry does; voxels are placed accordingly."
    UNEVEN_SPACING = (
        "Slice distances vary from {least:.2f} to {most:.2f} mm, the widest is between {low} and {high} mm; "
        "interpolated to every {step:.2f} mm."
    )
    MISSING_SLICES = "{count} slices are missing, the widest gap is between {low} and {high} mm; interpolated."
    DUPLICATES = "{count} images lie where another one does; used once if they are the same pixel for pixel, else refused."
    ROUNDED_POSITIONS = "Positions are rounded to {unit:g} mm; slices are taken to be evenly spaced, {step:.3f} mm apart."
    STACKS_LEFT_OUT = (
        "This is stack {number} of {stacks} in its series, which differ in {differ}; "
        "the other {count} images of the series are left out."
    )
    UNUSUAL_IMAGES = "The series is {kind}; cspine expects plain cross-sections, so the result may be wrong."
    NEXT_SERIES = "The series that comes first by the rules is left out, because {reason}; the next one is used."
    FRAMES_OF_REFERENCE = "The slices name {count} frames of reference; they are taken as one, because the slices lie in one row."
    DECIMAL_COMMA = "Numbers are written with a decimal comma, which DICOM does not allow; read as decimal points."
    NOT_CITABLE = "Images share SOP Instance UIDs or have none; DICOM objects cannot cite them."
    DAMAGED_FILES = "{count} files begin like DICOM but cannot be parsed, and are left out."
    LINKS_IGNORED = "{count} links are not followed."
    NO_RESCALE = "The images do not say how to turn pixels into Hounsfield units; pixel values are taken as they are."
    HALF_RESCALE = "The images give no Rescale {lacking}; {value} is taken."
    WRONG_REPRESENTATION = "{names} state another value representation than DICOM gives them; read as the standard says."
    PADDING_IN_TISSUE = "The padding value {hu:g} HU would be tissue; left as it is."
    SIGN_MISMATCH = "Header and pixels disagree whether values have a sign; read with a sign."
    LOSSY = "The images were compressed with loss; small fractures may be blurred."
    NO_AIR = "No value lies below {least:g} HU, though air has -1000: values were cut off, or are shifted by some Hounsfield units."
    COARSE_VALUES = "Values come in steps of {step:g} HU, as after storage in 8 bits; small differences are lost."
    NIFTI_FORMS_DISAGREE = (
        "The two places that the file gives for its voxels (sform, qform) differ by {distance:.1f} mm; sform is used."
    )
    NIFTI_STEPS_DISAGREE = (
        "The file says in two ways how far its voxels lie apart: {used} mm by the affine, which is used, and {stated} mm by pixdim."
    )
    NOT_FINITE = "{count} voxels were not finite numbers; read as air."

    @property
    def code(self) -> str:
        """Returns a stable short name."""
        return self.name.lower()

    def warning(self, **facts: object) -> ReadingWarning:
        """Returns the notice with its facts."""
        return ReadingWarning(self.code, self.value.format(**{name: _plain(fact) for name, fact in facts.items()}))


_PIXELS = {
    Refusal.COLOUR,
    Refusal.RETIRED_COMPRESSION,
    Refusal.UNSUPPORTED_COMPRESSION,
    Refusal.BAD_PIXEL_FORMAT,
    Refusal.BAD_RESCALE,
    Refusal.NO_PIXELS,
    Refusal.TRUNCATED_PIXELS,
    Refusal.DAMAGED_PIXELS,
    Refusal.CODESTREAM_DISAGREES,
    Refusal.NOT_HU,
    Refusal.MODALITY_LUT,
    Refusal.NOT_GREY,
    Refusal.HIGH_BITS,
    Refusal.EXCESS_PIXELS,
    Refusal.RESCALE_JUMPS,
    Refusal.CLIPPED,
    Refusal.NIFTI_COLOUR,
    Refusal.NIFTI_TRUNCATED,
}


def _plain(fact: object) -> object:
    """Returns text of a file in one short printable line; numbers as they are."""
    if isinstance(fact, int | float):
        return fact
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(fact).split()))
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + " …"
