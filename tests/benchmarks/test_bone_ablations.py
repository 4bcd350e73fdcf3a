import argparse
import json
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks import bone_ablations, command, grafts
from benchmarks.bone_ablations import ROWS, Row, table, words
from cspine.recipes import load_recipe
from cspine.training.core.settings import parse_assignments, with_settings
from cspine.training.vertebrae.settings import VertebraRecipe


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_setting_of_a_row_acts_on_the_flagship(row: Row) -> None:
    given = words(row, "mixed_bfloat16")

    changed = with_settings(
        load_recipe("vertebra_mil"), parse_assignments([value for word, value in pairwise(given) if word == "--set"])
    )

    assert isinstance(changed, VertebraRecipe)
    assert changed.fit.precision == "mixed_bfloat16"
    assert changed.patches.mined > 0


def test_each_row_leaves_out_one_thing_of_the_first() -> None:
    first, *others = ROWS

    assert (first.parts, first.options) == (("bone", "fine", "typical"), "")
    for row in others:
        assert (row.parts != first.parts) + bool(row.options) == 1, row.name
        assert len(set(first.parts) - set(row.parts)) <= 1, row.name


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[argparse.Namespace, list[list[str]]]:
    """Returns options, and the commands that are given instead of done; each leaves what the next one asks for."""
    given: list[list[str]] = []

    def run(*words_given: str) -> None:
        given.append(list(words_given))
        if words_given[0] == "train":
            (tmp_path / "without_bone" / "fold-0").mkdir(parents=True)
        names = {"train": "held_out.csv", "calibrate": "calibration.csv"}
        if words_given[0] in names:
            (tmp_path / "without_bone" / "fold-0" / names[words_given[0]]).touch()
        elif words_given[0] == "evaluate":
            estimate = {"value": 0.9, "low": 0.8, "high": 0.95}
            found = {"outputs": [{"estimates": {"auroc": estimate}}], "mean_level_auroc": estimate | {"value": 0.925}}
            (tmp_path / "unseen" / "without_bone").mkdir(parents=True)
            (tmp_path / "unseen" / "without_bone" / "evaluation.json").write_text(json.dumps(found))
        else:
            (tmp_path / "packages" / "without_bone").mkdir(parents=True)

    def evaluated(_: object, __: Path, out: Path) -> None:
        level = {"study": "1", "patient": "p", "kind": "graft", "level": 2, "edited": True, "flagged": True}
        levels = [
            level | {"severity": 0.4, "logit": 3.0},
            level | {"study": "0", "kind": "intact", "severity": None, "edited": False, "flagged": False, "logit": -2.0},
        ]
        out.write_text(json.dumps({"package": "", "levels": levels}))

    def joined(folders: list[Path], out: Path) -> None:
        out.mkdir(parents=True)
        given.append([str(folder) for folder in folders])

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(bone_ablations, "join", joined)
    monkeypatch.setattr(bone_ablations, "Detector", lambda package: package)
    monkeypatch.setattr(grafts, "evaluated", evaluated)
    parts = {part: tmp_path / part for part in ("bone", "intact", "fine", "typical", "calibration", "unseen", "grafts")}
    options = argparse.Namespace(**parts | {"out": tmp_path, "precision": "float32", "cache": None, "rows": ["without_bone"]})
    options.unseen = tmp_path / "unseen-phantoms"
    return options, given


def test_a_row_is_trained_on_its_parts_and_evaluated_on_phantoms_and_grafts(
    done: tuple[argparse.Namespace, list[list[str]]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options, given = done
    monkeypatch.setattr(bone_ablations, "_arguments", lambda: options)

    bone_ablations.main()

    assert given[0] == [str(options.fine), str(options.typical)]
    assert [words_given[0] for words_given in given[1:]] == ["train", "calibrate", "evaluate", "export"]
    assert given[-1][given[-1].index("--trained-on") + 1] == "phantoms"
    header, _, line = capsys.readouterr().out.strip().splitlines()
    assert header.startswith(
        "| left out | any fracture, phantoms | mean of levels, phantoms | AUROC of levels, grafts against the rest |"
    )
    assert line.startswith("| real bone | 0.900 (0.800-0.950) | 0.925 (0.800-0.950) | 1.000")

    again = len(given)
    bone_ablations.main()
    assert len(given) == again


def test_a_table_without_rows_is_empty(tmp_path: Path) -> None:
    assert list(table([], argparse.Namespace(out=tmp_path))) == []
