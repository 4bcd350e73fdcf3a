"""Necks differ as people do."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, OTHER_BONE, Level
from cspine.geometry import Grid
from cspine.phantoms import Neck, render, sample_neck
from cspine.phantoms.ct.soft_tissue import render_soft_tissue
from cspine.phantoms.meshes.anatomy import Anatomy, shipped_anatomies
from cspine.phantoms.model.skeleton import DISTANCES_MM, assemble

NAMES = [level.name for level in CERVICAL]


@cache
def necks() -> list[Neck]:
    return [sample_neck(np.random.default_rng(seed)) for seed in range(40)]


@pytest.mark.parametrize("anatomy", shipped_anatomies(), ids=lambda anatomy: anatomy.name)
def test_a_skeleton_is_complete_whatever_its_anatomy_lacks(anatomy: Anatomy) -> None:
    for kept in (set(anatomy.vertebrae), {Level.C3} & set(anatomy.vertebrae)):
        lacking = Anatomy("lacking", {level: anatomy.vertebrae[level] for level in kept})
        skeleton = assemble(lacking)

        assert set(NAMES) <= set(skeleton.vertebrae)
        assert skeleton.vertebrae["C3"] is anatomy.vertebrae[Level.C3]
        assert set(skeleton.context) == {"skull", "jaw", "hyoid", "larynx"}
        for name in NAMES[:-1]:
            assert 12 < np.linalg.norm(skeleton.steps[name][:3, 3]) < 27


def test_other_bones_are_borrowed_one_by_one() -> None:
    lender = shipped_anatomies()[0]
    own = replace(lender.context["jaw"], first_mm=(0.0, 0.0, 0.0))

    kept = assemble(Anatomy("jaw", lender.vertebrae, {"jaw": own}))
    lost = assemble(Anatomy("jaw", {Level.C3: lender.vertebrae[Level.C3]}, {"jaw": own}))  # it hangs on C1, whose frame is unknown

    assert kept.context == {**lender.context, "jaw": own}
    assert lost.context == lender.context


def test_bones_that_stand_in_frames_of_their_own_rest_as_usual() -> None:
    lender = shipped_anatomies()[0]
    moved = {}
    for name, bone, aside in (("C1", lender.vertebrae[Level.C1], (0, -35, -14)), ("skull", lender.context["skull"], (0, 60, 0))):
        frame = bone.frame.copy()
        frame[:3, 3] += aside
        moved[name] = replace(bone, frame=frame)
    apart = Anatomy("apart", {**lender.vertebrae, Level.C1: moved["C1"]}, {"skull": moved["skull"]})

    usual, found = assemble(lender), assemble(apart)

    np.testing.assert_allclose(found.steps["C1"], usual.steps["C1"], atol=1e-9)
    np.testing.assert_allclose(found.context_frames["skull"], usual.context_frames["skull"])


def test_distances_between_neighbours_are_those_of_life() -> None:
    names = [*NAMES, "T1"]
    centres = np.array([[neck.centres_mm[name] for name in names] for neck in necks()])
    distances = np.linalg.norm(np.diff(centres, axis=1), axis=2)

    np.testing.assert_allclose(distances.mean(axis=0), [DISTANCES_MM[name] for name in NAMES], rtol=0.07)
    assert np.all(distances.std(axis=0) > 0.5)
    assert np.all(distances.std(axis=0) < 2.5)


def test_vertebrae_lie_in_their_order_from_head_to_chest() -> None:
    for neck in necks():
        heights = [neck.centres_mm[name][2] for name in (*NAMES, "T1", "T2", "T3")]
        assert heights == sorted(heights, reverse=True)


def test_necks_differ_in_size_posture_density_and_anatomy() -> None:
    lengths = [neck.centres_mm["C1"][2] - neck.centres_mm["C7"][2] for neck in necks()]
    density = [neck.bone("C4").material.cancellous_hu for neck in necks()]
    tilt = [np.degrees(np.arctan2(neck.bone("C4").pose.turn[2, 1], neck.bone("C4").pose.turn[1, 1])) for neck in necks()]

    assert np.std(lengths) > 4
    assert np.percentile(density, 10) < 300 < np.percentile(density, 90)
    assert np.std(tilt) > 3
    assert {neck.anatomy for neck in necks()} == {anatomy.name for anatomy in shipped_anatomies()}


def test_only_what_is_asked_for_is_broken() -> None:
    neck = sample_neck(np.random.default_rng(4), fractured=(Level.C2, Level.C6))

    assert {fact.level for fact in neck.injuries} == {Level.C2, Level.C6}
    assert not necks()[0].injuries


def test_the_canal_the_throat_and_the_space_around_the_body_are_where_they_belong() -> None:
    neck = necks()[1]
    centre = np.array(neck.centres_mm["C5"])
    hu = render_soft_tissue(neck.tissue, Grid.upright(centre, (1, 161, 161), (1.0, 1.0, 1.0)))[0]
    air = hu < -500

    assert air[0, 0]
    assert air[-1, -1]
    rows, columns = np.nonzero(air[30:75, 60:101])
    assert len(rows) > 30
    assert abs(columns.mean() - 20) < 10
    assert 0 < np.median(hu[76:110, 55:105]) < 90
    assert np.mean((hu > -130) & (hu < -60)) > 0.02


def test_the_jaw_lies_before_the_spine_and_the_skull_above_it() -> None:
    for neck in necks()[:6]:
        c2, c1 = (np.array(neck.centres_mm[name]) for name in ("C2", "C1"))
        jaw, skull = (neck.bone(name).box_mm().mean(axis=0) for name in ("jaw", "skull"))

        assert jaw[1] < c2[1] - 25
        assert skull[2] > c1[2] + 30


def test_scan_grids_hold_every_vertebra() -> None:
    for neck in necks()[:6]:
        grid = neck.scan_grid((1.0, 1.0, 1.0), 180.0)
        assert np.all(grid.contains(np.array([neck.centres_mm[name] for name in NAMES])))


def test_larynx_is_drawn_and_not_labelled() -> None:
    neck = necks()[2]
    box = neck.bone("larynx").box_mm()
    found = render(neck, Grid.upright(box.mean(axis=0), (20, 40, 40), (2.0, 1.2, 1.2)))

    assert neck.bone("larynx").label == 0
    assert found.volume.hu.max() > 90


def test_the_jaw_lies_under_the_skin() -> None:
    for neck in necks()[:8]:
        jaw = neck.bone("jaw")
        box = jaw.box_mm()
        grid = Grid.upright(box.mean(axis=0), (26, 34, 44), (4.0, 4.0, 4.0))
        bony = render(neck, grid).labels.labels == OTHER_BONE
        outside = render_soft_tissue(neck.tissue, grid) < -600

        assert np.mean(outside[bony]) < 0.1
