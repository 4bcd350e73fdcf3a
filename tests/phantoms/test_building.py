"""Surfaces become signed distances with frames and landmarks."""

import dataclasses
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.errors import AnatomyError
from cspine.phantoms.meshes.anatomy import Anatomy, BoneShape, load_anatomy, save_anatomy, shipped_anatomies
from cspine.phantoms.meshes.building import build_anatomy, skull_shape, vertebra_shape
from cspine.phantoms.meshes.checks import check_apart, check_one_bone, check_order, check_vertebra
from cspine.phantoms.meshes.distance import open_share, unsigned_distance, windings
from cspine.phantoms.meshes.landmarks import Solid
from cspine.phantoms.meshes.orientation import fitting_axes
from cspine.phantoms.meshes.separating import largest_solid, outer
from cspine.phantoms.meshes.surfaces import Surface, read_surface
from cspine.phantoms.meshes.table import SurfaceSource, read_table, unused_surfaces
from tests.phantoms.solids import box, together, vertebra, write_obj, write_stl

AXES = [np.arange(-3.0, 4.1, 0.5) for _ in range(3)]


def _points() -> NDArray[np.float64]:
    z, y, x = np.meshgrid(*AXES, indexing="ij")
    return np.stack([x, y, z])


def test_the_distance_to_a_box_is_exact() -> None:
    found = unsigned_distance(box((0, 0, 0), (1, 1.3, 1.7)), AXES, 2.0)

    half = np.reshape((0.5, 0.65, 0.85), (3, 1, 1, 1))
    away = np.abs(_points() - half) - half
    exact = np.abs(np.linalg.norm(np.maximum(away, 0), axis=0) + np.minimum(away.max(axis=0), 0))
    np.testing.assert_allclose(found, np.minimum(exact, 2.0), atol=1e-5)


def test_overlapping_shells_enclose_twice_and_a_crack_changes_nothing() -> None:
    pair = together(box((-1.1, -1.1, -1.1), (1.1, 1.1, 1.1)), box((0.1, -1.1, -1.1), (2.1, 1.1, 1.1)))
    fractured_share = Surface(pair.points, np.delete(pair.triangles, 3, axis=0))

    x, _, _ = _points()
    enclosed = windings(fractured_share, AXES)

    np.testing.assert_array_equal(enclosed, windings(pair, AXES))
    assert set(np.unique(enclosed[x > 1.1])) == {0, 1}
    assert enclosed[6, 6, 7] == 2


def test_lines_that_enter_and_never_leave_tell_an_open_surface() -> None:
    brick = box((0, 0, 0), (10, 10, 10))

    assert open_share(brick, 1.0) == 0
    assert open_share(Surface(brick.points, brick.triangles[2:]), 1.0) == pytest.approx(1, abs=0.01)
    assert open_share(Surface(brick.points, brick.triangles[1:]), 1.0) == pytest.approx(0.5, abs=0.06)


def test_walls_between_overlapping_shells_are_no_surface() -> None:
    pair = together(box((-5, -5, -5), (5, 5, 5)), box((0, -4, -4), (12, 4, 4)))

    kept = outer(pair).corners.mean(axis=1)

    assert not np.any(np.isclose(kept[:, 0], 0) & (np.abs(kept[:, 1:]).max(axis=1) < 3))
    assert np.any(np.isclose(kept[:, 0], 12))
    assert np.any(np.isclose(kept[:, 0], 5) & (np.abs(kept[:, 1]) > 4))


def test_a_disc_welded_to_a_body_is_removed() -> None:
    body, disc = box((-8, -8, 0), (8, 8, 14)), box((-8, -8, -5), (8, 8, 0))

    freed = largest_solid(together(body, disc))

    assert freed.volume == pytest.approx(body.volume)
    assert freed.points[freed.triangles].min(axis=(0, 1))[2] == 0


def test_a_tilted_vertebra_is_described_in_its_own_frame() -> None:
    tilt = np.radians(20)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    upright = vertebra()
    surface = Surface(upright.points @ turn.T + (5, 60, -30), upright.triangles)

    shape = vertebra_shape(surface, Level.C5)

    np.testing.assert_allclose(shape.frame[:3, :3], turn, atol=0.03)
    np.testing.assert_allclose(shape.frame[:3, 3], (5, 60, -30), atol=1)
    np.testing.assert_allclose(shape.body.size_mm, (20, 16, 14), atol=1.5)
    assert shape.body.canal_mm == pytest.approx(15, abs=1)
    np.testing.assert_allclose(shape.body.canal_size_mm, (24, 14), atol=1.5)
    corner = shape.distance(np.array([[0.0, 0.0, 0.0], [0.0, -7.0, -10.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(corner, (-5, -1, 2), atol=0.4)


def test_a_solid_skull_becomes_hollow_with_a_thicker_base() -> None:
    shape = skull_shape(box((-60, -60, 0), (60, 60, 120)))

    up, side = np.zeros((3, 4)), np.zeros((3, 4))
    up[2] = np.array([1, 8, 14, 60]) - 60
    side[0] = 60 - np.array([1, 4.5, 9, 20])
    side[2] = 30
    assert list(shape.distance(up) < 0) == [True, True, False, False]
    assert list(shape.distance(side) < 0) == [True, True, False, False]


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Anatomy:
    """Writes C4 in decimetres, seen from behind upside down, and C6 as it is."""
    made = tmp_path_factory.mktemp("surfaces")
    flip = np.diag([-1.0, 1.0, -1.0]) / 100
    four = vertebra((0, 0, 36))
    write_obj(Surface(four.points @ flip.T, four.triangles), made / "fourth.obj")
    write_stl(vertebra((0, 3, 0)), made / "C6.stl")
    (made / "anatomy.toml").write_text(
        'name = "boxes"\nnotice = "Boxes, public domain."\n[levels]\n'
        'C4 = { file = "fourth.obj", scale_mm = 100, axes = "RPI" }\nC6 = "C6.stl"\n'
        '[context]\njaw = { file = "C6.stl", shift_mm = [0, -50, 40] }\n'
    )
    return build_anatomy(made)


def test_scale_axes_and_shift_of_each_file_are_taken_from_the_table(boxes: Anatomy) -> None:
    assert boxes.name == "boxes"
    assert list(boxes.vertebrae) == [Level.C4, Level.C6]
    np.testing.assert_allclose(boxes.vertebrae[Level.C4].frame[:3, 3], (0, 0, 36), atol=0.5)
    np.testing.assert_allclose(boxes.vertebrae[Level.C4].body.size_mm, (20, 16, 14), atol=1)
    np.testing.assert_allclose(boxes.context["jaw"].frame[:3, 3], (0, -28.5, 40), atol=0.5)


def test_an_anatomy_comes_back_from_its_file(boxes: Anatomy, tmp_path: Path) -> None:
    save_anatomy(boxes, tmp_path / "boxes.anatomy.npz")

    again = load_anatomy(tmp_path / "boxes.anatomy.npz")

    assert again.notice == "Boxes, public domain."
    for bone, other in zip(boxes.vertebrae.values(), again.vertebrae.values(), strict=True):
        np.testing.assert_array_equal(bone.steps, other.steps)
        np.testing.assert_array_equal(bone.frame, other.frame)
        assert bone.body == other.body
    assert [path.name for path in tmp_path.iterdir()] == ["boxes.anatomy.npz"]


def test_levels_are_told_from_file_names_where_there_is_no_table(tmp_path: Path) -> None:
    write_stl(vertebra(), tmp_path / "my_C3.stl")
    (tmp_path / "readme.txt").write_text("c4")

    assert list(build_anatomy(tmp_path).vertebrae) == [Level.C3]


@pytest.mark.parametrize(
    ("name", "level"), [("Vertebra_C03", 3), ("cervical4", 4), ("CervicalVertebra5", 5), ("rotatedcerv7", 7), ("vertebrae c6", 6)]
)
def test_levels_are_told_from_the_names_that_tools_give(name: str, level: int, tmp_path: Path) -> None:
    for file in (f"{name}.stl", "disc_c3c4.stl", "1.stl", "abc2.stl"):
        (tmp_path / file).write_bytes(b"")

    table = read_table(tmp_path)

    assert list(table.levels) == [Level(level)]
    assert unused_surfaces(tmp_path, table) == ("1.stl", "abc2.stl", "disc_c3c4.stl")


def test_a_table_may_begin_as_spreadsheet_tools_begin_text(tmp_path: Path) -> None:
    (tmp_path / "anatomy.toml").write_text('[levels]\nC3 = "third.stl"', encoding="utf-8-sig")

    assert read_table(tmp_path).levels[Level.C3].file == "third.stl"


def turned(surface: Surface, signs: tuple[float, float, float]) -> Surface:
    return Surface(surface.points, surface.triangles).moved(np.diag(signs))


@pytest.mark.parametrize(
    ("surface", "level", "message"),
    [
        (
            turned(vertebra(), (1, -1, 1)),
            5,
            r"C5 needs a body of 11\.\.42 x 9\.\.33 x 7\.\.25 mm \(width, depth, height\)\. Received",
        ),
        (
            turned(vertebra(tail_mm=9), (1, 1, -1)),
            5,
            r"The spinous process of C5 must point backwards or down\. Received one that rises 5 mm",
        ),
        (vertebra(), 2, r"C2 must be one vertebra\. Its middle section shows 2 bodies: check its level, and give"),
        (vertebra(), 1, r"C1 needs a canal 19\.\.50 mm deep\. Received 1[34]"),
        (together(vertebra(), vertebra((0, 0, 20))), 5, "C5 must be one bone. Its surface holds 2 apart from each other"),
        (together(vertebra(), vertebra((0, 0, 20)), box((-18, 10, 0), (-14, 14, 20))), 5, "Its middle section shows 2 bodies"),
        (Surface(vertebra().points, vertebra().triangles[:-36]), 5, "a front and a back part"),
        (
            Surface(vertebra().points, vertebra().triangles[::2]),
            5,
            r"C5 must be a closed surface whose faces all point outwards\. Received",
        ),
        (
            Surface(vertebra().points / 10, vertebra().triangles),
            5,
            r"3\.6 x 5\.3 x 1\.4 mm \(10 times as large it would be one\): check",
        ),
    ],
)
def test_what_is_not_the_vertebra_that_it_is_called_is_refused(surface: Surface, level: int, message: str) -> None:
    with pytest.raises(AnatomyError, match=message):
        vertebra_shape(surface, Level(level))


def test_the_shipped_vertebrae_are_what_they_are_called_and_no_other_level() -> None:
    first, *others = shipped_anatomies()
    for anatomy in (first, *others):
        for level, bone in anatomy.vertebrae.items():
            solid = Solid(bone.steps < 0, bone.first_mm, bone.spacing_mm)
            check_one_bone(solid, level)
            check_vertebra(bone, solid, level)
    check_order(first.vertebrae)

    bone = first.vertebrae[Level.C4]
    solid = Solid(bone.steps < 0, bone.first_mm, bone.spacing_mm)
    with pytest.raises(AnatomyError, match=r"C2 needs a body of C2 with the dens of 11\.\.42 x 9\.\.33 x 16\.\.58 mm"):
        check_vertebra(bone, solid, Level.C2)
    lying = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    with pytest.raises(AnatomyError, match=r"C4 needs end plates that face up and down\. Received some tilted by 90 degrees"):
        check_vertebra(dataclasses.replace(bone, frame=lying), solid, Level.C4)


@cache
def _built() -> BoneShape:
    return vertebra_shape(vertebra(), Level.C5)


def placed(height_mm: float) -> BoneShape:
    """Returns a vertebra whose own frame lies so high."""
    bone = _built()
    frame = bone.frame.copy()
    frame[2, 3] = height_mm
    return dataclasses.replace(bone, frame=frame)


def test_neighbours_that_run_through_each_other_are_refused_all_at_once() -> None:
    check_apart({Level.C3: placed(44), Level.C4: placed(22), Level.C5: placed(0)})
    check_apart({Level.C4: placed(0), Level.C5: placed(0)})  # each in a frame of its own
    with pytest.raises(AnatomyError, match=r"C3 and C4 share [0-9.]+ ml, [0-9.]+ mm deep; C4 and C5 share .* leave one out"):
        check_apart({Level.C3: placed(20), Level.C4: placed(10), Level.C5: placed(0)})


def test_building_hands_on_the_name_of_each_bone(tmp_path: Path) -> None:
    for level in (4, 5):
        write_stl(vertebra((0, 0, -22.0 * level)), tmp_path / f"c{level}.stl")
    told: list[str] = []

    def watch(names: list[str]) -> Iterator[str]:
        for name in names:
            told.append(name)
            yield name

    assert list(build_anatomy(tmp_path, watch=watch).vertebrae) == [Level.C4, Level.C5]
    assert told == ["C4", "C5"]


@pytest.mark.parametrize("axes", ["LPS", "RAS", "ALS", "SLP", "PIR"])
def test_axes_that_fit_are_found_whatever_was_told(axes: str) -> None:
    bone = shipped_anatomies()[0].vertebrae[Level.C5]
    places = np.argwhere(bone.steps < 0)[:, ::-1] * bone.spacing_mm + np.asarray(bone.first_mm)
    stored = places @ SurfaceSource("", 1.0, axes).matrix  # its transpose is its inverse
    low = stored.min(axis=0) - 3
    inside = np.zeros(np.ceil((np.ptp(stored, axis=0) + 6) / bone.spacing_mm).astype(int)[::-1] + 1, np.bool_)
    inside[tuple(np.rint((stored - low) / bone.spacing_mm).astype(int)[:, ::-1].T)] = True
    wrong = Solid(inside, (float(low[0]), float(low[1]), float(low[2])), bone.spacing_mm)

    assert fitting_axes({Level.C5: wrong}, "LPS") == (() if axes == "LPS" else (axes,))


def test_levels_in_the_wrong_order_are_refused_unless_each_has_a_frame_of_its_own() -> None:
    check_order({Level.C3: placed(34), Level.C4: placed(17), Level.C5: placed(0)})
    check_order({Level.C3: placed(0), Level.C4: placed(0), Level.C5: placed(17)})
    with pytest.raises(AnatomyError, match=r"C4 must stand above C5\. It stands 17 mm below: check the axes and the names"):
        check_order({Level.C4: placed(0), Level.C5: placed(17)})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('[levels]\nC3 = { file = "c3.stl", shift_mm = [1, 2] }', r"`shift_mm` must be three lengths.*c3\.stl has: \[1\.0, 2\.0\]"),
        ('axes = "LPP"\n[levels]\nC3 = "c3.stl"', "one letter each of L/R, A/P and S/I"),
        ('scale_mm = 0\n[levels]\nC3 = "c3.stl"', "more than 0"),
        ('[levels]\nL1 = "c3.stl"', "Received also: L1"),
        ('[context]\ntail = "c3.stl"', "may name hyoid, jaw, larynx, skull here. Received also: tail"),
        ("unit = 3", "Received also: unit"),
        ("levels", "anatomy.toml cannot be read"),
        ('[levels]\nC3 = { axes = "LPS" }', "must say the `file` of each bone"),
        ('[levels]\nC3 = "gone.stl"', "There is no surface"),
        ('scale_mm = 1000\n[levels]\nC3 = "c3.stl"', "25 to 150 mm. Received one of 3.6e\\+04"),
        ('[levels]\nC3 = "brick.stl"', "C3 needs a front and a back part with a canal between them"),
        (
            '[levels]\nC3 = "c3.stl"\n[context]\njaw = { file = "c3.stl", scale_mm = 0.1 }',
            "10 to 400 mm long. Received 5.[0-9]+ mm",
        ),
    ],
)
def test_a_wrong_table_gives_a_clear_error(table: str, message: str, tmp_path: Path) -> None:
    write_stl(vertebra(), tmp_path / "c3.stl")
    write_stl(box((0, 0, 0), (30, 30, 30)), tmp_path / "brick.stl")
    (tmp_path / "anatomy.toml").write_text(table)

    with pytest.raises(AnatomyError, match=message):
        build_anatomy(tmp_path)


def test_a_folder_without_vertebrae_or_with_two_of_one_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match=r"holds no surface \(obj, stl, vtp\) named C1\.\.C7.* Received: none"):
        build_anatomy(tmp_path)
    for number in range(1, 7):
        (tmp_path / f"{number}.stl").write_bytes(b"")
    with pytest.raises(AnatomyError, match=r"Received: 1\.stl, 2\.stl, 3\.stl, 4\.stl, 2 more"):
        build_anatomy(tmp_path)
    with pytest.raises(AnatomyError, match="There is no folder"):
        build_anatomy(tmp_path / "gone")

    write_stl(vertebra(), tmp_path / "c3.stl")
    write_stl(vertebra(), tmp_path / "new_c3.stl")
    with pytest.raises(AnatomyError, match=r"C3 is both c3\.stl and new_c3\.stl"):
        build_anatomy(tmp_path)


def test_what_is_no_anatomy_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match="There is no anatomy file"):
        load_anatomy(tmp_path / "gone.npz")

    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(AnatomyError, match=r"a\.npz is not an anatomy file, or is damaged"):
        load_anatomy(tmp_path / "a.npz")


def test_the_shipped_anatomy_is_what_its_surfaces_give(shared_data: Path) -> None:
    surface = read_surface(shared_data / "anatomy_meshes" / "vertebrae" / "c4.obj")
    shipped = shipped_anatomies()[0].vertebrae[Level.C4]

    built = vertebra_shape(surface, Level.C4)

    assert built.steps.shape == shipped.steps.shape
    # The last bit of a matrix product differs between processors. Where several triangles are equally near, it decides which of
    # them are measured exactly: seen in 1 of 430,000 points, by 0.08 mm.
    apart_mm = np.abs(built.steps.astype(int) - shipped.steps) * shipped.step_mm
    assert (apart_mm > 1.5 * shipped.step_mm).mean() < 1e-5
    assert apart_mm.max() < 0.2
    assert np.hstack(dataclasses.astuple(built.body)) == pytest.approx(np.hstack(dataclasses.astuple(shipped.body)), abs=1e-9)


def test_every_shipped_anatomy_carries_its_notice_and_fits_the_package() -> None:
    data = resources.files("cspine.phantoms") / "data"
    sizes = [len(file.read_bytes()) for file in data.iterdir() if file.is_file()]

    assert sum(sizes) < 3_000_000
    for anatomy in shipped_anatomies():
        assert "derived from" in anatomy.notice
        assert "cite" in anatomy.notice
