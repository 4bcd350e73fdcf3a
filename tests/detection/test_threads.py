"""One detector, many threads: the bytes of one alone."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from cspine.anatomy import CERVICAL
from cspine.detection import Detector
from cspine.evidence import Prediction
from cspine.study import Study
from tests.coded import coded_volume, study_of, write_coded_package
from tests.coded_vertebrae import holed_volume, write_vertebra_package

STUDIES, THREADS = 4, 4


def _slicewise(number: int) -> Study:
    levels = [level for level in CERVICAL if (number >> (level % 4)) & 1]
    return study_of(coded_volume(fractured=levels, spacing_mm=(3.0, 1.5 + 0.1 * (number % 3), 1.5)), f"study{number}")


def _vertebrawise(number: int) -> Study:
    return study_of(holed_volume(*[level for level in CERVICAL if (number >> (level - 1)) & 1]), f"study{number}")


def _told(prediction: Prediction) -> tuple[str, bytes]:
    """Returns all that is reported of a study, times aside."""
    predicted: dict[str, Any] = replace(prediction.result, timings_s={}, created="").to_dict()
    evidence = prediction.evidence
    assert evidence is not None
    arrays: list[NDArray[Any] | None] = [evidence.labels.labels if evidence.labels is not None else None, evidence.line_mm]
    arrays += [] if evidence.heat is None else [evidence.heat.values]
    return json.dumps(predicted), b"".join(b"" if array is None else np.ascontiguousarray(array).tobytes() for array in arrays)


@pytest.mark.parametrize(
    ("write", "study"), [(write_coded_package, _slicewise), (write_vertebra_package, _vertebrawise)], ids=["slices", "vertebrae"]
)
def test_threads_that_share_a_detector_get_the_bytes_of_one_alone(
    write: Callable[[Path, Path], Path], study: Callable[[int], Study], tmp_path: Path, coded_localiser: Path
) -> None:
    (tmp_path / "scratch").mkdir()
    detector = Detector(write(tmp_path / "package", tmp_path / "scratch"), localiser=coded_localiser)
    studies = [study(number) for number in range(STUDIES)]
    alone = [_told(detector.predict(one)) for one in studies]
    before = [library["num_threads"] for library in threadpool_info()]

    with ThreadPoolExecutor(THREADS) as threads:
        together = list(threads.map(lambda one: _told(detector.predict(one)), studies))

    assert len(set(alone)) == STUDIES, "studies must differ, or a mix-up cannot be seen"
    assert all('"status": "ok"' in predicted for predicted, _ in alone)
    assert together == alone
    assert [library["num_threads"] for library in threadpool_info()] == before
