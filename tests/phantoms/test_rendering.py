"""A neck is a function of world coordinates."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from cspine.anatomy import BACKGROUND, CERVICAL, OTHER_BONE, Level
from cspine.geometry import Grid, Vector
from cspine.imaging import sample
from cspine.phantoms import Neck, render, sample_neck
from cspine.phantoms.ct.bones import BoneImage, render_bones
from cspine.phantoms.meshes.anatomy import shipped_anatomies
from cspine.phantoms.model.neck import Disc, Material, PlacedBone, Warp
from cspine.phantoms.model.posture import BonePose
from cspine.phantoms.model.shapes import Capsule, Ellipsoid
from cspine.volume import LabelMap

SOFT = 40.0
MADE = Material(cortex_mm=50.0, cortex_hu=1000, cancellous_hu=1000, roughness_hu=0, seed=1)


@cache
def neck(seed: int = 5, fractured: tuple[Level, ...] = (Level.C4,)) -> Neck:
    return sample_neck(np.random.default_rng(seed), fractured=fractured)


def around(level: str, shape: tuple[int, int, int], spacing_mm: Vector) -> Grid:
    return Grid.upright(neck().centres_mm[level], shape, spacing_mm)


def bone(name: str, shape: Capsule | Ellipsoid) -> PlacedBone:
    return PlacedBone(name, shape, BonePose(np.eye(3), np.ones(3), np.array(neck().centres_mm["C4"])), MADE, Warp.none())


@pytest.mark.parametrize(
    ("spacing_mm", "shape"), [((0.7, 0.5, 0.5), (60, 90, 90)), ((2.0, 2.0, 2.0), (40, 45, 45)), ((3.0, 0.8, 0.8), (16, 60, 60))]
)
def test_a_part_of_a_rendering_is_the_rendering_of_the_part(spacing_mm: Vector, shape: tuple[int, int, int]) -> None:
    grid = around("C4", shape, spacing_mm)
    start, size = (5, 11, 7), (9, 30, 31)
    inner = tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))

    whole, part = render(neck(), grid), render(neck(), grid.part(start, size))

    np.testing.assert_allclose(part.volume.hu, whole.volume.hu[inner], atol=0.05)
    np.testing.assert_array_equal(part.labels.labels, whole.labels.labels[inner])
    np.testing.assert_array_equal(part.fracture_mask.labels, whole.fracture_mask.labels[inner])


def test_slabs_are_rendered_as_if_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = around("C4", (30, 50, 50), (1.0, 0.9, 0.9))
    at_once = render(neck(), grid)
    monkeypatch.setattr("cspine.phantoms.ct.rendering._SLAB_VOXELS", 50 * 50 * 7)

    in_slabs = render(neck(), grid)

    np.testing.assert_allclose(in_slabs.volume.hu, at_once.volume.hu, atol=0.05)
    np.testing.assert_array_equal(in_slabs.labels.labels, at_once.labels.labels)


def test_an_oblique_grid_sees_the_same_neck() -> None:
    upright = around("C4", (70, 90, 90), (0.6, 0.6, 0.6))
    turn = np.radians(20)
    affine = upright.affine.copy()
    affine[:3, :3] = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]) @ affine[:3, :3]
    oblique = Grid((30, 40, 40), affine)
    oblique = oblique.part(oblique.index(neck().centres_mm["C4"]) - (15, 20, 20), (30, 40, 40))

    direct = render(neck(), oblique)
    turned = sample(render(neck(), upright).volume, oblique).hu
    labels = sample(render(neck(), upright).labels, oblique).labels

    # interpolation blurs the finest texture, so both are smoothed by a voxel: 0.998 then, and 0.992 if misplaced by 0.3 mm
    ours, other = (gaussian_filter(hu, 1).ravel() for hu in (direct.volume.hu, turned))
    assert np.corrcoef(ours, other)[0, 1] > 0.996
    assert np.mean(direct.labels.labels == labels) > 0.95


def test_the_same_seed_draws_the_same_bytes() -> None:
    grid = around("C4", (20, 60, 60), (1.0, 1.0, 1.0))
    twin = sample_neck(np.random.default_rng(5), fractured=(Level.C4,))

    assert render(neck(), grid).volume.hu.tobytes() == render(twin, grid).volume.hu.tobytes()
    assert neck().injuries == twin.injuries


def test_every_vertebra_is_labelled_around_its_centre_and_other_bone_apart() -> None:
    found = render(neck(), around("C4", (130, 80, 90), (2.0, 2.0, 2.0)))
    grid, labels = found.labels.grid, found.labels.labels

    assert set(range(11)) | {OTHER_BONE} == set(np.unique(labels))
    for level in CERVICAL:
        middle = grid.world(np.argwhere(labels == level).mean(axis=0))
        assert np.linalg.norm(middle - neck().centres_mm[level.name]) < 14
    assert np.median(found.volume.hu[labels > 0]) > 250
    assert found.fracture_mask.labels.max() == Level.C4
    assert set(np.unique(labels[found.fracture_mask.labels > 0])) <= {BACKGROUND, *CERVICAL}


def test_coarse_voxels_hold_the_mean_of_fine_ones() -> None:
    fine = render(neck(), around("C4", (80, 80, 80), (0.5, 0.5, 0.5)))
    coarse = render(neck(), around("C4", (20, 20, 20), (2.0, 2.0, 2.0)))

    means = fine.volume.hu.reshape(20, 4, 20, 4, 20, 4).mean(axis=(1, 3, 5))
    bony = (fine.labels.labels > 0).reshape(20, 4, 20, 4, 20, 4).mean(axis=(1, 3, 5))
    inside = coarse.labels.labels > 0
    assert np.abs(coarse.volume.hu - means)[bony > 0.05].mean() < 25
    assert bony[inside].min() > 0.25
    assert bony[~inside].max() < 0.75


def only(*bones: PlacedBone) -> Neck:
    return replace(neck(), bones=bones, discs=(), joint_mm=1.0)


def bone_mm(found: NDArray[np.float32], spacing_mm: float) -> float:
    """Returns the length of bone along a line of voxels, partial voxels counted by their density."""
    soft = float(np.median(found))
    return float(np.sum(np.clip((found - soft) / (1000 - soft), 0, 1)) * spacing_mm)


@pytest.mark.parametrize("spacing_mm", [0.3, 0.7, 1.7])
def test_a_rod_keeps_its_thickness_at_every_voxel_size(spacing_mm: float) -> None:
    rod = only(bone("rod", Capsule((0, 0, -40), (0, 0, 40), 3.1)))
    count = round(30 / spacing_mm)
    row = render(rod, around("C4", (1, 1, count), (spacing_mm,) * 3)).volume.hu[0, 0]

    assert bone_mm(row, spacing_mm) == pytest.approx(6.2, abs=0.5 if spacing_mm > 1 else 0.25)


def test_two_bones_that_meet_keep_a_joint_space_unless_they_are_fused() -> None:
    pair = bone("one", Ellipsoid((0, 0, -8), (9, 9, 9))), bone("two", Ellipsoid((0, 0, 8), (9, 9, 9)))
    grid = around("C4", (200, 1, 1), (0.1, 0.1, 0.1))

    apart = render(only(*pair), grid)
    fused = render(replace(only(*pair), fused=(frozenset({"one", "two"}),)), grid)

    assert np.sum(apart.labels.labels == 0) * 0.1 == pytest.approx(1.0, abs=0.21)
    assert np.all(fused.labels.labels > 0)


def test_memory_for_a_large_grid_is_that_of_its_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(subject: Neck, grid: Grid) -> BoneImage:
        seen.append(int(np.prod(grid.shape)))
        return render_bones(subject, grid)

    monkeypatch.setattr("cspine.phantoms.ct.rendering.render_bones", counted)
    monkeypatch.setattr("cspine.phantoms.ct.rendering._SLAB_VOXELS", 20_000)

    render(neck(), around("C4", (12, 40, 40), (2.0, 2.0, 2.0)))

    assert max(seen) <= 20_000
    assert sum(seen) == 12 * 40 * 40 * 8


def test_a_disc_lies_between_bodies_and_nowhere_else() -> None:
    centre, up = np.array(neck().centres_mm["C4"]), np.array((0, 0, 3))
    disc = Disc(centre - up, centre + up, (8.0, 7.0), 300.0)
    bare, with_disc = (
        render(replace(neck(), bones=(), discs=discs), around("C4", (21, 41, 41), (1, 1, 1))) for discs in ((), (disc,))
    )

    changed = np.abs(with_disc.volume.hu - bare.volume.hu) > 1

    assert changed[10, 20, 20]
    assert changed.sum() == pytest.approx(np.pi * 8 * 7 * 7, rel=0.25)
    assert not changed[:6].any()


def test_labels_and_images_share_the_grid() -> None:
    grid = around("C4", (4, 5, 6), (1, 1, 1))
    found = render(neck(), grid)

    assert found.volume.grid is grid
    assert isinstance(found.labels, LabelMap)
    assert found.labels.grid is grid
    assert found.fracture_mask.grid is grid


def test_both_shipped_anatomies_can_be_drawn() -> None:
    for anatomy in shipped_anatomies():
        sampled = sample_neck(np.random.default_rng(1), anatomy)
        grid = Grid.upright(sampled.centres_mm["C3"], (30, 30, 30), (2, 2, 2))

        assert sampled.anatomy == anatomy.name
        assert {2, 3, 4} <= set(np.unique(render(sampled, grid).labels.labels))
