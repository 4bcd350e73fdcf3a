import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import cspine
from cspine.anatomy import CERVICAL, Level
from cspine.cli import main
from cspine.evaluation.competition import PREVALENCE
from cspine.modelpack import load_localiser, load_package
from tests.coded import coded_volume, write_dicom

KINDS = ("patient_overall", *(level.name for level in CERVICAL))
INTACT, BROKEN, CUT = "1.2.1", "1.2.2", "1.2.3"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns three test studies: intact, fractured at C3, without C7; asked for in two orders."""
    folder = tmp_path_factory.mktemp("task")
    for uid, volume in (
        (INTACT, coded_volume()),
        (BROKEN, coded_volume(fractured=[Level.C3])),
        (CUT, coded_volume(levels=CERVICAL[:-1])),
    ):
        write_dicom(volume, folder / "test_images" / uid)
    rows = [[f"{uid}_{kind}", uid, kind] for uid in (INTACT, BROKEN, CUT) for kind in KINDS]
    write(folder / "test.csv", [["row_id", "StudyInstanceUID", "prediction_type"], *rows])
    write(folder / "sample_submission.csv", [["row_id", "fractured"], *([row[0], "0.5"] for row in reversed(rows))])
    return folder


@pytest.fixture
def task(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "task"))


def write(path: Path, rows: list[list[str]]) -> None:
    path.write_text("".join(",".join(row) + "\n" for row in rows))


def submit(package: Path, task: Path, *more: str) -> int:
    localiser = str(package.parent / "coded_localiser")
    return main(["submit", str(package), "--data", str(task), "-o", str(task / "out.csv"), "--localiser", localiser, *more])


def _packages(package: Path) -> dict[str, str]:
    return {"model": load_package(package).sha256, "localiser": load_localiser(package.parent / "coded_localiser").sha256}


def submitted(task: Path) -> dict[str, float]:
    with (task / "out.csv").open() as file:
        return {row["row_id"]: float(row["fractured"]) for row in csv.DictReader(file)}


def test_a_submission_matches_the_sample_row_by_row_and_says_what_the_detector_says(
    task: Path, coded_package: Path, coded_localiser: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(coded_package, task, "--values", "calibrated") == 0

    found = submitted(task)
    sample = [line.split(",")[0] for line in (task / "sample_submission.csv").read_text().splitlines()]
    assert [line.split(",")[0] for line in (task / "out.csv").read_text().splitlines()] == sample
    result = cspine.Detector(coded_package, localiser=coded_localiser)(cspine.read_study(task / "test_images" / BROKEN))
    assert result.overall is not None
    assert found[f"{BROKEN}_patient_overall"] == pytest.approx(result.overall.probability)
    assert found[f"{BROKEN}_C3"] > 0.5 > found[f"{INTACT}_C3"]
    assert found[f"{CUT}_C7"] == pytest.approx(PREVALENCE[7], abs=1e-6)
    assert "24 rows of 3 studies, calibrated; 1 with a vertebra not assessed" in capsys.readouterr().out
    assert not list(task.glob(".out*"))


def test_by_default_values_suit_the_loss_in_which_a_fracture_weighs_double(task: Path, coded_package: Path) -> None:
    submit(coded_package, task, "--values", "calibrated")
    probabilities = submitted(task)

    submit(coded_package, task)

    for row, value in submitted(task).items():
        assert value == pytest.approx(2 * probabilities[row] / (1 + probabilities[row]), abs=2e-6)


def test_nothing_is_so_certain_that_an_error_would_cost_without_bound(task: Path, coded_package: Path) -> None:
    submit(coded_package, task)

    assert all(0 < value < 1 for value in submitted(task).values())


def test_a_study_that_cannot_be_read_stops_it_and_what_was_predicted_is_taken_again(
    task: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = task / "test_images" / INTACT
    hidden = images.rename(task / "hidden")
    assert submit(coded_package, task) == 2
    assert INTACT in capsys.readouterr().err
    assert not (task / "out.csv").exists()
    kept = [json.loads(line)["study"] for line in (task / ".out.csv.partial").read_text().splitlines()]
    assert sorted(kept) == [BROKEN, CUT]

    hidden.rename(images)
    for uid in (CUT, BROKEN):
        shutil.rmtree(task / "test_images" / uid)
    assert submit(coded_package, task, "--resume") == 0
    assert len(submitted(task)) == 24


def test_a_line_that_was_being_written_when_it_was_stopped_is_predicted_again(task: Path, coded_package: Path) -> None:
    (task / ".out.csv.partial").write_text('{"study": "1.2.1", "mod')

    assert submit(coded_package, task, "--resume") == 0
    assert len(submitted(task)) == 24


@pytest.mark.parametrize("another", ["model", "localiser"])
def test_what_another_model_or_localiser_said_is_not_taken(task: Path, coded_package: Path, another: str) -> None:
    packages = {
        "model": load_package(coded_package).sha256,
        "localiser": load_localiser(coded_package.parent / "coded_localiser").sha256,
    }
    line = {"study": BROKEN, **packages, another: "another", "probabilities": [0.123] * 8}
    (task / ".out.csv.partial").write_text(json.dumps(line) + "\n")

    assert submit(coded_package, task, "--resume", "--values", "calibrated") == 0
    assert submitted(task)[f"{BROKEN}_C3"] != pytest.approx(0.123)


def test_what_the_same_packages_said_is_taken_and_no_link_is_written_through(task: Path, coded_package: Path) -> None:
    packages = {
        "model": load_package(coded_package).sha256,
        "localiser": load_localiser(coded_package.parent / "coded_localiser").sha256,
    }
    line = {"study": BROKEN, **packages, "probabilities": [0.123] * 8}
    (task / "precious").write_text(json.dumps(line) + "\n")
    (task / ".out.csv.partial").symlink_to(task / "precious")

    assert submit(coded_package, task, "--resume", "--values", "calibrated") == 0

    assert submitted(task)[f"{BROKEN}_C3"] == pytest.approx(0.123)
    assert (task / "precious").read_text() == json.dumps(line) + "\n"


def test_a_broken_study_gets_the_prevalence_where_that_is_asked_for(
    task: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(task / "test_images" / CUT)

    assert submit(coded_package, task, "--skip-broken", "--values", "calibrated") == 0

    found = submitted(task)
    np.testing.assert_allclose([found[f"{CUT}_{kind}"] for kind in KINDS], PREVALENCE, atol=1e-6)
    assert CUT in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("test.csv", "row_id,StudyInstanceUID,prediction_type\na,1.2.1,C8\n", "line 2 needs a row_id of its own"),
        ("test.csv", "row_id,StudyInstanceUID,prediction_type\na,1.2.1,C1\na,1.2.1,C2\n", "line 3 needs a row_id of its own"),
        ("test.csv", "row_id,StudyInstanceUID,prediction_type\n", "A submission needs rows"),
        ("test.csv", "row_id,prediction_type\n", "needs the columns"),
        ("sample_submission.csv", "row_id,fractured\n1.2.1_C1,0.5\n", "must have the same rows"),
    ],
)
def test_a_table_that_does_not_fit_is_told(
    task: Path, coded_package: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, message: str
) -> None:
    (task / name).write_text(text)

    assert submit(coded_package, task) == 2
    assert message in capsys.readouterr().err


def test_without_a_sample_the_rows_stand_as_they_are_asked_for(task: Path, coded_package: Path) -> None:
    (task / "sample_submission.csv").unlink()
    submit(coded_package, task)

    asked = [line.split(",")[0] for line in (task / "test.csv").read_text().splitlines()[1:]]
    assert list(submitted(task)) == asked
