"""Outlines of vertebrae as bones with frames and sites."""

import numpy as np
import pytest

from cspine.anatomy import Level
from cspine.errors import AnatomyError
from cspine.geometry import Grid
from cspine.phantoms.graft.outlining import outline_bone
from cspine.volume import LabelMap
from tests.phantoms.graft.stand_in import BROKEN, UP, source, stand_in
from tests.phantoms.necks import plain_neck, sites_of


@pytest.mark.parametrize("level", BROKEN)
def test_a_bone_of_a_mask_stands_as_the_bone_that_it_was_made_of(level: Level) -> None:
    bone, pose = source().bones[level], plain_neck().bone(level.name).pose

    turned = np.degrees(np.arccos(np.clip((bone.axes * pose.turn).sum(axis=0), -1, 1)))
    assert np.linalg.norm(bone.origin_mm - pose.to_world(np.zeros(3))) < 3.0
    assert turned.max() < 12.0


@pytest.mark.parametrize("level", BROKEN)
def test_sites_of_an_outline_lie_where_the_parts_of_the_bone_are(level: Level) -> None:
    found, made, pose = source().bones[level], sites_of(level), plain_neck().bone(level.name).pose

    for name in ("pillar", "lamina", "pedicle"):
        for side in (-1, 1):
            there = found.world(getattr(found.sites, name)[side][:, None])[0]
            assert np.linalg.norm(there - pose.to_world(getattr(made, name)[side])) < 6.0, (name, side)
    assert np.linalg.norm(found.world(found.sites.arch[:, None])[0] - pose.to_world(made.arch)) < 5.0


def test_world_and_own_are_the_way_there_and_back() -> None:
    bone = source().bones[Level.C4]
    world = bone.origin_mm + np.random.default_rng(0).normal(0, 10, (20, 3))

    assert np.allclose(bone.world(bone.own(world)), world, atol=1e-3)


def test_a_turned_head_is_found_turned() -> None:
    volume, mask = stand_in()
    angle = np.radians(20)
    affine = volume.grid.affine.copy()
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine[:3] = turn @ affine[:3]
    turned = outline_bone(LabelMap(mask.labels, Grid(mask.grid.shape, affine)), Level.C4, UP)

    straight = source().bones[Level.C4]
    assert np.degrees(np.arccos(np.clip((turned.axes * (turn @ straight.axes)).sum(axis=0), -1, 1))).max() < 6.0


@pytest.mark.parametrize(
    ("shape", "message"),
    [((3, 3, 3), "C4 needs an outline of at least 60 voxels"), ((12, 20, 20), "C4 needs a front and a back part")],
)
def test_what_is_no_vertebra_is_refused(shape: tuple[int, int, int], message: str) -> None:
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[10 : 10 + shape[0], 10 : 10 + shape[1], 10 : 10 + shape[2]] = Level.C4
    mask = LabelMap(labels, Grid.upright((0, 0, 0), labels.shape, (1, 1, 1)))

    with pytest.raises(AnatomyError, match=message):
        outline_bone(mask, Level.C4, UP)


def test_half_a_vertebra_is_refused() -> None:
    labels = np.zeros((40, 40, 40), np.uint8)
    rng = np.random.default_rng(0)
    corner = np.argwhere(np.ones((16, 16, 16)))
    corner = corner[corner.sum(axis=1) + rng.normal(0, 1, len(corner)) < 14]
    labels[tuple((corner + 10).T)] = Level.C4
    mask = LabelMap(labels, Grid.upright((0, 0, 0), labels.shape, (3.0, 1, 1)))

    with pytest.raises(AnatomyError, match="C4 needs"):
        outline_bone(mask, Level.C4, UP)
