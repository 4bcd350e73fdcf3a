from pathlib import Path

import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.detection import Detector
from cspine.results import StudyResult
from cspine.study import Study
from cspine.volume import Volume
from tests.coded import coded_volume, study_of


@pytest.fixture(scope="session")
def broken_neck() -> Study:
    return study_of(coded_volume(CERVICAL[1:], fractured=[Level.C4]), "broken")


@pytest.fixture(scope="session")
def detector(coded_package: Path, coded_localiser: Path) -> Detector:
    return Detector(coded_package, localiser=coded_localiser)


@pytest.fixture(scope="session")
def broken_result(detector: Detector, broken_neck: Study) -> StudyResult:
    return detector(broken_neck)


@pytest.fixture(scope="session")
def rejected_result(detector: Detector, broken_neck: Study) -> StudyResult:
    volume = Volume(broken_neck.volume.hu + 1024, broken_neck.volume.grid)
    return detector(study_of(volume, "rejected"))
