from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.anatomy import Level
from cspine.evidence import Evidence, HeatMap, Prediction
from cspine.geometry import Grid
from cspine.reporting.pages.study import study_page, to_html
from cspine.results import Reason, StudyResult
from cspine.study import Study
from cspine.volume import LabelMap
from tests.coded import HEIGHT_MM

HOT_MM = (2.0, -10.0, 0.0)
"""Where the heat map is hottest: away from the middle of C4, LPS."""


def evidence(study: Study, result: StudyResult) -> Evidence:
    """Blocks as labels, and heat at one place of C4, on coarse grids of their own."""
    centre = study.volume.grid.centre_mm
    grid = Grid.upright(centre, (50, 40, 40), (2.5, 2.5, 2.5))
    x, y, z = np.moveaxis(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    labels = np.zeros(grid.shape, np.uint8)
    for finding in result.levels:
        if finding.centre_mm is not None:
            near = (np.abs(z - finding.centre_mm[2]) < HEIGHT_MM / 2) & (np.abs(x - 10) < 14) & (np.abs(y + 6) < 12)
            labels[near] = finding.level
    labels[:3, :3, :3] = 20
    middle = result.levels[Level.C4 - 1].centre_mm or (0.0, 0.0, 0.0)
    away = np.linalg.norm(np.stack([x - HOT_MM[0], y - HOT_MM[1], z - middle[2]]), axis=0)
    return Evidence(LabelMap(labels, grid), HeatMap(np.exp(-((away / 6) ** 2)).astype(np.float32), grid))


@pytest.fixture(scope="session")
def prediction(broken_result: StudyResult, broken_neck: Study) -> Prediction:
    return Prediction(broken_result, evidence(broken_neck, broken_result))


@pytest.fixture(scope="session")
def identified_neck(broken_neck: Study, broken_result: StudyResult) -> tuple[Prediction, Study]:
    """Returns a study that an archive knows, with a warning of reading."""
    facts = replace(
        broken_result.study, study_uid="1.2.3.99", series_uid="1.2.3.99.1", warnings=(Reason("gap", "A slice is missing."),)
    )
    study = replace(broken_neck, study_uid="1.2.3.99", series_uid="1.2.3.99.1")
    return Prediction(replace(broken_result, study=facts)), study


@pytest.fixture(scope="session")
def page_file(prediction: Prediction, broken_neck: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "result.html"
    path.write_text(to_html(study_page(prediction, broken_neck)), encoding="utf-8")
    return path
