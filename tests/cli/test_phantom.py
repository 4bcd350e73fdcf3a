"""``cspine phantom``, ``cspine info`` on a data set, ``cspine cache``."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cspine.cli import Exit, main
from cspine.datasets import check_case, read_dataset
from cspine.datasets.cache import Cache
from tests.datasets.by_hand import ROOT_UID, blocks, edit, write_folder, write_mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Returns a sound data set of three studies; see :func:`write_folder`."""
    return write_folder(tmp_path)


@pytest.fixture(scope="module")
def necks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns two real phantoms, masked and boxed."""
    out = tmp_path_factory.mktemp("necks") / "data"
    arguments = [
        "phantom",
        str(out),
        "--studies",
        "2",
        "--seed",
        "8",
        "--size",
        "small",
        "--masks",
        "1",
        "--boxes",
        "1",
        "--jobs",
        "2",
    ]
    assert main(arguments) == Exit.DONE
    return out


def test_necks_are_made_and_bear_out_their_masks_and_boxes(necks: Path) -> None:
    data = read_dataset(necks)

    assert len(data.cases) == 2
    assert any(case.boxes for case in data.cases)
    for case in data.cases:
        assert check_case(case) == ()
        assert case.fractured is not None
        assert case.truth is not None
        told = json.loads((case.truth / "truth.json").read_text())
        broken = {name for name, is_broken in told["fractured"].items() if is_broken}
        assert broken == {f"C{n}" for n, is_broken in enumerate(case.fractured, 1) if is_broken}
        assert {injury["level"] for injury in told["injuries"]} == broken


def test_calling_it_again_makes_nothing_new(necks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["phantom", str(necks), "--studies", "2", "--seed", "8", "--size", "small", "--masks", "1", "--boxes", "1"]

    assert main(arguments) == Exit.DONE
    assert "0 studies made, 2 were there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--studies", "0"], "--studies needs a positive number"),
        (["--studies", "1", "--seed", "-1"], "--seed needs a whole number from 0"),
        (["--studies", "1", "--masks", "1.5"], "--masks needs a share between 0 and 1"),
        (["--studies", "1", "--jobs", "-2"], "--jobs needs a positive number"),
        (["--studies", "1", "--anatomy", "nowhere.npz"], "--anatomy needs a file"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["phantom", str(tmp_path / "out"), *arguments]) == Exit.WRONG_INPUT

    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_info_tells_the_counts_of_a_data_set(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(folder)]) == Exit.DONE
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    for line in (
        f"{folder}: data set in the RSNA 2022 layout",
        "labelled studies 3",
        "patient_overall 1 33.3%",
        "C2 1 33.3%",
        "C3 0 0.0%",
        "with boxes 1 1 boxes",
        "with a mask 2 1 positive",
        "fractured levels per study 0: 2, 1: 0, 2: 1",
        "left out: 0 studies",
        "problems: 0",
    ):
        assert line in lines


def break_in_many_ways(folder: Path) -> None:
    """Leaves a broken row, a missing study, a truncated slice, a wrong mask, and a box and a mask of nobody."""
    images = folder / "train_images"
    for number in (4, 5):
        shutil.copytree(images / f"{ROOT_UID}3", images / f"{ROOT_UID}{number}")
    healthy = ",0,0,0,0,0,0,0,0\n"
    edit(
        folder / "train.csv",
        f"{ROOT_UID}3,",
        f"{ROOT_UID}4{healthy}{ROOT_UID}5,1,0,0,0,0,0,0,0\n{ROOT_UID}6{healthy}{ROOT_UID}3,",
    )
    cut = images / f"{ROOT_UID}4" / "9.dcm"
    cut.write_bytes(cut.read_bytes()[:-200])
    write_mask(folder / "segmentations" / f"{ROOT_UID}1.nii", blocks()[1][::-1])
    write_mask(folder / "segmentations" / f"{ROOT_UID}77.nii", blocks()[1])
    with (folder / "train_bounding_boxes.csv").open("a") as table:
        table.write(f"{ROOT_UID}88,1,1,5,5,4\n")


def test_everything_broken_is_named_and_the_rest_can_be_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    break_in_many_ways(folder)

    assert main(["info", str(folder), "--check", "--json"]) == Exit.DONE
    told = json.loads(capsys.readouterr().out)
    named = {(problem["code"], problem["study_uid"].removeprefix(ROOT_UID)) for problem in told["problems"]}
    assert named == {
        ("labels_contradict", "5"),
        ("missing_images", "6"),
        ("truncated_slice", "4"),
        ("unknown_study", "88"),
        ("unknown_mask", "77"),
        ("mask_upside_down", "1"),
    }
    assert set(told["excluded"]) == {f"{ROOT_UID}{n}" for n in (4, 5, 6)}
    assert (told["studies"], told["masked_studies"], told["boxed_studies"]) == (3, 1, 1)

    assert main(["info", str(folder), "--check"]) == Exit.DONE
    text = capsys.readouterr().out
    for code, _ in named:
        assert f"{code} (1)" in text


def test_the_cache_command_shows_and_cleans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in "ab":
        Cache(tmp_path).arrays(source, {}, lambda: {"hu": np.zeros((100, 100, 100), np.int16)})
    assert main(["cache", str(tmp_path)]) == Exit.DONE
    assert "2 entries, 0.00 GiB of 20.00 GiB" in capsys.readouterr().out

    assert main(["cache", str(tmp_path), "--clean", "--limit", "0.003"]) == Exit.DONE
    assert "1 entries removed" in capsys.readouterr().out
    assert main(["cache", str(tmp_path), "--clean"]) == Exit.DONE
    assert "0 entries" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"), [(["nowhere"], "A cache is a folder"), ([".", "--limit", "-1"], "size from 0 GiB")]
)
def test_a_wrong_cache_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert main(["cache", *arguments]) == Exit.WRONG_INPUT
    assert message in capsys.readouterr().err
