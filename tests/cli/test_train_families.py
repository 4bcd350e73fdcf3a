import json
from importlib import import_module
from pathlib import Path
from urllib.error import URLError

import pytest

from cspine.cli import main
from tests.cli.conftest import SETTINGS, TinyRun
from tests.training.folders import write_data_set
from tests.training.synthetic import stack
from tests.training.untraced import step_by_step


def train(recipe: str, data: Path, run: Path, *more: str) -> int:
    settings = SETTINGS | {"fit.epochs": "1", "fit.batches": "2"}
    changes = [part for item in settings.items() for part in ("--set", "=".join(item))]
    with step_by_step():
        return main(["train", recipe, "--data", str(data), "-o", str(run), *changes, *more])


def test_a_network_is_trained_on_pseudo_labels_and_on_boxes(tmp_path: Path) -> None:
    data = write_data_set(tmp_path / "data", [stack(i, i % 7 if i % 2 else None, mask=i % 3 == 0) for i in range(12)])

    codes = [
        train("custom_cnn", data, tmp_path / "teacher", "--boxes"),
        train("custom_cnn", data, tmp_path / "run", "--pseudo-labels", str(tmp_path / "teacher")),
    ]

    assert codes == [0, 0]
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["settings"]["labels.teacher"] == str(tmp_path / "teacher")
    training_set = {name for name, fold in facts["folds"].items() if fold != 0}
    without = {name for name in training_set if not (data / "segmentations" / f"{name}.nii").exists()}
    assert len(list((tmp_path / "cache" / "pseudo_labels").rglob("*.npy"))) == len(without) > 0
    header, losses = ((tmp_path / "teacher" / "fold-0" / "log.csv").read_text().splitlines()[i].split(",") for i in (0, 1))
    assert float(dict(zip(header, losses, strict=True))["fracture_map_loss"]) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["custom_cnn", "--weights", "none"], "custom_cnn has no setting network.weights."),
        (["custom_cnn", "--pseudo-labels", "nobody"], "A teacher is a run that `cspine train` wrote, or a package that finds"),
        (["localiser", "--boxes"], "localiser has no setting network.fracture_map."),
        (["densenet121", "--weights", "nowhere.h5"], "nowhere.h5; give another --weights"),
        (["densenet121", "--backbone", "vgg"], "one of densenet121, inception_v3, inception_resnet_v2 is needed"),
        (["unet_transfer", "--set", "input.size=100,100"], "multiples of 32"),
        (["custom_cnn", "--set", "network.widths=4,8"], "network.widths needs 3 widths at least, each 1 or more. Received: (4, 8)"),
        (["custom_cnn", "--set", "network.widths=4,0,8"], "network.widths needs 3 widths at least"),
        (["custom_cnn", "--set", "network.dropout=1"], "dropout in 0..1, below 1"),
        (["custom_cnn", "--set", "sampling.crop=100,100"], "must be multiples of 32"),
        (["densenet121", "--weights", "none", "--set", "network.head_width=0"], "needs a head_width of 1 or more"),
        (["unet_transfer", "--weights", "none", "--set", "network.widths=-4"], "network.widths needs one width at least"),
        (["vertebra_mil", "--set", "network.heads=0"], "needs a width that its heads divide"),
        (["vertebra_mil", "--set", "network.mixers=-1"], "needs close and mixers of 0 or more"),
        (["vertebra_mil", "--set", "initial_weights=nowhere.keras"], "nowhere.keras cannot be read"),
        (["localiser", "--set", "network.widths=0,8"], "network.widths needs one width at least"),
        (["localiser", "--set", "fit.patience=-1"], "patience"),
        (["localiser", "--set", "losses.fracture=2"], "localiser has no setting losses.fracture."),
        (["vertebra_mil", "--set", "sampling.held_back_share=0.2"], "vertebra_mil has no setting sampling.held_back_share."),
    ],
)
def test_a_call_that_cannot_be_trained_is_told_in_one_line_before_a_run_is_begun(
    tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code = main(["train", *arguments, "--data", str(tiny_run.data), "-o", str(tmp_path / "run")])

    assert code == 2
    assert_one_line(message, tmp_path, capsys)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("imagenet", "ImageNet weights of DenseNet121 must be downloaded, and that failed"),
        (__file__, "must hold the weights of Den"),
    ],
)
def test_weights_that_cannot_be_had_or_do_not_fit_are_told_before_hours_are_spent_on_data(
    tiny_run: TinyRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    weights: str,
    message: str,
) -> None:
    def unreachable(*_: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", unreachable)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path / "keras"), raising=False)
    monkeypatch.setattr(import_module("cspine.training.core.runs"), "checked_cases", lambda *_: pytest.fail("data were read"))

    code = main(["train", "densenet121", "--weights", weights, "--data", str(tiny_run.data), "-o", str(tmp_path / "run")])

    assert code == 2
    assert_one_line(message, tmp_path, capsys)


def assert_one_line(message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "run").exists()
