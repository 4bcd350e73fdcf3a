"""``cspine anatomy build`` makes a file that phantoms can be sampled from."""

from pathlib import Path

import pytest

from cspine.cli import Exit, main
from cspine.phantoms.meshes.anatomy import load_anatomy
from tests.phantoms.solids import vertebra, write_stl


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
