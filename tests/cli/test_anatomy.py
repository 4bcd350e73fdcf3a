"""``cspine anatomy build`` makes a file that phantoms can be sampled from."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cspine.cli import Exit, main
from cspine.phantoms.meshes.anatomy import load_anatomy
from cspine.phantoms.meshes.surfaces import Surface
from tests.phantoms.solids import box, vertebra, write_stl


def test_building_writes_the_file_and_says_what_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bones").mkdir()
    write_stl(vertebra(), tmp_path / "bones" / "c5.stl")
    (tmp_path / "bones" / "disc.stl").write_bytes(b"")
    table = tmp_path / "named.toml"
    table.write_text('name = "mine"\n[levels]\nC6 = "c5.stl"\n')
    file = tmp_path / "mine.anatomy.npz"

    assert main(["anatomy", "build", str(tmp_path / "bones"), "-o", str(file), "--table", str(table)]) == Exit.DONE

    assert capsys.readouterr().out.splitlines() == [
        "C6  body 21 x 16 x 14 mm",
        "borrowed: C1, C2, C3, C4, C5, C7, skull, jaw, hyoid, larynx",
        "not used: disc.stl",
        str(file),
        str(tmp_path / "mine.anatomy.png"),
    ]
    assert load_anatomy(file).name == "mine"


def test_a_file_is_replaced_only_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.npz"
    file.write_text("precious")

    assert main(["anatomy", "build", str(tmp_path), "-o", str(file)]) == Exit.WRONG_INPUT

    assert "is there already. Give another name, or --overwrite." in capsys.readouterr().err
    assert file.read_text() == "precious"


def test_a_wrong_folder_gives_one_line_and_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["anatomy", "build", str(tmp_path), "-o", str(tmp_path / "a.npz")]) == Exit.WRONG_INPUT

    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "a.npz").exists()


def test_a_picture_shows_what_was_built(tmp_path: Path) -> None:
    write_stl(vertebra(), tmp_path / "c5.stl")

    assert main(["anatomy", "build", str(tmp_path), "-o", str(tmp_path / "mine.anatomy.npz")]) == Exit.DONE
    with Image.open(tmp_path / "mine.anatomy.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))

    height, width = pixels.shape[:2]
    columns = np.array_split(pixels[height // 3 :], 7, axis=1)
    dark = [np.count_nonzero(column.max(axis=2) < 120) for column in columns]
    assert min(width, height) > 600
    assert np.argmax(dark) == 4  # C5 is the only one that was given


def test_all_bad_levels_are_told_at_once_with_the_axes_that_would_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for level in (4, 5):
        given = vertebra()
        write_stl(Surface(given.points[:, [2, 0, 1]], given.triangles), tmp_path / f"c{level}.stl")
    write_stl(box((0, 0, 0), (0.1, 0.1, 0.1)), tmp_path / "c6.stl")

    assert main(["anatomy", "build", str(tmp_path), "-o", str(tmp_path / "a.npz")]) == Exit.WRONG_INPUT
    told = capsys.readouterr().err

    assert told.count("\n") == 1
    assert all(name in told for name in ("C4", "C5", "C6 must be a closed surface"))
    (tmp_path / "c6.stl").unlink()
    assert main(["anatomy", "build", str(tmp_path), "-o", str(tmp_path / "a.npz")]) == Exit.WRONG_INPUT
    assert "Axes that would fit: SLP" in capsys.readouterr().err
