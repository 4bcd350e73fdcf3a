"""Folds that part patients and share out every label."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.datasets.case import Case
from cspine.errors import DatasetError

FOLDS = 5
FOLD_SEED = 0
"""The recipe of every cross-validated number in this project: ``folds(cases, FOLDS, FOLD_SEED)``."""


def folds(cases: Sequence[Case], count: int = FOLDS, seed: int = FOLD_SEED) -> tuple[int, ...]:
    """Returns the fold ``0..count - 1`` of every case, so that each fold has its share of every fractured level.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011) on C1..C7, and on whether the study has boxes and a mask. How
    many patients have any fracture is not a label of its own: it is never rarer than a level, so that all such patients have their
    fold before it would be considered; folds differ in it by some patients. It depends on the set of cases and the seed, not on
    their order. A patient is never parted: all studies of one are in one fold (:attr:`cspine.datasets.Case.group`), which has the
    traits of any of them.

    Raises:
        DatasetError: A case has no label, appears twice, or there are fewer patients than folds.
    """
    uids = [case.study_uid for case in cases]
    if len(set(uids)) != len(uids):
        raise DatasetError("Folds divide patients, so every study must be given once. Received a study twice.")
    patients = sorted({case.group for case in cases})
    if count < 2 or len(patients) < count:
        received = f"{len(cases)} cases" if len(patients) == len(cases) else f"{len(cases)} cases of {len(patients)} patients"
        raise DatasetError(f"Folds need at least two parts and a patient for each. Received: {received} for {count} folds.")
    number = {patient: n for n, patient in enumerate(patients)}
    traits = np.zeros((len(patients), len(CERVICAL) + 2), dtype=bool)
    for case in cases:
        traits[number[case.group]] |= _traits(case)
    chosen = _stratify(traits, count, np.random.default_rng(seed))
    return tuple(int(chosen[number[case.group]]) for case in cases)


def _traits(case: Case) -> tuple[bool, ...]:
    if case.fractured is None:
        raise DatasetError(f"Folds need labelled studies. Received: study {case.study_uid} without labels.")
    return (*case.fractured, bool(case.boxes), case.mask is not None)


def _stratify(traits: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Gives examples of the rarest label first, each to the fold that lacks the label most, then examples most."""
    fold = np.full(len(traits), -1, dtype=np.intp)
    lacking = np.full(count, len(traits) / count)
    lacking_trait = np.tile(traits.sum(axis=0) / count, (count, 1))
    shuffled = rng.permutation(len(traits))
    while np.any(fold < 0):
        waiting = shuffled[fold[shuffled] < 0]
        left = traits[waiting].sum(axis=0)
        rarest = int(np.argmin(np.where(left > 0, left, len(traits) + 1))) if left.any() else None
        for example in waiting if rarest is None else waiting[traits[waiting, rarest]]:
            wish = lacking if rarest is None else lacking_trait[:, rarest]
            best = np.flatnonzero(wish == wish.max())
            best = best[lacking[best] == lacking[best].max()]
            chosen = int(rng.choice(best))
            fold[example] = chosen
            lacking[chosen] -= 1
            lacking_trait[chosen] -= traits[example]
    return fold
