"""Limits what reading accepts; every number here stands in docs/reference/reading.md."""

MAX_FILES = 50_000
"""Files under one study."""

MAX_DEPTH = 12
"""Folders within folders."""

MAX_FILE_BYTES = 2_000_000_000
"""One file, unpacked."""

MAX_ARCHIVE_BYTES = 8 << 30
"""All files of a zip, unpacked."""

MAX_DIRECTORY_BYTES = 16 << 20
"""The list of files that a zip ends with."""

MAX_HEADER_BYTES = 64 << 20
"""All of a DICOM file that comes before its pixels."""

MAX_ATTRIBUTES = 250_000
"""Attributes before the pixels, those within sequences too; 5000 frames of an enhanced CT have half as many."""

MAX_VALUE_BYTES = 1 << 16
"""An attribute that is not bulk data or a sequence."""

MAX_INFLATION = 50
MIN_INFLATED_BYTES = 64 << 20
"""A deflated DICOM file may grow to so many times its size, or to so much in any case; a CT seldom shrinks to a fifth."""

HEADERS_S = 5.0
HEADER_S = 0.01
"""Processor time for the headers of a study, and for each file more; pydicom takes about 0.003 s for one."""

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
"""Smallest tilt at which a stack counts as sheared."""

AIR_BELOW_HU = -1024.0
"""What is darker is no tissue but filling outside the scan circle, and becomes air."""

PADDING_BELOW_HU = -900.0
PADDING_ABOVE_HU = 20_000.0
"""A padding value between these two would be tissue and is left as it is."""

DARKEST_MUST_BE_BELOW_HU = -450.0
BRIGHTEST_MUST_BE_ABOVE_HU = 300.0
NINETEEN_OF_TWENTY_MUST_BE_BELOW_HU = 4000.0
"""Every CT of a body has air, bone, and little that is denser than bone: other values are not Hounsfield units. Where air
is cut off at -300 HU probabilities change, and at -500 they do not."""

LOWEST_FLOOR_HU = -100.0
"""Where nothing is darker, air is not cut off but missing or shifted."""

AIR_MUST_BE_BELOW_HU = -940.0
"""Air has -1000 HU; where nothing reaches down to here, values were cut off or shifted."""

FLOOR_SHARE = 0.01
"""So many voxels have the least value where others were cut off."""

LOWEST_CEILING_HU, BONE_REACHES_HU = 150, 1600
"""Between these a ceiling hides bone. Above it hides enamel and metal; those of scanners lie at 2900 HU and more."""

MOST_PILED = 6.0
"""One value of bone may be so many times as frequent as those a little below: 2 in real scans, 10 to 1000 where bone is cut off."""

MOST_OF_ONE_VALUE = 0.8
"""Share of soft tissue that may have one value; noise spreads it, so that in real scans it is 0.03, and 0.3 in steps of 16 HU."""

NEAR_THE_TOP, MOST_NEAR_THE_TOP = 0.975, 0.015
"""So little bone lies this near to its greatest value (its thousandth part left out): 0.001 to 0.003 in real scans."""

LEAST_SOFT_TISSUE = 0.3
"""Share of soft tissue in what is no air: 0.7 to 0.9 in real scans."""

SOFT_TISSUE_PEAKS_HU = (-250.0, 200.0)
"""Where most of the tissue lies: fat or muscle, -150 to 90 HU in real scans."""

MOST_SHIFTED = 0.7
"""Share of 800 to 1300 HU in what is denser than 200 HU: soft tissue lies there where 1024 were not taken off. At most 0.33 in real
scans, 0.72 and more when they are shifted."""

LEAST_SPREAD = 0.3
"""Share of bone that lies well below its greatest value: 0.8 and more in real scans."""

BEYOND_METAL_HU, MOST_BEYOND_METAL = 32_000.0, 1e-3
"""Extended scales reach 31 743 HU."""

COARSE_STEP_HU = 5.0
"""Smallest step of values that is reported."""

MOST_JUMP_HU = 300.0
"""Median difference, in tissue, of neighbouring slices that are scaled in two ways; 20 to 60 HU where both are right."""

STEEPEST_SLOPE, FARTHEST_INTERCEPT = 1e4, 1e6
"""From stored values to Hounsfield units; more is no unit of a CT."""

FINEST_MM, COARSEST_MM = 0.01, 20.0
"""Distances of voxels."""

MAX_TRAILING_BYTES = 64 << 20
"""What may follow the voxels of a NIfTI file; it is unpacked for the checksum at its end, and not kept."""
