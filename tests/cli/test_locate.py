import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.cli import Exit, main
from cspine.imaging import sample
from cspine.volume import Volume
from tests.coded import coded_volume, write_nifti


def _locate(*arguments: str | Path, localiser: Path, out: Path) -> int:
    return main(["locate", *map(str, arguments), "-o", str(out), "--localiser", str(localiser)])


@pytest.fixture(scope="module")
def necks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a neck of which C2 to C6 are in view and C7 is cut, and with a leg."""
    folder = tmp_path_factory.mktemp("necks")
    whole = coded_volume(CERVICAL[1:])
    cut = 6
    part = Volume(whole.hu[cut:], whole.grid.part((cut, 0, 0), (whole.grid.shape[0] - cut, *whole.grid.shape[1:])))
    write_nifti(part, folder / "neck.nii.gz")
    leg = np.where(whole.hu > 100, np.float32(40), whole.hu)
    leg[:, 20:24, 20:24] = 1600.0  # bone that is no vertebra
    write_nifti(Volume(leg, whole.grid), folder / "leg.nii.gz")
    return folder


def test_a_study_gets_its_vertebrae_a_label_map_and_a_picture(
    necks: Path, tmp_path: Path, coded_localiser: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _locate(necks / "neck.nii.gz", localiser=coded_localiser, out=tmp_path) == Exit.DONE

    facts = json.loads((tmp_path / "neck" / "vertebrae.json").read_text())
    assert capsys.readouterr().out == "neck: C2 C3 C4 C5 C6 ~C7\n"
    assert [one["level"] for one in facts["vertebrae"]] == ["C2", "C3", "C4", "C5", "C6", "C7"]
    assert [one["status"] for one in facts["vertebrae"]] == ["assessed"] * 5 + ["partly_in_view"]
    assert all(0.7 <= one["confidence"] <= 1 for one in facts["vertebrae"])
    assert facts["localiser"]["name"] == "coded_localiser"
    assert "Not for diagnosis" in facts["disclaimer"]
    third = facts["vertebrae"][2]
    assert np.all(np.array(third["box_mm"]["low"]) < third["centre_mm"])
    assert np.all(np.array(third["box_mm"]["high"]) > third["centre_mm"])
    assert (tmp_path / "neck" / "vertebrae.png").stat().st_size > 20_000


def test_the_label_map_lies_over_the_scan(necks: Path, tmp_path: Path, coded_localiser: Path) -> None:
    _locate(necks / "neck.nii.gz", "--on-scan", localiser=coded_localiser, out=tmp_path)

    facts = json.loads((tmp_path / "neck" / "vertebrae.json").read_text())
    scan = nibabel.load(necks / "neck.nii.gz")
    on_scan = nibabel.load(tmp_path / "neck" / "vertebrae-on-scan.nii.gz")
    coarse = nibabel.load(tmp_path / "neck" / "vertebrae.nii.gz")
    assert sorted(on_scan.shape) == sorted(scan.shape)
    for image in (on_scan, coarse):
        labels = np.asarray(image.dataobj)
        for one in facts["vertebrae"]:
            index = np.argwhere(labels == Level[one["level"]])
            x, y, z = image.affine[:3, :3] @ index.mean(axis=0) + image.affine[:3, 3]
            np.testing.assert_allclose((-x, -y, z), one["centre_mm"], atol=1.5)


def test_a_scan_without_a_neck_is_rejected(
    necks: Path, tmp_path: Path, coded_localiser: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _locate(necks / "leg.nii.gz", localiser=coded_localiser, out=tmp_path) == Exit.ALL_REJECTED

    facts = json.loads((tmp_path / "leg" / "vertebrae.json").read_text())
    assert capsys.readouterr().out == "leg: No cervical vertebra was found in this scan.\n"
    assert (facts["status"], facts["vertebrae"], facts["line_mm"]) == ("rejected", [], [])
    assert facts["reasons"][0]["code"] == "no_cervical_spine"
    assert (tmp_path / "leg" / "vertebrae.png").is_file()


def test_one_bad_study_does_not_stop_the_rest(
    necks: Path, tmp_path: Path, coded_localiser: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.nii.gz").write_bytes(b"no image")

    code = _locate(tmp_path / "bad.nii.gz", necks / "neck.nii.gz", localiser=coded_localiser, out=tmp_path / "out")

    assert code == Exit.SOME_FAILED
    assert "cspine locate: bad: " in capsys.readouterr().err
    assert (tmp_path / "out" / "neck" / "vertebrae.json").is_file()


def test_a_package_that_predicts_finds_no_vertebrae(
    necks: Path, tmp_path: Path, coded_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _locate(necks, localiser=coded_package, out=tmp_path) == Exit.WRONG_INPUT

    assert "A package of kind localiser is needed here" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["sagittal", "feet first"])
def test_a_scan_stored_otherwise_has_its_vertebrae_in_the_same_places(kind: str, tmp_path: Path, coded_localiser: Path) -> None:
    whole = coded_volume()
    grid = whole.grid
    affine = grid.affine.copy()
    if kind == "sagittal":
        other = type(grid)((grid.shape[2], *grid.shape[:2]), affine[:, [2, 0, 1, 3]])
    else:
        affine[:3, 3] += affine[:3, 0] * (grid.shape[0] - 1)
        affine[:3, 0] *= -1
        other = type(grid)(grid.shape, affine)
    write_nifti(whole, tmp_path / "plain.nii.gz")
    write_nifti(sample(whole, other), tmp_path / "other.nii.gz")

    _locate(tmp_path / "plain.nii.gz", tmp_path / "other.nii.gz", localiser=coded_localiser, out=tmp_path / "out")

    plain, turned = (json.loads((tmp_path / "out" / name / "vertebrae.json").read_text()) for name in ("plain", "other"))
    assert [one["level"] for one in turned["vertebrae"]] == [level.name for level in CERVICAL]
    for one, same in zip(plain["vertebrae"], turned["vertebrae"], strict=True):
        np.testing.assert_allclose(one["centre_mm"], same["centre_mm"], atol=1.5)
