import json
from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.cli import main
from cspine.detection import Detector
from cspine.errors import TrainingError
from cspine.modelpack import TrainingData, load_package
from cspine.modelpack.store import Samples
from cspine.reading import read_study
from cspine.runtime import Engine, open_session
from cspine.training.core.export import check_parity
from tests.cli.conftest import TinyRun


def export(tiny_run: TinyRun, out: Path, *more: str) -> int:
    return main(["export", str(tiny_run.run), "--data", str(tiny_run.data), "-o", str(out), *more])


@pytest.fixture(scope="module")
def package(tiny_run: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages") / "tiny"
    assert export(tiny_run, folder, "--describe", "twenty bright squares", "--trained-on", "phantoms") == 0
    return folder


@pytest.mark.parametrize("size", [1, 8])
def test_the_exported_network_says_what_the_trained_one_says(tiny_run: TinyRun, package: Path, size: int) -> None:
    slices = np.random.default_rng(0).random((size, 32, 32, 3), dtype=np.float32)
    trained = keras.saving.load_model(tiny_run.run / "fold-0" / "best.keras", compile=False).predict_on_batch(slices)

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


def test_a_package_predicts_a_study(tiny_run: TinyRun, package: Path, coded_localiser: Path) -> None:
    study = read_study(next(path for path in (tiny_run.unseen / "train_images").iterdir()))

    result = Detector(package, localiser=coded_localiser)(study)

    assert len(result.levels) == 7
    assert result.model.name == "tiny"


def test_a_network_that_says_something_else_than_the_trained_one_is_refused(package: Path) -> None:
    loaded = load_package(package)
    samples = loaded.samples()
    other = Samples(samples.inputs, {name: 1 - answer for name, answer in samples.outputs.items()})

    with pytest.raises(TrainingError, match=r"must agree with the trained one within 0\.001"):
        check_parity(loaded.network_path("slices"), other, 1e-3)


def test_a_second_export_is_the_same_to_the_byte_but_for_the_numbers_it_is_given(
    tiny_run: TinyRun, package: Path, tmp_path: Path
) -> None:
    estimate = {"value": 0.8, "low": 0.7, "high": 0.9}
    numbers = {
        "about": {"patients": "unseen studies, network of fold 0", "subjects": "phantoms"},
        "outputs": [{"patients": 10, "estimates": {"auroc": estimate}}],
        "mean_level_auroc": estimate,
    }
    (tmp_path / "evaluation.json").write_text(json.dumps(numbers))
    again = tmp_path / "tiny"

    assert export(tiny_run, again, "--evaluation", str(tmp_path / "evaluation.json"), "--coarse-mm", "2.5", "1") == 0

    assert load_package(again).manifest.quality.coarse_mm == (2.5, 1.0)
    assert load_package(package).manifest.quality.coarse_mm == (1.5, 0.8)
    figure = load_package(again).manifest.training.figures[0]
    assert (figure.name, figure.value) == ("AUROC of any fracture, 10 unseen synthetic necks", 0.8)
    assert load_package(package).manifest.training.figures[0].name == "AUROC of any fracture, 10 held-out synthetic necks"
    for name in ("slices.xml", "slices.bin", "samples-slices.npz"):
        assert (again / name).read_bytes() == (package / name).read_bytes(), name


def test_a_fold_that_was_not_trained_and_numbers_that_are_none_are_told(
    tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(tiny_run, tmp_path / "package", "--fold", "1") == 2
    assert "Fold 1 of" in capsys.readouterr().err
    assert export(tiny_run, tmp_path / "package", "--evaluation", str(tmp_path / "none.json")) == 2
    assert "needs an evaluation.json" in capsys.readouterr().err
    assert export(tiny_run, tmp_path / "package", "--coarse-mm", "2", "-1") == 2
    assert "needs two distances above 0" in capsys.readouterr().err
    assert not (tmp_path / "package").exists()
