"""Data sets that are joined."""

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.joined import join, main
from cspine.datasets import read_dataset
from cspine.errors import DatasetError, OutputError
from tests.datasets.by_hand import ROOT_UID, write_folder


def renamed(root: Path, more: int) -> Path:
    """Returns a small data set whose studies have numbers of their own, as grafts with two columns more and a truth."""
    write_folder(root)
    for number in (1, 2, 3):
        old, new = f"{ROOT_UID}{number}", f"{ROOT_UID}{number + more}"
        (root / "train_images" / old).rename(root / "train_images" / new)
        if (mask := root / "segmentations" / f"{old}.nii").is_file():
            mask.rename(mask.with_name(f"{new}.nii"))
        for name in ("train.csv", "train_bounding_boxes.csv"):
            (root / name).write_text((root / name).read_text().replace(f"{old},", f"{new},"))
    truth = root / "truth" / f"{ROOT_UID}{1 + more}"
    truth.mkdir(parents=True)
    (truth / "truth.json").write_text("{}")
    header, *rows = (root / "train.csv").read_text().splitlines()
    (root / "train.csv").write_text("\n".join([f"{header},patient", *(f"{row},scan-{more}" for row in rows)]) + "\n")
    (root / "grafts.csv").write_text(f"StudyInstanceUID,what,severity\n{ROOT_UID}{1 + more},intact,\n")
    return root


def test_all_studies_are_there_with_masks_boxes_truths_and_patients(tmp_path: Path) -> None:
    phantoms, grafts = write_folder(tmp_path / "phantoms"), renamed(tmp_path / "grafts", 10)

    assert join([phantoms, grafts], tmp_path / "new" / "joined") == 6

    found, parts = read_dataset(tmp_path / "new" / "joined"), [read_dataset(phantoms), read_dataset(grafts)]
    wanted = [case for part in parts for case in part.cases]
    assert [case.study_uid for case in found.cases] == [case.study_uid for case in wanted]
    for case, own in zip(found.cases, wanted, strict=True):
        assert (case.fractured, case.boxes, case.patient) == (own.fractured, own.boxes, own.patient)
        assert (case.mask is None, case.truth is None) == (own.mask is None, own.truth is None)
        for path in own.images.iterdir():
            assert (case.images / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "new" / "joined" / "grafts.csv").read_text().splitlines() == [
        "StudyInstanceUID,what,severity",
        f"{ROOT_UID}11,intact,",
    ]
    assert not (tmp_path / "new" / "joined" / "test.csv").exists()


def test_files_are_linked_and_copied_where_the_disk_cannot_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "one")
    image = Path("train_images") / f"{ROOT_UID}1" / "1.dcm"
    join([folder], tmp_path / "linked")

    assert (tmp_path / "linked" / image).samefile(folder / image)

    def no_link(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", no_link)
    join([folder], tmp_path / "copied")
    assert not (tmp_path / "copied" / image).samefile(folder / image)
    assert (tmp_path / "copied" / image).read_bytes() == (folder / image).read_bytes()


def test_a_study_that_comes_twice_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = write_folder(tmp_path / "one"), write_folder(tmp_path / "other")
    monkeypatch.setattr("sys.argv", ["benchmarks.joined", str(one), str(other), "-o", str(tmp_path / "joined")])

    assert main() == 2

    error = capsys.readouterr().err
    assert error.startswith(f"benchmarks.joined: Each study is needed once. {ROOT_UID}1 is in {one} and in {other}")
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


def test_what_is_there_is_kept_and_what_is_broken_is_refused(tmp_path: Path) -> None:
    one = write_folder(tmp_path / "one")
    with pytest.raises(OutputError, match="A folder that is not there yet is needed"):
        join([one], one)
    shutil.rmtree(one / "train_images" / f"{ROOT_UID}2")
    with pytest.raises(DatasetError, match="needs its images"):
        join([one], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()
