import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.cli import main
from cspine.detection import Detector
from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.modelpack import TrainingData, load_package
from cspine.modelpack.store import Samples
from cspine.reading import read_study
from cspine.results import StudyStatus
from cspine.runtime import Engine, open_session
from cspine.training.core.export import check_parity
from cspine.training.core.runs import CALIBRATION, HELD_OUT
from tests.cli.conftest import TinyRun, made_up_scores


def export(calibrated_run: TinyRun, out: Path, *more: str) -> int:
    return main(["export", str(calibrated_run.run), "--data", str(calibrated_run.data), "-o", str(out), *more])


@pytest.fixture(scope="module")
def package(calibrated_run: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages") / "tiny"
    assert export(calibrated_run, folder, "--describe", "twenty bright squares", "--trained-on", "phantoms") == 0
    return folder


@pytest.mark.parametrize("size", [1, 8])
def test_the_exported_network_says_what_the_trained_one_says(calibrated_run: TinyRun, package: Path, size: int) -> None:
    slices = np.random.default_rng(0).random((size, 48, 48, 3), dtype=np.float32)
    trained = keras.saving.load_model(calibrated_run.run / "fold-0" / "best.keras", compile=False).predict_on_batch(slices)

    served = open_session(load_package(package).network_path("slices"), Engine()).run(slices)

    assert set(served) == {"fracture", "visible"}
    for name, answer in served.items():
        np.testing.assert_allclose(answer, trained[name], atol=1e-4)


def test_a_package_repeats_its_samples_and_says_whom_it_has_seen(package: Path) -> None:
    loaded = load_package(package)
    session = open_session(loaded.network_path("slices"), Engine())

    assert loaded.verify_samples(session) < 1e-3
    assert loaded.manifest.training_data is TrainingData.PHANTOMS
    assert "never a patient" in loaded.manifest.trained_on
    assert loaded.manifest.training.patients == 10
    assert "only ever seen synthetic necks" in loaded.card
    assert "twenty bright squares" in loaded.card


def test_a_package_of_grafts_says_that_it_saw_no_real_fracture(calibrated_run: TinyRun, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(calibrated_run.data, data)
    (data / "grafts.csv").write_text("level\n", encoding="utf-8")
    for study in (data / "train_images").iterdir():
        (data / "truth" / study.name).mkdir(parents=True)

    assert main(["export", str(calibrated_run.run), "--data", str(data), "-o", str(tmp_path / "package")]) == 0

    loaded = load_package(tmp_path / "package")
    assert loaded.manifest.training_data is TrainingData.GRAFTS
    assert loaded.manifest.trained_on.startswith("Synthetic fractures only, in synthetic necks and in real bone: ")
    assert "**This package has never seen a real fracture.**" in loaded.card


def test_export_on_a_framework_that_cannot_convert_names_the_one_that_can(
    calibrated_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")

    assert export(calibrated_run, tmp_path / "package") == 2

    assert "Received: KERAS_BACKEND=torch. Set KERAS_BACKEND=tensorflow and export again." in capsys.readouterr().err
    assert not (tmp_path / "package").exists()


def test_a_package_predicts_a_study(calibrated_run: TinyRun, package: Path) -> None:
    study = read_study(next(path for path in (calibrated_run.unseen / "train_images").iterdir()))

    result = Detector(package, localiser=calibrated_run.localiser)(study)

    assert sum(level.assessment is not None for level in result.levels) == 7
    assert result.model.name == "tiny"


def test_the_scores_of_held_out_and_of_unseen_studies_are_those_of_the_package_as_served(
    calibrated_run: TinyRun, package: Path, tmp_path: Path
) -> None:
    command = ["evaluate", str(calibrated_run.run), "--data", str(calibrated_run.unseen), "-o", str(tmp_path), "--resamples", "5"]
    assert main(command) == 0
    detector = Detector(package, localiser=calibrated_run.localiser)
    held_out = StudyScores.from_csv(calibrated_run.run / "fold-0" / HELD_OUT)
    unseen = StudyScores.from_csv(tmp_path / "scores.csv")

    for data, told in ((calibrated_run.data, held_out), (calibrated_run.unseen, unseen)):
        for uid, scores in zip(told.study_uids[:3], told.scores, strict=False):
            served = detector.scores(read_study(data / "train_images" / uid))
            assert served is not None
            assert np.ptp(served[1:]) > 1e-3
            if told is unseen:
                served = detector.package.manifest.calibration.apply(served)
            np.testing.assert_allclose(scores, served, atol=1e-6)


def test_a_network_that_says_something_else_than_the_trained_one_is_refused(package: Path) -> None:
    loaded = load_package(package)
    samples = loaded.samples()
    other = Samples(samples.inputs, {name: 1 - answer for name, answer in samples.outputs.items()})

    with pytest.raises(TrainingError, match=r"must agree with the trained one within 0\.001"):
        check_parity(loaded.network_path("slices"), other, 1e-3)


def test_a_second_export_is_the_same_to_the_byte_but_for_the_numbers_it_is_given(
    calibrated_run: TinyRun, package: Path, tmp_path: Path
) -> None:
    estimate = {"value": 0.8, "low": 0.7, "high": 0.9}
    numbers = {
        "about": {"patients": "unseen studies, network of fold 0", "subjects": "phantoms"},
        "outputs": [{"patients": 10, "fractured": 5, "estimates": {"auroc": estimate}}],
        "fractured_levels": 6,
        "mean_level_auroc": estimate,
    }
    (tmp_path / "evaluation.json").write_text(json.dumps(numbers))
    again = tmp_path / "tiny"

    assert export(calibrated_run, again, "--evaluation", str(tmp_path / "evaluation.json"), "--coarse-mm", "2.5", "1") == 0

    assert load_package(again).manifest.quality.coarse_mm == (2.5, 1.0)
    assert load_package(package).manifest.quality.coarse_mm == (1.5, 0.8)
    figure = load_package(again).manifest.training.figures[0]
    assert (figure.name, figure.value) == ("AUROC of any fracture, 10 unseen synthetic necks, 5 of them fractured", 0.8)
    assert [figure.name for figure in load_package(package).manifest.training.figures] == [
        "AUROC of any fracture, 40 held-out synthetic necks, 20 of them fractured",
        "AUROC of a level, mean of C1..C7, 40 held-out synthetic necks, 20 levels fractured",
    ]
    assert "| AUROC of a level, mean of C1..C7, 40 held-out synthetic necks, 20 levels fractured |" in load_package(package).card
    assert load_package(package).manifest.training.figures[0].low is not None
    assert load_package(package).manifest.training.figures[1].interval == "too few for an interval"  # of three fractures a level
    for name in ("slices.xml", "slices.bin", "samples-slices.npz"):
        assert (again / name).read_bytes() == (package / name).read_bytes(), name


def test_a_fold_that_was_not_trained_and_numbers_that_are_none_are_told(
    calibrated_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(calibrated_run, tmp_path / "package", "--fold", "1") == 2
    assert "Fold 1 of" in capsys.readouterr().err
    assert export(calibrated_run, tmp_path / "package", "--evaluation", str(tmp_path / "none.json")) == 2
    assert "needs an evaluation.json" in capsys.readouterr().err
    assert export(calibrated_run, tmp_path / "package", "--coarse-mm", "2", "-1") == 2
    assert "needs two distances above 0" in capsys.readouterr().err
    assert export(calibrated_run, tmp_path / "package", *(2 * ["--evaluation", str(tmp_path / "none.json")])) == 2
    assert "one --evaluation" in capsys.readouterr().err
    assert not (tmp_path / "package").exists()


def test_a_run_of_few_held_out_patients_is_not_exported(
    tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten patients, five of them fractured, gave thresholds of less than 1 % once."""
    assert export(tiny_run, tmp_path / "package") == 2

    told = capsys.readouterr().err
    assert "needs 10 studies with a fracture and 10 without" in told
    assert "Received 5 and 5. Run `cspine calibrate`" in told
    assert not (tmp_path / "package").exists()


@pytest.fixture(scope="module")
def both_folds(tiny_run: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a run whose two folds are trained and calibrated on the same made-up scores."""
    run = Path(shutil.copytree(tiny_run.run, tmp_path_factory.mktemp("both") / "run"))
    resume = ["train", "custom_cnn", "--data", str(tiny_run.data), "-o", str(run), "--resume", "--fold", "all"]
    assert main([*resume, "--cache", str(tiny_run.run.parent / "cache")]) == 0
    for fold in (0, 1):
        (run / f"fold-{fold}" / CALIBRATION).write_text(made_up_scores().to_csv())
    return run


def test_all_folds_are_exported_as_one_network_that_averages_them_and_serves(
    both_folds: Path, tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "average"
    more = ("--cache", str(tiny_run.run.parent / "cache"))
    assert main(["export", str(both_folds), "--data", str(tiny_run.data), "-o", str(package), "--fold", "all", *more]) == 0
    slices = np.random.default_rng(0).random((4, 48, 48, 3), dtype=np.float32)
    networks = [keras.saving.load_model(both_folds / f"fold-{fold}" / "best.keras", compile=False) for fold in (0, 1)]
    predicted = [network.predict_on_batch(slices) for network in networks]

    loaded = load_package(package)
    served = open_session(loaded.network_path("slices"), Engine()).run(slices)
    result = Detector(package, localiser=tiny_run.localiser)(read_study(next((tiny_run.unseen / "train_images").iterdir())))

    for name, answer in served.items():
        np.testing.assert_allclose(answer, (np.asarray(predicted[0][name]) + np.asarray(predicted[1][name])) / 2, atol=1e-4)
    assert np.abs(np.asarray(predicted[0]["fracture"]) - np.asarray(predicted[1]["fracture"])).max() > 1e-3
    assert result.status is StudyStatus.OK
    assert loaded.manifest.training.patients == 20
    assert "The average of 2 networks" in loaded.card
    told = capsys.readouterr().out
    assert "costs 2 times the calculation of one" in told
    assert str(package / "manifest.json") in told


def test_all_folds_are_exported_only_when_all_are_trained(
    calibrated_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(calibrated_run, tmp_path / "package", "--fold", "all") == 2
    assert "Fold 1 of" in capsys.readouterr().err
    assert export(calibrated_run, tmp_path / "package", "--fold", "7") == 2
    assert "--fold needs all or one of 0, 1. Received: 7" in capsys.readouterr().err
