"""A data set with everything wrong that happens to data sets: each fault is named, the sound part is used."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cspine.cli import main
from tests.cli.conftest import TinyRun, calibrate_made_up, train
from tests.training.folders import write_data_set
from tests.training.synthetic import stack
from tests.training.untraced import step_by_step

STUDIES = 20


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "data"
    return write_data_set(folder, [stack(i, i % 7 if i % 2 else None) for i in range(STUDIES)])


@pytest.fixture
def sound(written: Path, tmp_path: Path) -> Path:
    """Returns a data set of its own, without a fault."""
    return Path(shutil.copytree(written, tmp_path / "data"))


def rows(data: Path) -> list[list[str]]:
    with (data / "train.csv").open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def uid(data: Path, number: int) -> str:
    return rows(data)[number + 1][0]


def edit(data: Path, change: Callable[[list[list[str]]], None], *, encoding: str = "utf-8", ending: str = "\n") -> None:
    table = rows(data)
    change(table)
    with (data / "train.csv").open("w", newline="", encoding=encoding) as file:
        csv.writer(file, lineterminator=ending).writerows(table)


def move_mask(path: Path, shift_mm: float) -> None:
    mask = nibabel.load(path)
    labels, affine = np.array(mask.dataobj), mask.affine.copy()  # copied, as the file is mapped
    affine[:3, 3] += shift_mm
    nibabel.save(nibabel.Nifti1Image(labels, affine), path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-700])


def damage(data: Path) -> dict[str, str]:
    """Breaks eight studies, each in another way.

    Returns:
        For each study the code that its fault has.
    """
    of = [uid(data, number) for number in range(STUDIES)]
    images, masks = data / "train_images", data / "segmentations"

    def break_rows(table: list[list[str]]) -> None:
        table[1][2] = "2"
        table[2][1] = "0"  # patient_overall of a fractured study
        table.append(table[4])
        table.append(["", *["0"] * 8])

    edit(data, break_rows)
    shutil.rmtree(images / of[4])
    cut(images / of[5] / "3.dcm")
    move_mask(masks / f"{of[6]}.nii", 60)
    (masks / f"{of[7]}.nii").write_bytes(b"no mask")
    for path in (images / of[8]).iterdir():
        path.unlink()
    (images / of[8] / "readme.txt").write_text("lost")
    shutil.copytree(images / of[9], images / "1.2.826.0.1.3680043.77777")
    with (data / "train_bounding_boxes.csv").open("a") as file:
        file.write(f"{of[11]},9000,3,4,4,3\n")
    return {
        of[0]: "bad_row",
        of[1]: "labels_contradict",
        of[3]: "duplicate_row",
        of[4]: "missing_images",
        of[5]: "truncated_slice",
        of[6]: "mask_outside_image",
        of[7]: "bad_mask",
        of[8]: "missing_images",
        of[11]: "box_outside_image",
        "1.2.826.0.1.3680043.77777": "unlabelled_study",
    }


def test_every_fault_of_a_folder_is_named(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = damage(sound)

    assert main(["info", str(sound), "--check", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)["problems"]
    codes = {problem["study_uid"]: problem["code"] for problem in told if problem["study_uid"]}
    assert {study: codes.get(study) for study in expected} == expected
    assert set(codes) == set(expected)
    assert [problem["code"] for problem in told if not problem["study_uid"]] == ["bad_row"]


def test_training_stops_at_a_fault_and_goes_on_without_it_if_asked(
    sound: Path, tiny_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = damage(sound)

    assert train(sound, tmp_path / "stopped") == 2
    assert "--skip-broken leaves out what is broken" in capsys.readouterr().err
    assert not (tmp_path / "stopped").exists()

    with step_by_step():
        assert train(sound, tmp_path / "run", "--skip-broken", "--set", "fit.epochs=1", "--set", "fit.batches=2") == 0
    told = capsys.readouterr().err
    used = json.loads((tmp_path / "run" / "run.json").read_text())["folds"]
    whole = {"duplicate_row", "mask_outside_image", "bad_mask", "box_outside_image"}
    lost = {study for study, code in expected.items() if code not in whole}
    assert set(used) == {row[0] for row in rows(sound)[1:] if row[0]} - lost
    assert all(f"{code}: " in told and study in told for study, code in expected.items())

    calibrate_made_up(tmp_path / "run")
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(sound), "-o", str(tmp_path / "out"), "--resamples", "10"]) == 0
    assert "out of fold" in capsys.readouterr().out
    assert train(sound, tmp_path / "run", "--resume") == 2  # settings are given again
    assert main(["train", "custom_cnn", "--data", str(sound), "-o", str(tmp_path / "run"), "--resume"]) == 0


def test_what_info_checked_is_not_read_again_before_training(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted = uid(sound, 4)
    move_mask(sound / "segmentations" / f"{shifted}.nii", 12)
    cache = ["--cache", str(tmp_path / "cache")]
    assert main(["info", str(sound), "--check", *cache]) == 0
    capsys.readouterr()
    monkeypatch.setattr("cspine.datasets.checking.read_study", lambda _: pytest.fail("a study was read again"))

    with step_by_step():
        settings = ("--set", "fit.epochs=1", "--set", "fit.batches=1", "--progress", "json")
        assert train(sound, tmp_path / "run", "--skip-broken", *cache, *settings) == 0

    events = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    texts = [event["text"] for event in events if event["event"] in ("say", "warn")]
    assert f"checking study 1 of {STUDIES}" in texts
    assert any(text.startswith(f"mask_not_on_bone: segmentations/{shifted}.nii") for text in texts)


def test_a_cache_without_a_check_is_refused(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(sound), "--cache", str(tmp_path / "cache")]) == 2
    assert "--cache keeps what --check finds" in capsys.readouterr().err


def test_training_does_not_learn_from_a_mask_beside_the_bones(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shifted = uid(sound, 4)
    move_mask(sound / "segmentations" / f"{shifted}.nii", 12)

    assert train(sound, tmp_path / "stopped") == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "needs a mask" in line]
    assert f"Study {shifted} needs a mask and boxes that fit its images. Received: segmentations/{shifted}.nii is " in line
    assert "when moved by" in line
    assert "leave it out with --skip-broken" in line

    with step_by_step():
        assert train(sound, tmp_path / "run", "--skip-broken", "--set", "fit.epochs=1", "--set", "fit.batches=2") == 0
    assert f"mask_not_on_bone: segmentations/{shifted}.nii" in capsys.readouterr().err


def test_unseen_studies_are_evaluated_without_the_broken_ones(
    calibrated_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data_set(tmp_path / "data", [stack(i, i % 7 if i % 2 else None) for i in range(300, 308)])
    cut(data / "train_images" / uid(data, 2) / "2.dcm")
    command = ["evaluate", str(calibrated_run.run), "--data", str(data), "-o", str(tmp_path / "out"), "--resamples", "10"]

    assert main(command) == 2
    assert main([*command, "--skip-broken"]) == 0

    assert f"truncated_slice: train_images/{uid(data, 2)}/2.dcm" in capsys.readouterr().err
    with (tmp_path / "out" / "scores.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 7


@pytest.mark.parametrize(("encoding", "ending"), [("utf-8-sig", "\n"), ("utf-8", "\r\n")])
def test_tables_as_spreadsheets_write_them_are_read(
    sound: Path, encoding: str, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def widen(table: list[list[str]]) -> None:
        for row in table:
            row.append("note")
        for row in table[1:]:
            row[1:9] = [f"{cell}.0" for cell in row[1:9]]

    edit(sound, widen, encoding=encoding, ending=ending)

    assert main(["info", str(sound), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["studies"], told["problems"]) == (STUDIES, [])


@pytest.mark.parametrize("text", ["", "StudyInstanceUID,patient_overall\n1.2,0\n", "\x00\x01\x02"])
def test_a_table_that_is_none_is_refused_even_where_broken_things_are_skipped(
    sound: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (sound / "train.csv").write_text(text)

    assert train(sound, tmp_path / "run", "--skip-broken") == 2
    assert "train.csv" in capsys.readouterr().err
