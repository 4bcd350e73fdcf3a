"""A broken dens takes the atlas and the head along."""

import numpy as np
import pytest

from cspine.anatomy import OTHER_BONE, Level
from cspine.phantoms.graft.fractures import FractureEdit, torn
from cspine.phantoms.graft.grafting import Copy, CopyKind, _State
from cspine.phantoms.graft.head import HeadMotion
from cspine.phantoms.model.injuries import Fracture, sample_injury
from tests.phantoms.graft.stand_in import source


def dens(kind: str, severity: float) -> Fracture:
    found = sample_injury(np.random.default_rng(7), Level.C2, source().bones[Level.C2].sites, kind, severity)
    assert isinstance(found, Fracture)
    return found


def broken(fracture: Fracture) -> Copy:
    state = _State.of(source())
    state.break_level(Level.C2, [FractureEdit(fracture)], np.random.default_rng(0))
    return state.copy(CopyKind.GRAFT)


def centroid(labels: np.ndarray, level: int) -> np.ndarray:
    return source().volume.grid.world(np.argwhere(labels == level).mean(axis=0))


def test_atlas_and_skull_go_where_the_dens_goes_and_the_neck_below_stays() -> None:
    fracture = torn(dens("odontoid_type_2", 0.95), 1.3)
    copy, before, bone = broken(fracture), source().mask.labels, source().bones[Level.C2]
    way = bone.axes @ np.array(fracture.motions[0].shift_mm)

    for carried in (Level.C1, OTHER_BONE):
        moved = centroid(copy.labels, carried) - centroid(before, carried)
        assert moved @ way / (way @ way) == pytest.approx(1, abs=0.4), carried
    for staying in (Level.C3, Level.C4, Level.C5):
        assert np.linalg.norm(centroid(copy.labels, staying) - centroid(before, staying)) < 0.3
    heights = bone.own(source().volume.grid.world(np.argwhere(copy.edited)))[2]
    assert -36 < heights.min() < heights.max()


def test_the_bone_that_was_carried_is_the_scans_own_bone_moved() -> None:
    copy, scan = broken(dens("odontoid_type_2", 0.9)), source().volume.hu

    own, then = scan[source().mask.labels == Level.C1], copy.hu[copy.labels == Level.C1]
    assert then.mean() == pytest.approx(own.mean(), rel=0.06)
    assert then.std() == pytest.approx(own.std(), rel=0.1)


def test_nothing_is_carried_by_a_dens_that_did_not_move_nor_by_its_tip() -> None:
    volume, mask, bone = source().volume, source().mask, source().bones[Level.C2]

    assert HeadMotion.of(dens("odontoid_type_2", 0.1), bone, volume, mask) is None
    assert HeadMotion.of(dens("odontoid_type_1", 0.9), bone, volume, mask) is None


def test_what_was_broken_before_goes_along() -> None:
    fracture = dens("odontoid_type_3", 1.0)
    head = HeadMotion.of(fracture, source().bones[Level.C2], source().volume, source().mask)
    assert head is not None
    atlas = centroid(source().mask.labels, Level.C1)

    there = head.place(atlas[None])[0]
    back = head.bone.world(head.motion.undo(head.bone.own(there[None])))[0]
    assert np.allclose(back, atlas, atol=0.01)
    assert np.linalg.norm(there - atlas) > 0.5 * np.linalg.norm(head.motion.shift_mm)
