"""Surfaces come back from every kind of file."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import AnatomyError
from cspine.phantoms.meshes.surfaces import Surface, read_surface
from tests.phantoms.solids import box, write_obj, write_stl, write_stl_text, write_vtp

BRICK = box((0, 0, 0), (2, 3, 5))
VTP_FORMS = ["base64", "plain_appended", "plain_raw", "plain_raw_big", "zlib", "zlib_appended", "zlib_raw", "zlib_raw_big"]
VTP_FORMS += ["lzma_raw", "lz4_appended_big"]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.obj", write_obj),
        ("a.stl", write_stl),
        ("b.STL", write_stl_text),
        ("a.vtp", write_vtp),
        *((f"{form}.vtp", partial(write_vtp, form=form)) for form in VTP_FORMS),
    ],
)
def test_a_brick_keeps_its_volume_in_every_kind_of_file(name: str, write: Callable[[Surface, Path], None], tmp_path: Path) -> None:
    write(BRICK, tmp_path / name)

    surface = read_surface(tmp_path / name)

    assert surface.volume == pytest.approx(30)
    np.testing.assert_array_equal(surface.points.max(axis=0), (2, 3, 5))


def test_polygons_and_indices_from_the_end_are_read(tmp_path: Path) -> None:
    lines = [f"v {x} {y} {z}" for x, y, z in BRICK.points] + ["f -8 -5 -6 -7", "f 5 6 7 8"]
    (tmp_path / "a.obj").write_text("\n".join(lines))

    surface = read_surface(tmp_path / "a.obj")

    np.testing.assert_array_equal(surface.triangles, [[0, 3, 2], [0, 2, 1], [4, 5, 6], [4, 6, 7]])


def test_a_surface_turned_inside_out_by_mirroring_is_turned_back() -> None:
    assert BRICK.moved(np.diag([-1.0, 1.0, 1.0])).volume == pytest.approx(30)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ply", b"", r"must be one of \.obj, \.stl, \.vtp\. Received: a\.ply"),
        ("a.obj", b"v 1 2\nf 1 2 3", "a.obj is damaged"),
        (
            "a.obj",
            b"v 1 2 3\nv 1 2 4\nf 1 2 7",
            "a.obj: A surface needs triangles between its points. Received: 2 points, 1 triangles",
        ),
        ("a.obj", b"v 1 2 nan\nv 1 2 4\nv 0 0 0\nf 1 2 3", "finite coordinates"),
        ("a.stl", b"solid nothing", "needs triangles"),
        ("a.vtp", b"<VTKFile>", "a.vtp is damaged"),
        ("a.vtp", b"<VTKFile></VTKFile>", "it has no points or no polygons"),
    ],
)
def test_a_wrong_file_gives_a_clear_error(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(AnatomyError, match=message):
        read_surface(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match=r"There is no surface .*gone\.obj"):
        read_surface(tmp_path / "gone.obj")


def test_strips_and_several_pieces_of_a_vtk_file_are_read(tmp_path: Path) -> None:
    write_vtp(BRICK, tmp_path / "a.vtp")
    piece = (
        '<Piece><Points><DataArray type="Float32">9 0 0 10 0 0 9 1 0 10 1 0</DataArray></Points><Strips>'
        '<DataArray Name="connectivity" type="Int32">0 1 2 3</DataArray><DataArray Name="offsets" type="Int32">4</DataArray>'
        "</Strips></Piece></PolyData>"
    )
    (tmp_path / "a.vtp").write_text((tmp_path / "a.vtp").read_text().replace("</PolyData>", piece))

    surface = read_surface(tmp_path / "a.vtp")

    np.testing.assert_array_equal(surface.triangles[-2:], [[8, 9, 10], [10, 9, 11]])


def test_an_array_of_no_blocks_is_empty(tmp_path: Path) -> None:
    write_vtp(BRICK, tmp_path / "a.vtp", "zlib")
    strips = '<Strips><DataArray Name="connectivity" type="Int32" format="binary">{0}</DataArray>'
    strips += '<DataArray Name="offsets" type="Int32" format="binary">{0}</DataArray></Strips></Piece>'
    text = (tmp_path / "a.vtp").read_text()
    (tmp_path / "a.vtp").write_text(text.replace("</Piece>", strips.format("AAAAAAAAAAAAAAAAAAAAAA==")))

    assert read_surface(tmp_path / "a.vtp").volume == pytest.approx(30)


def test_a_block_that_says_it_is_larger_than_any_machine_is_refused(tmp_path: Path) -> None:
    write_vtp(BRICK, tmp_path / "a.vtp", "zlib")
    text = re.sub(r'(format="binary">)\S{24}', r"\1AQAAAP////8AAAAAIAAAAA", (tmp_path / "a.vtp").read_text(), count=1)
    (tmp_path / "a.vtp").write_text(text)

    with pytest.raises(AnatomyError, match="damaged or in a form that cannot be read"):
        read_surface(tmp_path / "a.vtp")


@pytest.mark.parametrize(
    ("form", "old", "new", "message"),
    [
        ("zlib", "vtkZLib", "vtkGlue", "a.vtp is damaged or in a form that cannot be read: 'vtkGlueDataCompressor'"),
        ("base64", "Float64", "Word", "cannot be read: 'Word'"),
        ("zlib", 'format="binary">', 'format="binary">AAAA', "a.vtp is damaged or in a form that cannot be read"),
        ("ascii", "Polys", "Lines", "it has no points or no polygons"),
    ],
)
def test_a_damaged_vtk_file_is_named(form: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    write_vtp(BRICK, tmp_path / "a.vtp", form)
    (tmp_path / "a.vtp").write_text((tmp_path / "a.vtp").read_text().replace(old, new))

    with pytest.raises(AnatomyError, match=message):
        read_surface(tmp_path / "a.vtp")
