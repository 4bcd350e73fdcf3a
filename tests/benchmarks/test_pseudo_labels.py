"""Pseudo-labels of real scans: which names of a teacher agree with marks, and the data set that is made of them."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.localiser.pseudo_labels import SpineMarks, main, pseudo_label
from cspine.anatomy import Level
from cspine.datasets import load_mask, read_dataset
from cspine.geometry import Grid
from cspine.locating import Located, Vertebra
from cspine.phantoms import render, sample_neck
from cspine.reading import read_study
from cspine.results import Box, LevelStatus
from cspine.volume import LabelMap

LENGTH_MM = 18.0
GRID = Grid.upright((0.0, 0.0, 0.0), (80, 4, 4), (2.0, 2.0, 2.0))
MARKS = SpineMarks.of({"C1": [0, 0, 63], "discs": [[0, 0, 36 - LENGTH_MM * n, 0, 0, -1] for n in range(3)]})


def teacher(*, shift_mm: float = 0.0, last: int = 7, doubted: Level | None = None) -> Located:
    """Returns vertebrae of 18 mm from C1 on, from 72 mm down, each end below C1 so much lower; below the last, T1."""
    labels: NDArray[np.uint8] = np.full(GRID.shape, Level.T1, np.uint8)
    heights = GRID.world(np.argwhere(np.ones(GRID.shape)))[:, 2].reshape(GRID.shape)
    vertebrae = []
    for level in (Level(number) for number in range(1, last + 1)):
        low = 54 - LENGTH_MM * (level - 1) - shift_mm * (level > Level.C1)
        labels[(heights >= low) & (heights < low + LENGTH_MM + shift_mm * (level is Level.C2))] = level
        vertebrae.append(_vertebra(level, (0.0, 5.0, low + LENGTH_MM / 2), 0.6 if level is doubted else 0.95))
    return Located(tuple(vertebrae), LabelMap(labels, GRID), np.zeros((2, 3)))


def _vertebra(level: Level, centre: tuple[float, float, float], sure: float) -> Vertebra:
    return Vertebra(level, LevelStatus.ASSESSED, sure, centre, Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), (0.0, 0.0, 1.0))


def names(mask: LabelMap | None) -> list[str]:
    """Returns the names of all levels of a mask."""
    assert mask is not None
    return [Level(value).name for value in np.unique(mask.labels) if value]


def lowest_mm(mask: LabelMap | None, level: Level) -> float:
    """Returns where a level of a mask ends."""
    assert mask is not None
    return float(mask.grid.world(np.argwhere(mask.labels == level))[:, 2].min())


def test_the_marks_part_the_levels_and_the_teacher_those_below() -> None:
    mask = pseudo_label(teacher(), MARKS)

    assert MARKS.levels == (Level.C1, Level.C2, Level.C3, Level.C4)
    assert names(mask) == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1"]
    assert [lowest_mm(mask, level) for level in (Level.C2, Level.C3, Level.C4)] == pytest.approx([36, 18, 0], abs=2)


def test_a_teacher_that_is_half_a_level_off_is_put_right_and_not_believed_below_the_marks() -> None:
    mask = pseudo_label(teacher(shift_mm=9.0), MARKS)

    assert names(mask) == ["C1", "C2", "C3", "C4"]
    assert [lowest_mm(mask, level) for level in (Level.C2, Level.C3, Level.C4)] == pytest.approx([36, 18, 0], abs=2)


def test_what_is_below_a_level_of_which_the_teacher_is_not_sure_is_left_out() -> None:
    assert names(pseudo_label(teacher(doubted=Level.C6), MARKS)) == ["C1", "C2", "C3", "C4", "C5"]


def test_arches_lie_lower_than_the_bodies_that_bear_them() -> None:
    body, lamina, tip = MARKS.discs_above(np.array([[0.0, 0.0, 32.0], [0.0, 28.0, 32.0], [0.0, 50.0, 20.0]]))

    assert (body, lamina, tip) == (1, 0, 1)


def test_a_scan_in_which_c1_lies_elsewhere_or_was_not_found_gives_no_mask() -> None:
    elsewhere = SpineMarks(np.array([0.0, 0.0, 45.0]), MARKS.discs)

    assert pseudo_label(teacher(), elsewhere) is None
    assert pseudo_label(replace(teacher(), vertebrae=teacher().vertebrae[1:]), MARKS) is None
    assert pseudo_label(teacher(), SpineMarks(MARKS.ring, np.empty((0, 6)))) is None


@pytest.mark.parametrize("sides", ["both", "left"])
def test_one_side_of_c1_alone_is_left_unknown(sides: str) -> None:
    grid = Grid.upright((0.0, 0.0, 0.0), (80, 40, 40), (2.0, 2.0, 2.0))
    places = grid.world(np.argwhere(np.ones(grid.shape))).reshape(*grid.shape, 3)
    radius = np.hypot(places[..., 0], places[..., 1])
    ring = (radius > 15) & (radius < 30) & (places[..., 2] >= 56) & ((places[..., 0] > 0) | (sides == "both"))
    labels = np.where(ring, Level.C1, np.where((places[..., 2] < 54) & (radius < 12), Level.C2, 0)).astype(np.uint8)
    atlas = _vertebra(Level.C1, (0.0, 0.0, 63.0), 0.95)

    mask = pseudo_label(Located((atlas,), LabelMap(labels, grid), np.zeros((2, 3))), MARKS)

    assert ("C1" in names(mask)) is (sides == "both")
    assert {"C2", "C3"} <= set(names(mask))


def test_a_scan_becomes_a_study_with_a_mask_that_names_what_was_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    neck = sample_neck(np.random.default_rng(5))
    image = render(neck, neck.scan_grid((2.5, 2.0, 2.0), 180.0, above_mm=25.0, below_mm=25.0)).volume
    scans, marks, data = tmp_path / "scans", tmp_path / "marks.json", tmp_path / "data"
    scans.mkdir()
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.grid.affine[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(np.rint(image.hu).astype(np.int16).T, affine), scans / "neck_1.nii.gz")
    centres = {level: np.array(neck.centres_mm[level]) for level in ("C1", "C2", "C3", "C4", "C5")}
    ways = [(centres[upper] + centres[lower]) / 2 for upper, lower in (("C2", "C3"), ("C3", "C4"), ("C4", "C5"))]
    stored = {"C1": list(centres["C1"]), "discs": [[*(float(v) for v in way), 0.0, 0.0, -1.0] for way in ways]}
    marks.write_text(json.dumps({"neck_1": stored}), encoding="utf-8")

    monkeypatch.setattr("sys.argv", ["pseudo_labels", str(marks), str(scans), "-o", str(data)])
    main()

    (case,) = read_dataset(data).cases
    assert case.mask is not None
    mask, volume = load_mask(case.mask), read_study(case.images).volume
    assert {1, 2, 3, 4} <= set(np.unique(mask.labels))
    found = mask.grid.world(np.argwhere(mask.labels == Level.C3).mean(axis=0))
    assert abs(found[2] - centres["C3"][2]) < 3
    assert float(np.abs(volume.hu.max() - np.rint(image.hu).max())) <= 1
