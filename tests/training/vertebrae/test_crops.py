"""Crops of studies on disk, cut once."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.datasets import Case, read_dataset
from cspine.datasets.cache import Cache
from cspine.errors import DatasetError, OutputError
from cspine.geometry import Grid
from cspine.locating import Located, Vertebra
from cspine.phantoms.dataset.writing import write_labels
from cspine.reading import read_study
from cspine.results import Box, LevelStatus
from cspine.study import Study
from cspine.training.core.family import TrainingPlace, start_run, train
from cspine.training.core.finding import Finder
from cspine.training.core.marks import BOX_BIT, FRACTURE_BIT
from cspine.training.core.settings import SplitSettings
from cspine.training.vertebrae import crops, family
from cspine.training.vertebrae.crops import Cutting, StudyCrops, prepare_crops
from cspine.training.vertebrae.family import VertebraFamily, VertebraFold
from cspine.volume import LabelMap, Volume
from tests.training.folders import write_data_set
from tests.training.synthetic import Silent, stack
from tests.training.vertebrae.small import RECIPE, SPEC

CUTTING = Cutting(RECIPE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data"), [stack(1, 2), stack(2, None), stack(3, 4, mask=False)])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class Knowing:
    """A localiser that knows where the levels of a synthetic stack lie; the name of C1 is unsure to it."""

    package = SimpleNamespace(sha256="of nobody")

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, volume: Volume) -> Located:
        self.asked += 1
        given = stack(3, 4)
        at = Box((0, 0, 0), (1, 1, 1))
        vertebrae = tuple(
            Vertebra(level, LevelStatus.UNCERTAIN if level is Level.C1 else LevelStatus.ASSESSED, 0.9, (0, 0, 0), at, (0, 0, 1))
            for level in CERVICAL
        )
        return Located(vertebrae, LabelMap(given.marks % BOX_BIT, given.grid), np.empty((0, 3)))


@pytest.fixture
def localiser(monkeypatch: pytest.MonkeyPatch) -> Knowing:
    knowing = Knowing()
    monkeypatch.setattr(crops, "localiser_of", lambda _: knowing)
    return knowing


def cut(cases: Sequence[Case], cache: Path, cutting: Cutting = CUTTING) -> list[StudyCrops]:
    return prepare_crops(cases, cutting, cache)


def test_picture_mask_and_boxes_lie_on_each_other_around_each_level(folder: Path, cache: Path) -> None:
    (found,) = cut(read_dataset(folder).cases[:1], cache)

    assert found.grey.shape == (7, 12, 40, 40)
    assert found.marks.shape == (7, 12, 20, 20)
    assert found.there.all()
    assert found.learnable.all()
    assert found.heights_mm == pytest.approx([8.0] * 7, abs=2.1)
    for i in range(7):
        middle = np.array(found.grey[i, 5:7, 18:22, 18:22])
        assert np.all(found.marks[i, 5:7, 9:11, 9:11] % BOX_BIT == i + 1)
        if i != 2:
            assert middle.mean() == pytest.approx(800 / 1500 * 255, abs=2)
    boxed = (np.asarray(found.marks) & BOX_BIT) > 0
    broken = boxed & (np.asarray(found.marks) % BOX_BIT == 3)
    assert broken[2].any()
    assert np.all(np.array(found.grey[2])[broken[2].repeat(2, axis=1).repeat(2, axis=2)].min() < 30)


def test_a_crop_tells_where_it_lies(folder: Path, cache: Path) -> None:
    (found,) = cut(read_dataset(folder).cases[:1], cache)

    grid = stack(1, 2).grid
    for level in CERVICAL:
        middle = grid.world((24 - 4 * (level - 1) + 1.5, 15.5, 15.5))
        crop = Grid((12, 40, 40), found.affines[level - 1])
        np.testing.assert_allclose(crop.centre_mm, middle, atol=1.1)
        np.testing.assert_allclose(crop.spacing_mm, SPEC.spacing_mm)
        np.testing.assert_allclose(crop.affine[:3, 2] / 2, (1, 0, 0), atol=0.15)


def test_what_was_cut_is_taken_again_until_it_is_cut_otherwise(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = read_dataset(folder).cases[:2]
    first = cut(cases, tmp_path)
    read: list[Path] = []

    def reading(path: Path) -> Study:
        read.append(path)
        return read_study(path)

    monkeypatch.setattr(crops, "read_study", reading)

    again = cut(cases, tmp_path)
    assert read == []
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.grey, other.grey)
        np.testing.assert_array_equal(one.heights_mm, other.heights_mm)

    cut(cases[:1], tmp_path, Cutting(replace(RECIPE, input=replace(SPEC, window_hu=(0.0, 1000.0)))))
    cut(cases[:1], tmp_path, replace(CUTTING, turn=1))
    assert read == [cases[0].images] * 2
    cut(cases[:1], tmp_path, Cutting(replace(RECIPE, input=replace(SPEC, mask_blur_mm=3.0, slices=2, neighbours=0))))
    assert len(read) == 2


def test_a_turn_tilts_every_crop_in_its_own_way_and_always_the_same(folder: Path, tmp_path: Path) -> None:
    cases = read_dataset(folder).cases[:1]

    (straight,), (first,), (second,) = (cut(cases, tmp_path / "a", replace(CUTTING, turn=turn)) for turn in (0, 1, 2))
    (again,) = cut(cases, tmp_path / "b", replace(CUTTING, turn=1))

    np.testing.assert_array_equal(first.affines, again.affines)
    for one, other in ((straight, first), (first, second)):
        apart = np.degrees(np.arccos(np.clip(np.sum(one.affines[:, :3, 0] * other.affines[:, :3, 0], axis=1) / 4, -1, 1)))
        assert np.all(apart > 0.1)
        assert np.all(apart < 30)


def test_a_study_without_a_mask_is_cut_where_the_localiser_finds_what_it_is_sure_of(
    folder: Path, tmp_path: Path, localiser: Knowing
) -> None:
    masked, _, bare = read_dataset(folder).cases

    by_mask, found = cut([masked, bare], tmp_path)

    assert localiser.asked == 1
    assert by_mask.there.all()
    assert list(found.there) == list(found.learnable) == [False, *[True] * 6]
    assert not np.array(found.grey[0]).any()
    assert np.all(found.marks[3, 5:7, 9:11, 9:11] % BOX_BIT == 4)


def test_as_in_service_the_localiser_is_asked_whatever_masks_there_are(folder: Path, tmp_path: Path, localiser: Knowing) -> None:
    (found,) = cut(read_dataset(folder).cases[:1], tmp_path, replace(CUTTING, finder=Finder.LOCALISER))

    assert localiser.asked == 1
    assert list(found.there) == [False, *[True] * 6]


def test_the_fractures_of_a_phantom_come_to_lie_where_they_are(folder: Path, tmp_path: Path) -> None:
    data, given = Path(shutil.copytree(folder, tmp_path / "data")), stack(1, 2)
    uid = read_dataset(data).cases[0].study_uid
    (data / "truth" / uid).mkdir(parents=True)
    gap = np.where(given.hu == -100, 3, 0).astype(np.uint8)
    write_labels(data / "truth" / uid / "fractures.nii.gz", gap, given.grid)

    found = cut(read_dataset(data).cases[:1], tmp_path / "cache")[0]

    fractured = (np.asarray(found.marks) & FRACTURE_BIT) > 0
    assert fractured[2].any()
    middle = Grid((12, 40, 40), found.affines[2]).world(
        np.append(*np.split(np.argwhere(fractured[2]).mean(axis=0), [1])) * (1, 2, 2) + (0, 0.5, 0.5)
    )
    np.testing.assert_allclose(middle, given.grid.world(np.argwhere(gap).mean(axis=0)), atol=2)


def test_a_mask_that_does_not_fit_its_images_is_refused(folder: Path, tmp_path: Path) -> None:
    data, given = Path(shutil.copytree(folder, tmp_path / "data")), stack(1, 2)
    case = read_dataset(data).cases[0]
    assert case.mask is not None
    away = replace(given.grid, affine=given.grid.affine + np.array([[0, 0, 0, 300.0]] * 3 + [[0] * 4]))
    case.mask.unlink()
    write_labels(case.mask.with_suffix(".nii.gz"), given.marks % BOX_BIT, away)

    with pytest.raises(DatasetError, match="needs a mask and boxes that fit its images"):
        cut([replace(case, mask=case.mask.with_suffix(".nii.gz"))], tmp_path / "cache")


def test_a_fold_learns_from_masks_and_from_what_the_localiser_finds(
    folder: Path, tmp_path: Path, localiser: Knowing, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[VertebraFold] = []
    monkeypatch.setattr(family, "train_vertebrae", lambda _recipe, data, _home, _reporter: given.append(data))
    recipe = replace(RECIPE, split=SplitSettings(folds=3))
    place = TrainingPlace(tmp_path / "cache", folder)
    run = start_run(VertebraFamily(recipe), place, tmp_path / "run", Silent())

    for found in (True, False):
        chosen = replace(recipe, crops=replace(recipe.crops, found=found))
        train(VertebraFamily(chosen), run, place, [0], Silent())

    both, masks = given
    assert [study.case.study_uid for study in both.training_set[:2]] == [study.case.study_uid for study in masks.training_set]
    with_masks = [study.case.study_uid for study in masks.training_set if study.case.mask is not None]
    assert [study.case.study_uid for study in both.training_set[2:]] == with_masks
    assert not both.held_out[0].there[0], "the localiser is not sure of C1, and held-out studies are classified as in service"
    assert masks.held_out[0].there[0] == (masks.held_out[0].case.mask is not None)


def test_crops_that_the_cache_cannot_hold_are_refused_at_once(folder: Path, tmp_path: Path) -> None:
    Cache(tmp_path).state_limit(100_000)

    with pytest.raises(OutputError, match=r"^The crops of 2 studies need .* GiB\. The cache .* state more with `cspine cache DIR"):
        prepare_crops(read_dataset(folder).cases[:2], CUTTING, tmp_path)
