from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.datasets import read_dataset
from cspine.detection.stack import slices_around, visible_levels
from cspine.imaging import sample
from cspine.locating import Localiser
from cspine.modelpack import pool_slices
from cspine.reading import read_study
from cspine.specs import SliceSpec
from cspine.training.core import finding
from cspine.training.core.finding import Finder
from cspine.training.slices.located import located_scores, prepare_located
from cspine.training.slices.prediction import localise_fractures
from cspine.training.slices.settings import SliceRecipe
from tests.training.coded_necks import neck
from tests.training.folders import write_data_set
from tests.training.synthetic import recipe, stack

SPEC = SliceSpec(spacing_mm=(3.0, 2.0, 2.0), size=(48, 48), neighbours=1, window_hu=(-200.0, 1800.0))


@pytest.fixture
def settings(coded_localiser: Path) -> SliceRecipe:
    return replace(recipe(), input=SPEC, localiser=str(coded_localiser))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("necks") / "data", [neck(1, Level.C3, mask=True), neck(2, None, mask=False)])


def test_slices_are_prepared_as_the_service_cuts_them_and_show_the_levels_that_it_sees(
    folder: Path, settings: SliceRecipe, tmp_path: Path
) -> None:
    cases = read_dataset(folder).cases
    localiser = Localiser(settings.localiser)

    for case, found in zip(cases, prepare_located(cases, settings, Finder.LOCALISER, tmp_path), strict=True):
        volume = read_study(case.images).volume
        located = localiser(volume)
        grid = slices_around(located, volume.grid, SPEC)
        np.testing.assert_array_equal(found.stack.hu, sample(volume, grid).hu)
        np.testing.assert_array_equal(found.stack.grid.affine, grid.affine)
        np.testing.assert_array_equal(found.visible, visible_levels(located, grid))
        assert (found.visible.max(axis=0) == 1).all()


def test_scores_are_pooled_with_the_visibility_of_the_localiser(folder: Path, settings: SliceRecipe, tmp_path: Path) -> None:
    stacks = prepare_located(read_dataset(folder).cases, settings, Finder.LOCALISER, tmp_path)
    fractures = [np.random.default_rng(i).random(one.visible.shape) for i, one in enumerate(stacks)]

    found = located_scores(stacks, fractures)

    assert found.study_uids == tuple(one.stack.case.study_uid for one in stacks)
    assert found.truth.sum(axis=1).tolist() == [2, 0]
    for row, one, fracture in zip(found.scores, stacks, fractures, strict=True):
        np.testing.assert_array_equal(row, pool_slices(fracture, one.visible).outputs)


def test_a_study_without_a_vertebra_has_no_level_in_view_and_scores_nothing(settings: SliceRecipe, tmp_path: Path) -> None:
    blank = neck(3, Level.C3, mask=False)
    blank.hu[blank.hu > 300] = 1800  # bone that is no vertebra
    data = write_data_set(tmp_path / "data", [blank])

    stacks = prepare_located(read_dataset(data).cases, settings, Finder.LOCALISER, tmp_path / "cache")

    assert not stacks[0].visible.any()
    assert not located_scores(stacks, [np.ones((len(stacks[0].stack.hu), 7))]).scores.any()


def test_a_trusted_mask_takes_the_place_of_the_localiser_where_there_is_one(
    folder: Path, settings: SliceRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked, bare = read_dataset(folder).cases
    (by_localiser,) = prepare_located([masked], settings, Finder.LOCALISER, tmp_path)
    asked, own = list[str](), finding.localiser_of

    def ask(name: str) -> Localiser:
        asked.append(name)
        return own(name)

    monkeypatch.setattr(finding, "localiser_of", ask)

    (by_mask,) = prepare_located([masked], settings, Finder.MASK, tmp_path)
    assert not asked
    prepare_located([bare], settings, Finder.MASK, tmp_path)

    assert asked
    known = np.stack([(by_mask.stack.marks % 16 == level).any(axis=(1, 2)) for level in CERVICAL], axis=1)
    assert (known == (by_mask.visible > 0)).mean() > 0.95
    assert np.abs(by_mask.stack.grid.centre_mm - by_localiser.stack.grid.centre_mm).max() < 3


def test_what_was_prepared_is_not_prepared_again_and_not_taken_for_another_finder(
    folder: Path, settings: SliceRecipe, tmp_path: Path
) -> None:
    case = read_dataset(folder).cases[0]

    for finder in (Finder.LOCALISER, Finder.MASK, Finder.LOCALISER):
        prepare_located([case], settings, finder, tmp_path)

    assert len(list(tmp_path.rglob("hu.npy"))) == 2


def test_a_fracture_outside_all_slices_is_one_that_is_not_found() -> None:
    study = stack(1, 3)
    study.marks[:] = 0
    shapes = {"fracture": (28, 7), "visible": (28, 7), "level_map": (28, 4, 4, 8), "fracture_map": (28, 4, 4, 1)}
    outputs = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}

    assert localise_fractures(study, outputs).lesions == 1
