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
