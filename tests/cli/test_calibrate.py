import shutil
from pathlib import Path

import pytest

from cspine.anatomy import CERVICAL
from cspine.cli import main
from cspine.evaluation import StudyScores
from cspine.evaluation.calibrating import fit_calibration
from cspine.modelpack import load_package
from cspine.training.core.runs import CALIBRATION
from tests.cli.conftest import TinyRun, calibrate_made_up
from tests.training.coded_necks import neck
from tests.training.folders import write_data_set


@pytest.fixture
def own_run(tiny_run: TinyRun) -> Path:
    """Returns a copy of the run, as calibrating changes it."""
    return tiny_run.copied()


def calibrate(run: Path, data: Path) -> int:
    return main(["calibrate", str(run), "--data", str(data)])


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns as few studies as thresholds need."""
    stacks = [neck(200 + i, CERVICAL[i % 7] if i < 19 else None, mask=False) for i in range(38)]
    return write_data_set(tmp_path_factory.mktemp("data") / "rare", stacks)


def test_probabilities_follow_how_often_fractures_are_where_a_run_was_calibrated(
    tiny_run: TinyRun, own_run: Path, rare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate_made_up(own_run, studies=100, intact=20)
    before = fit_calibration(StudyScores.from_csv(own_run / "fold-0" / CALIBRATION))

    assert calibrate(own_run, rare) == 0
    assert main(["export", str(own_run), "--data", str(tiny_run.data), "-o", str(tmp_path / "after")]) == 0

    after = load_package(tmp_path / "after")
    assert "calibrated on 38 studies" in capsys.readouterr().out
    assert "Calibration and thresholds: 38 studies" in after.card
    scores = [[0.3] * 8]
    assert after.manifest.calibration.apply(scores)[0, 0] < before.apply(scores)[0, 0]


def test_few_studies_calibrate_nothing(tiny_run: TinyRun, own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(own_run, tiny_run.unseen) == 2

    assert "Thresholds need 19 studies with a fracture and 19 without" in capsys.readouterr().err
    assert not (own_run / "fold-0" / CALIBRATION).exists()


def test_who_had_a_part_in_a_run_neither_calibrates_nor_evaluates_it(
    tiny_run: TinyRun, own_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate_made_up(own_run, [path.name for path in (tiny_run.unseen / "train_images").iterdir()])

    assert calibrate(own_run, tiny_run.data) == 2
    assert main(["evaluate", str(own_run), "--data", str(tiny_run.unseen), "-o", str(tmp_path / "out")]) == 2

    assert [line.split("shares ")[1][:8] for line in capsys.readouterr().err.splitlines() if "shares" in line] == [
        "20 of 20",
        "10 of 10",
    ]


def test_a_run_that_is_not_trained_cannot_be_calibrated(
    tiny_run: TinyRun, own_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(own_run / "fold-0")

    assert calibrate(own_run, tiny_run.unseen) == 2
    assert "can be calibrated once a fold has finished training" in capsys.readouterr().err
