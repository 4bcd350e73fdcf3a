from pathlib import Path

import numpy as np
import pytest

from cspine.datasets import Case, SliceBox, folds
from cspine.errors import DatasetError


def cases(count: int, seed: int = 0) -> list[Case]:
    rng = np.random.default_rng(seed)
    prevalence = np.array([0.07, 0.14, 0.04, 0.05, 0.08, 0.14, 0.2])
    levels = rng.random((count, 7)) < prevalence
    return [
        Case(
            str(i),
            Path(str(i)),
            tuple(bool(v) for v in row),
            boxes=(SliceBox(1, 0, 0, 1, 1),) if row.any() and rng.random() < 0.25 else (),
        )
        for i, row in enumerate(levels)
    ]


def test_every_fold_has_its_share_of_every_level_and_of_the_boxes() -> None:
    patients = cases(1000)
    fold = np.array(folds(patients, 5))
    traits = np.array([(*case.fractured, bool(case.boxes)) for case in patients if case.fractured is not None])

    for k in range(5):
        assert np.abs(traits[fold == k].sum(axis=0) - traits.sum(axis=0) / 5).max() <= 2
        assert abs((fold == k).sum() - 200) <= 3


def traited(levels: np.ndarray, boxes: np.ndarray, masks: np.ndarray) -> list[Case]:
    """Returns studies with these fractures, ``(n, 7)``, boxes and masks, ``(n,)`` each."""
    box, mask = (SliceBox(1, 0, 0, 1, 1),), Path("mask.nii")
    return [
        Case(str(i), Path(str(i)), tuple(map(bool, levels[i])), boxes=box if boxes[i] else (), mask=mask if masks[i] else None)
        for i in range(len(levels))
    ]


def counts(fold: np.ndarray, trait: np.ndarray) -> list[int]:
    return [int(np.count_nonzero(trait & (fold == number))) for number in range(fold.max() + 1)]


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_level_is_in_every_fold_as_often(seed: int) -> None:
    """Five fractures of C3 among 40 patients, most of whom have others: left to chance one fold in three had none."""
    rng = np.random.default_rng(seed)
    levels = rng.random((40, 7)) < 0.3
    levels[:, 2] = False
    levels[rng.permutation(40)[:5], 2] = True
    none, everyone = np.zeros(40, dtype=bool), np.ones(40, dtype=bool)

    fold = np.array(folds(traited(levels, none, none), 5, seed))

    assert counts(fold, levels[:, 2]) == [1] * 5
    assert max(counts(fold, everyone)) - min(counts(fold, everyone)) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_masks_and_boxes_are_shared_out_where_levels_do_not_tell(seed: int) -> None:
    """Nobody has a fracture, or all have the same: then only the other traits are to be shared out."""
    rng = np.random.default_rng(seed)
    masks, boxes = rng.permutation(np.arange(50) < 10), rng.permutation(np.arange(50) < 15)
    intact, none = np.zeros((50, 7), dtype=bool), np.zeros(50, dtype=bool)
    alike = intact.copy()
    alike[:, 1] = True

    assert counts(np.array(folds(traited(intact, none, masks), 5, seed)), masks) == [2] * 5
    assert counts(np.array(folds(traited(alike, boxes, none), 5, seed)), boxes) == [3] * 5


def test_folds_are_as_large_as_one_another_where_nothing_is_to_be_shared_out() -> None:
    nothing = np.zeros(23, dtype=bool)

    fold = np.array(folds(traited(np.zeros((23, 7), dtype=bool), nothing, nothing), 5))

    assert sorted(np.bincount(fold).tolist()) == [4, 4, 5, 5, 5]


def test_the_folds_depend_on_the_seed_and_not_on_the_order_of_the_cases() -> None:
    patients = cases(60)
    shuffled = [patients[i] for i in np.random.default_rng(1).permutation(60)]
    by_uid = dict(zip((case.study_uid for case in patients), folds(patients), strict=True))

    assert tuple(by_uid[case.study_uid] for case in shuffled) == folds(shuffled)
    assert folds(patients) == folds(patients)
    assert folds(patients, seed=1) != folds(patients, seed=0)


def test_cases_without_labels_cannot_be_stratified() -> None:
    with pytest.raises(DatasetError, match="Folds need labelled studies"):
        folds([*cases(10), Case("x", Path("x"), None)])


def test_a_patient_on_both_sides_is_refused() -> None:
    with pytest.raises(DatasetError, match="Received a study twice"):
        folds([*cases(10), cases(1)[0]])


def test_more_folds_than_cases_are_refused() -> None:
    with pytest.raises(DatasetError, match="3 cases for 5 folds"):
        folds(cases(3))
