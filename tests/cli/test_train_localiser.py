import json
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from benchmarks.localiser import averaged
from cspine.cli import main
from cspine.cli.doctor import check_package
from cspine.modelpack import load_localiser
from cspine.networks.loading import load_network
from cspine.runtime import Engine, calculates_in, open_session
from cspine.training.core import export
from cspine.training.core.runs import open_run
from cspine.training.localiser.packing import TOLERANCES
from tests.cli.conftest import SETTINGS as SLICES
from tests.training.folders import write_data_set
from tests.training.synthetic import stack
from tests.training.untraced import step_by_step

SETTINGS = {
    "network.widths": "4,8",
    "input.size": "16,16,16",
    "input.spacing_mm": "8,8,8",
    "pool.necks": "2",
    "pool.held_out": "1",
    "pool.margin": "4,4,4",
    "fit.batch": "1",
    "fit.batches": "2",
    "fit.epochs": "2",
    "fit.threads": "1",
}


LARGER = [
    part
    for key, value in (SETTINGS | {"input.size": "32,32,32", "fit.epochs": "1"}).items()
    for part in ("--set", f"{key}={value}")
]


def train(run: Path, *more: str) -> int:
    with step_by_step():
        return main(["train", "localiser", "-o", str(run), *more])


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a run of one epoch whose network is large enough to be exported; its cache lies beside it."""
    run = tmp_path_factory.mktemp("larger") / "run"
    assert train(run, *LARGER) == 0
    return run


def test_a_localiser_makes_its_necks_and_learns_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]

    assert train(tmp_path / "run", *settings) == 0
    assert (tmp_path / "run" / "fold-0" / "last.keras").is_file()
    assert len(list((tmp_path / "cache" / "necks").rglob("*.npz"))) == 3
    log = (tmp_path / "run" / "fold-0" / "log.csv").read_text()
    assert "epoch 2/2" in capsys.readouterr().err

    assert train(tmp_path / "run", "--resume") == 0
    assert (tmp_path / "run" / "fold-0" / "log.csv").read_text() == log
    assert train(tmp_path / "run", "--resume", "--data", str(tmp_path)) == 2
    assert "was started without --data" in capsys.readouterr().err


def test_a_localiser_becomes_a_package_in_the_precision_that_is_asked_for(
    larger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = [str(tmp_path / f"{name}.json") for name in ("phantoms", "scans")]
    for path, value in zip(measured, (0.91, 0.97), strict=True):
        Path(path).write_text(json.dumps({"figures": [{"name": Path(path).stem, "value": value, "low": 0.5, "high": 1.0}]}))
    words = ["export", str(larger), "-o", str(tmp_path / "package"), "--precision", "bf16"]

    assert main([*words, "--evaluation", measured[0], "--evaluation", measured[1]]) == 0

    package = load_localiser(tmp_path / "package")
    assert [(one.name, one.value) for one in package.manifest.training.figures] == [("phantoms", 0.91), ("scans", 0.97)]
    assert package.manifest.network("coarse").precision == "bf16"
    assert package.manifest.fine is None
    card = (tmp_path / "package" / "card.md").read_text()
    able = calculates_in(package.network("coarse"), Engine(precision="bf16")) == "bf16"  # on this processor, as it is
    assert ("in bf16, as it is served" in card, "coarse was not checked in bf16, in which it is served" in card) == (able, not able)
    checked = check_package(str(tmp_path / "package"))
    assert checked.problem is None
    assert [network.difference <= TOLERANCES["bf16"] for network in checked.networks] == [True]
    for more in (["--data", str(tmp_path)], ["--coarse-mm", "2", "1"]):
        assert main([*words, *more]) == 2
        assert "exported without --data and --coarse-mm" in capsys.readouterr().err


def test_a_package_lends_its_refiner_to_a_new_localiser(
    larger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = load_localiser("localiser")
    assert shipped.manifest.fine is not None
    crop = np.random.default_rng(0).random((1, *shipped.manifest.fine.size, 3), dtype=np.float32)
    monkeypatch.setattr("cspine.training.refiner.family._crops", lambda _: crop)
    words = ["export", str(larger), "-o", str(tmp_path / "package"), "--refiner", "localiser"]

    capsys.readouterr()
    assert main(words) == 2
    assert "localiser was trained on patients. Say with --trained-on" in capsys.readouterr().err
    assert main([*words, "--trained-on", "patients and phantoms", "--describe", "necks"]) == 0

    package = load_localiser(tmp_path / "package")
    assert package.manifest.fine == shipped.manifest.fine
    assert package.manifest.training.recipe == "localiser and refiner"
    session = open_session(package.network("fine"), Engine(precision="f32"))
    assert shipped.difference(session, "fine") <= TOLERANCES["f32"]
    bare = tmp_path / "bare"
    assert main([*words[:3], str(bare)]) == 0
    assert main([*words[:3], str(tmp_path / "third"), "--refiner", str(bare), "--trained-on", "phantoms", "--describe", "x"]) == 2
    assert (
        "--refiner needs a package whose refiner is fed as that of the recipe refiner. bare 1 has none." in capsys.readouterr().err
    )


def test_a_network_that_half_precision_moves_too_far_stays_in_single_precision(
    larger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = {"f32": 0.0, "bf16": 1.01 * TOLERANCES["bf16"]}
    monkeypatch.setattr(export, "difference", lambda path, samples, precision: apart[precision])  # noqa: ARG005
    monkeypatch.setattr(export, "calculates_in", lambda _, engine: engine.precision)

    assert main(["export", str(larger), "-o", str(tmp_path / "package"), "--precision", "bf16"]) == 0

    assert load_localiser(tmp_path / "package").manifest.network("coarse").precision == "f32"
    assert "bf16" not in (tmp_path / "package" / "card.md").read_text()


def test_weights_of_a_run_and_a_package_are_averaged_into_a_run_that_can_be_exported(
    larger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package, doubled, mean = tmp_path / "package", tmp_path / "doubled", tmp_path / "mean"
    whose = ["--trained-on", "phantoms", "--describe", "two of them"]
    assert main(["export", str(larger), "-o", str(package), *whose]) == 0
    shutil.copytree(larger, doubled)
    network = load_network(open_run(doubled).network(0))
    weights = network.get_weights()
    network.set_weights([2 * weight for weight in weights])
    network.save(open_run(doubled).network(0), include_optimizer=False)

    monkeypatch.setattr("sys.argv", ["averaged", str(doubled), str(package), "-o", str(mean), "--share", "0.25"])
    assert averaged.main() == 0

    for found, weight in zip(load_network(open_run(mean).network(0)).get_weights(), weights, strict=True):
        np.testing.assert_allclose(found, 1.25 * weight, atol=1e-5)
    assert main(["export", str(mean), "-o", str(tmp_path / "averaged"), *whose]) == 0
    capsys.readouterr()
    assert averaged.main() == 2
    assert f"{mean} is there: give another" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["averaged", str(doubled), str(package), "-o", str(tmp_path / "more"), "--share", "1.5"])
    assert averaged.main() == 2
    assert "--share needs a number from 0 to 1. Received: 1.5." in capsys.readouterr().err
    assert not (tmp_path / "more").exists()


def test_a_localiser_goes_on_from_a_package_and_knows_whom_that_has_seen(
    larger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cached = (*LARGER, "--cache", str(larger.parent / "cache"))
    second, package = tmp_path / "second", tmp_path / "package"
    whose = ["--trained-on", "patients", "--describe", "two of them"]
    assert main(["export", str(larger), "-o", str(package), *whose]) == 0

    assert train(second, *cached, "--set", f"initial_weights={package}", "--set", "fit.learning_rate=1e-9") == 0

    before, after = (load_network(run / "fold-0" / "last.keras").get_weights() for run in (larger, second))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    capsys.readouterr()
    assert main(["export", str(second), "-o", str(tmp_path / "other")]) == 2
    assert "was trained on patients. Say with --trained-on" in capsys.readouterr().err
    package.rename(tmp_path / "elsewhere")
    assert main(["export", str(second), "-o", str(tmp_path / "other")]) == 2
    assert "is not there any more" in capsys.readouterr().err
    assert train(tmp_path / "third", *cached, "--set", f"initial_weights={package}") == 2
    assert not (tmp_path / "third").exists()


def data_set(folder: Path, masks: int) -> Path:
    """Returns eight studies; all but a few have masks."""
    return write_data_set(folder, [stack(i, i % 7 if i % 2 else None, mask=i < masks) for i in range(8)])


def on_masks(run: Path, data: Path, *more: str) -> int:
    given = SETTINGS | {"split.folds": "2", "fit.epochs": "1", "fit.batches": "3"}
    if "masked.share=1" in more:
        given = {key: value for key, value in given.items() if key not in ("pool.necks", "pool.held_out")}
    else:
        del given["pool.held_out"]
    settings = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
    return train(run, "--data", str(data), *settings, *more)


def test_with_masks_it_learns_from_patients_alone_and_others_validate_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = data_set(tmp_path / "data", 6)

    assert on_masks(tmp_path / "run", data, "--set", "masked.share=1", "--fold", "all") == 0

    assert not (tmp_path / "cache" / "necks").exists()
    facts = open_run(tmp_path / "run").facts
    assert (facts.data, facts.studies, set(facts.folds.values())) == ("data", 8, {0, 1})
    assert facts.settings["masked.share"] == "1.0"
    assert all((tmp_path / "run" / f"fold-{fold}" / "last.keras").is_file() for fold in (0, 1))
    capsys.readouterr()

    assert train(tmp_path / "run", "--resume") == 2
    assert "learns from data; give it with --data" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "package")]) == 2
    assert "was trained on the masks of data. Say with --trained-on and --describe who" in capsys.readouterr().err
    whose = ["--trained-on", "phantoms", "--describe", "six"]
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "package"), *whose, "--fold", "7"]) == 2
    assert "--fold needs all or one of 0, 1. Received: 7" in capsys.readouterr().err


def test_with_masks_it_learns_from_necks_too_without_what_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = data_set(tmp_path / "data", 8)
    mask = min((data / "segmentations").iterdir())
    image = nibabel.load(mask)
    away = image.affine.copy()
    away[:3, 3] += 60
    nibabel.save(nibabel.Nifti1Image(np.array(image.dataobj), away), mask)

    assert on_masks(tmp_path / "run", data) == 2
    assert "--skip-broken leaves out what is broken" in capsys.readouterr().err
    assert on_masks(tmp_path / "run", data, "--skip-broken") == 0
    assert "mask_outside_image" in capsys.readouterr().err

    assert len(list((tmp_path / "cache" / "necks").rglob("*.npz"))) == 2  # none to validate on: patients are
    assert len(list((tmp_path / "cache" / "entries").iterdir())) == 7
    assert open_run(tmp_path / "run").facts.broken == {mask.stem: ["mask_outside_image"]}


def test_a_localiser_trained_on_the_same_patients_teaches_only_the_fold_that_it_has_not_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, teacher = data_set(tmp_path / "data", 5), tmp_path / "teacher"
    assert on_masks(teacher, data, "--set", "masked.share=1") == 0
    given = SLICES | {"split.folds": "2", "fit.epochs": "1", "fit.batches": "2"}
    settings = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
    pseudo = ["train", "custom_cnn", "--data", str(data), "--pseudo-labels", str(teacher), *settings]

    with step_by_step():
        assert main([*pseudo, "-o", str(tmp_path / "run")]) == 0
    header, *rows = (tmp_path / "run" / "fold-0" / "pseudo_labels.csv").read_text().splitlines()
    training_set = sorted(uid for uid, fold in open_run(tmp_path / "run").facts.folds.items() if fold == 1)
    assert header == "study_uid,mask,doubts"
    assert sorted(row.split(",")[0] for row in rows) == training_set
    unmarked = {row.split(",")[0] for row in rows if ",own," not in row}
    assert unmarked == {uid for uid in training_set if not (data / "segmentations" / f"{uid}.nii").exists()} != set()
    assert all(row.endswith(",own,") or ",none," in row for row in rows)  # so small a network names nothing that holds
    assert "no mask for study 1.2.826" in capsys.readouterr().err

    assert main([*pseudo, "-o", str(tmp_path / "other"), "--fold", "1"]) == 2
    assert "must not have seen the patients that are held out" in capsys.readouterr().err


def test_data_without_masks_are_refused_and_so_is_a_fold_without_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert on_masks(tmp_path / "run", data_set(tmp_path / "bare", 0)) == 2
    assert "has none that can be used; give another data set, or none" in capsys.readouterr().err

    assert on_masks(tmp_path / "run", data_set(tmp_path / "one", 1), "--set", "masked.share=1") == 2
    assert re.search(
        r"A fold needs masks to train on and masks to validate on\. Fold 0 .* has [01] and [01]", capsys.readouterr().err
    )


def test_without_data_nobody_is_held_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", "--fold", "1") == 2
    assert "holds no patients out; give no --fold" in capsys.readouterr().err


def test_a_share_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", "--set", "masked.share=0") == 2
    assert "masked.share must be above 0" in capsys.readouterr().err


def test_a_slice_network_needs_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "custom_cnn", "-o", str(tmp_path / "run")]) == 2
    assert "custom_cnn needs --data DIR" in capsys.readouterr().err
