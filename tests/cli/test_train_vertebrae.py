"""The way of a network that classifies vertebra by vertebra: trained, calibrated, evaluated, exported, asked."""

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.cli import Exit, main
from cspine.cli.doctor import check_package
from cspine.cli.families import family_of_run
from cspine.datasets import read_dataset
from cspine.evaluation import StudyScores
from cspine.modelpack import TrainingData, VertebraManifest, load_package
from cspine.training.core import export
from cspine.training.core.family import TrainingPlace
from cspine.training.core.runs import open_run
from cspine.training.vertebrae.family import TOLERANCES
from tests.cli.conftest import calibrate_made_up
from tests.training.coded_necks import neck
from tests.training.folders import write_data_set
from tests.training.synthetic import Silent

SETTINGS = {
    "network.widths": "4,4,4,4",
    "network.close": "4",
    "network.width": "8",
    "network.mixers": "1",
    "network.heads": "2",
    "input.spacing_mm": "2.5,2,2",
    "input.slices": "4",
    "input.depth": "8",
    "input.size": "32,32",
    "crops.spare": "2,4,4",
    "patches.epochs": "0",
    "fit.batch": "2",
    "fit.batches": "2",
    "fit.epochs": "1",
    "fit.threads": "1",
    "split.folds": "2",
}


@dataclass(frozen=True)
class Trained:
    """A run, its data, studies that it never saw, and the localiser that finds their vertebrae."""

    run: Path
    data: Path
    unseen: Path
    localiser: Path

    def study(self, number: int) -> str:
        return str(sorted((self.unseen / "train_images").iterdir())[number])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, coded_localiser: Path) -> Trained:
    place = tmp_path_factory.mktemp("vertebrae")
    data = write_data_set(place / "data", [neck(i, CERVICAL[i] if i % 2 else None, mask=i < 5) for i in range(6)])
    unseen = write_data_set(place / "unseen", [neck(i, Level.C4 if i % 2 else None, mask=False) for i in range(10, 14)])
    given = SETTINGS | {"crops.localiser": str(coded_localiser)}
    settings = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
    assert main(["train", "vertebra_mil", "--data", str(data), "-o", str(place / "run"), *settings]) == Exit.DONE
    calibrate_made_up(place / "run")
    return Trained(place / "run", data, unseen, coded_localiser)


@pytest.fixture(scope="module")
def package(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages") / "vertebrae"
    command = ["export", str(trained.run), "--data", str(trained.data), "-o", str(folder)]
    assert main([*command, "--trained-on", "phantoms", "--describe", "six necks of blocks"]) == Exit.DONE
    return folder


def test_a_run_holds_its_network_its_log_and_scores_of_whom_it_held_out(trained: Trained) -> None:
    facts = json.loads((trained.run / "run.json").read_text())

    assert {path.name for path in (trained.run / "fold-0").iterdir()} >= {"last.keras", "log.csv", "held_out.csv", "checkpoint.npz"}
    assert facts["recipe"] == "vertebra_mil"
    assert facts["settings"]["input.slices"] == "4"
    with (trained.run / "fold-0" / "held_out.csv").open() as file:
        assert {row["study_uid"] for row in csv.DictReader(file)} == {uid for uid, fold in facts["folds"].items() if fold == 0}


def test_a_finished_run_that_is_resumed_stays_as_it_is(trained: Trained) -> None:
    before = (trained.run / "fold-0" / "held_out.csv").read_bytes()

    assert main(["train", "vertebra_mil", "--data", str(trained.data), "-o", str(trained.run), "--resume"]) == Exit.DONE

    assert (trained.run / "fold-0" / "held_out.csv").read_bytes() == before


def test_a_run_is_evaluated_on_whom_it_held_out_where_the_localiser_finds_them(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", str(trained.run), "--data", str(trained.data), "-o", str(tmp_path), "--resamples", "10"]

    assert main(command) == Exit.DONE

    assert "vertebra_mil, out of fold" in capsys.readouterr().out
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert found["about"]["recipe"] == "vertebra_mil"
    assert found["localisation"] is not None


def test_too_few_do_not_calibrate_it_and_those_who_did_evaluate_it_no_more(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    calibrate_made_up(run, [path.name for path in (trained.unseen / "train_images").iterdir()])

    assert main(["calibrate", str(run), "--data", str(trained.unseen)]) == Exit.WRONG_INPUT
    assert main(["evaluate", str(run), "--data", str(trained.unseen), "-o", str(tmp_path / "out")]) == Exit.WRONG_INPUT

    told = capsys.readouterr().err
    assert "Thresholds need 19 studies with a fracture and 19 without" in told
    assert "Received 2 and 2" in told
    assert "shares 4 of 4" in told


def test_a_package_says_what_it_is_and_repeats_its_samples(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded, checked = load_package(package), check_package(str(package))

    assert isinstance(loaded.manifest, VertebraManifest)
    assert loaded.manifest.training_data is TrainingData.PHANTOMS
    assert loaded.manifest.tta_passes == 2
    assert "six necks of blocks" in loaded.card
    assert "4 slices across the spine" in loaded.card
    assert checked.problem is None
    (network,) = checked.networks
    assert network.role == "vertebrae"
    assert 0 <= network.difference <= network.tolerance
    assert main(["models", str(package)]) == Exit.DONE
    assert "kind       vertebrae" in capsys.readouterr().out


@pytest.mark.parametrize("able", [True, False], ids=["a processor with bf16", "one without"])
def test_a_package_may_be_calculated_in_half_precision_and_says_whether_that_was_checked(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], able: bool
) -> None:
    monkeypatch.setattr(export, "calculates_in", lambda _, engine: engine.precision if able else "f32")
    command = ["export", str(trained.run), "--data", str(trained.data), "-o", str(tmp_path / "package"), "--precision", "bf16"]

    assert main(command) == Exit.DONE

    (network,) = load_package(tmp_path / "package").manifest.networks
    assert (network.precision, network.tolerance) == ("bf16", TOLERANCES["bf16"])
    card, told = (tmp_path / "package" / "card.md").read_text(), capsys.readouterr().err
    unchecked = "The network vertebrae was not checked in bf16, in which it is served: the processor of the export"
    assert ("in bf16, as it is served" in card, unchecked in card, unchecked in told) == (able, not able, not able)
    assert check_package(str(tmp_path / "package")).problem is None


def test_a_few_studies_are_enough_to_try_batches_on(trained: Trained) -> None:
    run = open_run(trained.run)
    cases = read_dataset(trained.data).cases

    task = family_of_run(run).trial_task(cases[:4], TrainingPlace(trained.run.parent / "cache"), Silent())  # type: ignore[attr-defined]

    images, targets = task.batches(0, 0)[0]
    assert {len(array) for array in (images, *targets.values())} == {2}
    assert task.build().input_shape == (None, *images.shape[1:])


def test_a_network_that_half_precision_moves_too_far_stays_in_single_precision(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = {"f32": 0.0, "bf16": 1.01 * TOLERANCES["bf16"]}
    monkeypatch.setattr(export, "difference", lambda path, samples, precision: apart[precision])  # noqa: ARG005
    monkeypatch.setattr(export, "calculates_in", lambda _, engine: engine.precision)
    command = ["export", str(trained.run), "--data", str(trained.data), "-o", str(tmp_path / "package"), "--precision", "bf16"]

    assert main(command) == Exit.DONE

    (network,) = load_package(tmp_path / "package").manifest.networks
    assert (network.precision, network.tolerance) == ("f32", TOLERANCES["f32"])
    assert "bf16" not in (tmp_path / "package" / "card.md").read_text()


def test_a_package_predicts_a_study_as_the_run_predicts_it(
    trained: Trained, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--model", str(package), "--localiser", str(trained.localiser), "--format", "json", "-o", str(tmp_path / "out")]
    assert main(["detect", trained.study(1), *asked]) == Exit.DONE
    evaluate = ["evaluate", str(trained.run), "--data", str(trained.unseen), "-o", str(tmp_path / "evaluated"), "--resamples", "10"]
    assert main(evaluate) == Exit.DONE

    (path,) = (tmp_path / "out").glob("*/result.json")
    result = json.loads(path.read_text())
    evaluated = StudyScores.from_csv(tmp_path / "evaluated" / "scores.csv")
    output = [result["patient_overall"], *result["levels"]]
    wanted = evaluated.scores[evaluated.study_uids.index(Path(trained.study(1)).name)]
    assert [one["probability"] for one in output] == pytest.approx(wanted, abs=2e-3)
    for one in output:
        assert one["range"]["low"] <= one["probability"] <= one["range"]["high"]


def test_a_run_that_only_finds_vertebrae_is_not_asked_to_classify(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    facts = json.loads((trained.run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(facts | {"recipe": "localiser", "settings": {}}))

    assert main(["calibrate", str(run), "--data", str(trained.unseen)]) == Exit.WRONG_INPUT

    told = capsys.readouterr().err
    assert "A classifier is needed: custom_cnn" in told
    assert "vertebra_mil. Received localiser, which finds vertebrae" in told
