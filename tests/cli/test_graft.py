"""``cspine graft``."""

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cspine.cli import Exit, main
from cspine.datasets import check_case, folds, read_dataset
from cspine.errors import OutputError
from cspine.phantoms.dataset.writing import write_labels
from cspine.phantoms.graft.collection import read_notes
from cspine.reading import read_study
from cspine.volume import Volume
from tests.phantoms.graft.stand_in import stand_in

REAL = Path(__file__).parents[3] / "shared" / "data" / "ct_fullhead" / "fullhead_HU.nii.gz"


def write_scan(path: Path, volume: Volume) -> Path:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.grid.affine[:, [2, 1, 0, 3]]
    image = nibabel.Nifti1Image(volume.hu.astype(np.int16).T, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a scan ``neck.nii``, and its mask ``masks/neck.nii``."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "masks").mkdir()
    volume, mask = stand_in()
    write_scan(folder / "neck.nii", volume)
    write_labels(folder / "masks" / "neck.nii", np.where(mask.labels < 8, mask.labels, 0).astype(np.uint8), mask.grid)
    return folder


def call(scans: Path, out: Path, *more: str) -> list[str]:
    return ["graft", str(scans / "neck.nii"), "-o", str(out), "--masks", str(scans / "masks"), "--seed", "4", *more]


@pytest.fixture(scope="module")
def made(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes two copies with fractures, a control, and the scan itself."""
    out = tmp_path_factory.mktemp("grafts") / "data"
    assert main(call(scans, out, "--copies", "2", "--controls", "1")) == Exit.DONE
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def contents(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def test_a_data_set_is_written_that_bears_out_its_tables_masks_and_boxes(made: Path) -> None:
    data = read_dataset(made)

    assert len(data.cases) == 4
    assert data.problems == ()
    for case in data.cases:
        assert check_case(case) == ()
        assert case.mask is not None
        assert bool(case.boxes) == case.any_fractured
    assert sorted(bool(case.any_fractured) for case in data.cases) == [False, False, True, True]


def test_every_table_says_what_is_synthetic_and_whose_copy_it_is(made: Path) -> None:
    told = {row["StudyInstanceUID"]: row for row in rows(made / "train.csv")}

    assert {row["source"] for row in told.values()} == {"neck"}
    assert len({row["patient"] for row in told.values()}) == 1
    for table in ("train_bounding_boxes.csv", "grafts.csv"):
        for row in rows(made / table):
            for column in ("patient", "source", "synthetic"):
                assert row[column] == told[row["StudyInstanceUID"]][column]
    for uid, row in told.items():
        facts = json.loads((made / "truth" / uid / "truth.json").read_text())
        broken = {injury["level"] for injury in facts["injuries"]}
        assert {f"C{n}" for n in range(1, 8) if row[f"C{n}"] == "1"} == broken
        assert facts["synthetic"] == row["synthetic"]
        assert ("synthetic grafts in real bone" in row["synthetic"]) == bool(broken)
        assert facts["kind"] == ("graft" if broken else "control" if facts["lookalikes"] else "intact")


def test_copies_are_the_scan_to_the_last_bit_where_nothing_was_edited(made: Path, scans: Path) -> None:
    scan = read_study(scans / "neck.nii").volume
    for case in read_dataset(made).cases:
        volume = read_study(case.images).volume
        assert case.truth is not None
        edited = np.asarray(nibabel.load(case.truth / "edited.nii.gz").dataobj).T[:, ::-1, ::-1] > 0

        assert volume.grid.agrees(scan.grid, 0.01)
        assert np.array_equal(volume.hu[~edited], scan.hu[~edited])
        assert np.array_equal(volume.hu[edited] != scan.hu[edited], np.ones(np.count_nonzero(edited), bool))


def test_folds_keep_all_copies_of_a_scan_together(made: Path) -> None:
    cases = read_dataset(made).cases
    others = [type(case)(f"{case.study_uid}{n}", case.images, case.fractured, patient=f"p{n}") for n in range(5) for case in cases]
    parts = folds([*cases, *others], 3)

    by_patient: dict[str, set[int]] = {}
    for case, part in zip([*cases, *others], parts, strict=True):
        by_patient.setdefault(case.group, set()).add(part)
    assert len(by_patient) == 6
    assert all(len(found) == 1 for found in by_patient.values())


def test_calling_it_again_makes_nothing_and_asking_for_more_adds(
    made: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    shutil.copytree(made, root)
    before = contents(root)

    assert main(call(scans, root, "--copies", "2", "--controls", "1")) == Exit.DONE
    assert "neck: 4 studies were there" in capsys.readouterr().out
    assert contents(root) == before

    assert main(call(scans, root, "--copies", "3", "--controls", "1")) == Exit.DONE
    assert "neck: 1 studies made, 4 were there" in capsys.readouterr().out
    after = contents(root)
    assert {name: after[name] for name in before if not name.endswith(".csv")} == {
        name: data for name, data in before.items() if not name.endswith(".csv")
    }
    assert len(rows(root / "train.csv")) == 5


def test_a_study_that_was_lost_is_made_again_to_the_last_byte(made: Path, scans: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(made, root)
    lost = next(case for case in read_dataset(root).cases if case.any_fractured)
    shutil.rmtree(root / "truth" / lost.study_uid)
    (next(lost.images.glob("*.dcm"))).unlink()

    assert main(call(scans, root, "--copies", "2", "--controls", "1")) == Exit.DONE
    assert contents(root) == contents(made)


@pytest.mark.parametrize(
    ("key", "value"), [("patient", None), ("kind", "guess"), ("copy", "x"), ("injuries", 3), ("lookalikes", [1])]
)
def test_a_damaged_truth_is_told_in_one_line(made: Path, tmp_path: Path, key: str, value: object) -> None:
    uid = read_dataset(made).cases[0].study_uid
    shutil.copytree(made / "truth" / uid, tmp_path / uid)
    path = tmp_path / uid / "truth.json"
    told = json.loads(path.read_text())
    told = {name: one for name, one in told.items() if name != key} if value is None else {**told, key: value}
    path.write_text(json.dumps(told))

    with pytest.raises(OutputError, match=r"truth.json is damaged \(.*and the study will be made again"):
        read_notes(tmp_path / uid)


def test_other_settings_are_refused(made: Path, scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, told in ((["--severity", "0.5", "1"], "severity None"), (["--seed", "5"], "seed 4")):
        assert main(call(scans, made, *more)) == Exit.WRONG_INPUT
        assert f"holds grafts of other settings ({told})" in capsys.readouterr().err


def test_a_folder_that_holds_something_else_is_refused(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letter.txt").write_text("hello")

    assert main(call(scans, tmp_path)) == Exit.WRONG_INPUT
    assert "holds something other than grafts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--copies", "-1"], "--copies and --controls need whole numbers from 0"),
        (["--copies", "0", "--controls", "0"], "one of them above it"),
        (["--seed", "-3"], "--seed needs a whole number from 0"),
        (["--severity", "0.8", "0.2"], "--severity needs two numbers from 0 to 1, the lower first"),
        (["--severity", "0.8", "nan"], "--severity needs two numbers from 0 to 1"),
        (["--masks", "nowhere"], "--masks needs a NIfTI file or a folder of such"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(call(scans, tmp_path / "out", *more)) == Exit.WRONG_INPUT

    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_scan_without_a_mask_and_a_mask_of_another_spine_are_refused(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    arguments = ["graft", str(scans / "neck.nii"), "-o", str(tmp_path / "out"), "--masks", str(masks)]
    assert main(arguments) == Exit.ALL_REJECTED
    assert "has neither neck.nii nor neck.nii.gz: add it" in capsys.readouterr().err

    volume, mask = stand_in()
    write_labels(masks / "neck.nii.gz", np.where(mask.labels > 0, mask.labels % 8 + 8, 0).astype(np.uint8), volume.grid)
    assert main(arguments) == Exit.ALL_REJECTED
    assert "A mask needs 1 to 7 for C1 to C7. neck.nii.gz has none of them" in capsys.readouterr().err


def test_one_mask_for_several_scans_and_the_same_scan_twice_are_refused(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(scans / "neck.nii", tmp_path / "again.nii")
    both = ["graft", str(scans / "neck.nii"), str(tmp_path / "again.nii"), "-o", str(tmp_path / "out"), "--copies", "1"]
    assert main([*both, "--masks", str(scans / "masks" / "neck.nii")]) == Exit.WRONG_INPUT
    assert "--masks needs a folder of masks for several scans" in capsys.readouterr().err

    masks = tmp_path / "masks"
    masks.mkdir()
    for name in ("neck", "again"):
        shutil.copy(scans / "masks" / "neck.nii", masks / f"{name}.nii")
    assert main([*both, "--controls", "0", "--masks", str(masks)]) == Exit.DONE
    assert "Each scan is needed once. again has the voxels of neck" in capsys.readouterr().err
    assert len(rows(tmp_path / "out" / "train.csv")) == 2


def test_a_file_that_is_no_scan_is_told_and_the_others_are_made(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.nii").write_bytes(b"no image at all")
    arguments = call(scans, tmp_path / "out", "--copies", "1", "--controls", "0")

    assert main([*arguments[:2], str(tmp_path / "broken.nii"), *arguments[2:]]) == Exit.SOME_FAILED
    assert "cspine graft: broken:" in capsys.readouterr().err
    assert len(rows(tmp_path / "out" / "train.csv")) == 2


@pytest.mark.skipif(not REAL.is_file(), reason="the public scans are not beside the repository")
def test_the_shipped_localiser_finds_what_to_break_in_a_real_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"

    assert main(["graft", str(REAL), "-o", str(out), "--copies", "1", "--controls", "1", "--severity", "0.6", "0.9"]) == Exit.DONE
    assert "broken or edited: C1 C2 C3 C4 C5; C6 is not wholly seen" in capsys.readouterr().out
    data = read_dataset(out)
    assert [check_case(case) for case in data.cases] == [()] * 3
