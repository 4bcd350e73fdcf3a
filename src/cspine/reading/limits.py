"""What reading accepts at most; every number here stands in docs/reading.md."""

MAX_FILES = 50_000
"""Files under one study."""

MAX_DEPTH = 12
"""Folders within folders."""

MAX_FILE_BYTES = 2_000_000_000
"""One file, unpacked."""

MAX_ARCHIVE_BYTES = 8 << 30
"""All files of a zip, unpacked."""

MAX_SIDE = 4096
"""Rows or columns of a slice."""

MAX_VOXELS = 1 << 30
"""Voxels of a volume: 4 GiB of Hounsfield units."""

MAX_GAP_MM = 10.0
"""Distance between neighbouring slices; a vertebra is about 15 mm high."""

MAX_JITTER = 0.1
"""How far slices may lie from an even stack, in slice distances."""

MAX_ROUNDING_MM = 0.11
"""How far they may lie from it in any case: positions are often rounded to a tenth of a millimetre."""

MAX_CROOKED = 0.5
"""How far slices may lie from the straight line through first and last, in pixels."""

FEW_MISSING = 0.25
"""So many of its slices, as a share, one stack may lack and still be known as one among others."""

SAME_PLACE = 0.05
"""Slices nearer than this, in slice distances, are duplicates."""

SAME_DIRECTION = 1e-3
"""Direction cosines of one stack differ by less: 0.2 mm at the far side of a neck."""

MAX_SHEAR_DEGREES = 45.0
"""How far slices may lie from their normal; gantries tilt up to 30 degrees."""

MAX_STACKS = 100
"""Sizes and directions of images within one series."""

TILT_DEGREES = 0.5
"""From here on a stack counts as sheared."""

AIR_BELOW_HU = -1024.0
"""What is darker is no tissue but filling outside the scan circle, and becomes air."""

PADDING_BELOW_HU = -900.0
PADDING_ABOVE_HU = 20_000.0
"""A padding value between these two would be tissue and is left as it is."""

DARKEST_MUST_BE_BELOW_HU = -200.0
BRIGHTEST_MUST_BE_ABOVE_HU = 150.0
NINETEEN_OF_TWENTY_MUST_BE_BELOW_HU = 4000.0
"""Every CT of a body has air, bone, and little that is denser than bone: other values are not Hounsfield units."""

STEEPEST_SLOPE, FARTHEST_INTERCEPT = 1e4, 1e6
"""From stored values to Hounsfield units; more is no unit of a CT."""

FINEST_MM, COARSEST_MM = 0.01, 20.0
"""Distances of voxels."""

MAX_TRAILING_BYTES = 64 << 20
"""What may follow the voxels of a NIfTI file; it is unpacked for the checksum at its end, and not kept."""
