"""Says which number people know a stored image by."""

from dataclasses import dataclass

import numpy as np

from cspine.study import Study

_ENDS = (("the right", "the left"), ("the front", "the back"), ("the feet", "the head"))
"""Where the world begins and ends along x, y and z."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """Holds the numbers of the images of a stack.

    Attributes:
        numbers: Of each image, along the stack.
        meaning: What they are, as it follows "numbered".
    """

    numbers: tuple[int, ...]
    meaning: str


def numbering_of(study: Study) -> Numbering:
    """Returns Instance Numbers, frames of one object, or else places in the stack, whichever tells the images apart."""
    instances = [source.instance_number for source in study.sources]
    frames = [source.frame_number for source in study.sources]
    one_object = len({source.sop_instance_uid for source in study.sources}) == 1
    for found, usable, meaning in (
        (frames, one_object, "by frame of the multi-frame object"),
        (instances, not any(frames), "by Instance Number"),
    ):
        numbers = tuple(number for number in found if number is not None)
        if usable and numbers and len(set(numbers)) == len(found):
            return Numbering(numbers, meaning)
    count = len(study.sources) or study.volume.grid.shape[0]
    return Numbering(tuple(range(1, count + 1)), f"from 1 at {_first_end(study)}")


def _first_end(study: Study) -> str:
    """Returns the side of the patient on which the first image lies."""
    if study.sources:
        step = np.subtract(study.sources[-1].position_mm, study.sources[0].position_mm)
    else:
        step = study.volume.grid.directions[:, 0]
    axis = int(np.argmax(np.abs(step)))
    return _ENDS[axis][int(step[axis] < 0)]
