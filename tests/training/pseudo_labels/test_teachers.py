from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from cspine.errors import OutputError, TrainingError
from cspine.networks.layers import EvidencePooling, LevelAreas
from cspine.training.core.family import Fold, TrainingPlace
from cspine.training.core.marks import BOX_BIT
from cspine.training.core.runs import BEST, HELD_OUT, Run, RunFacts, create_run
from cspine.training.core.settings import settings
from cspine.training.pseudo_labels.teachers import PSEUDO_LABELS, PseudoLabelling, honest_fold, levels_by, teacher_of
from cspine.training.slices.settings import SliceRecipe
from cspine.training.slices.stacks import SliceStack
from tests.training.synthetic import SPEC, Silent, recipe, stack

SHADES = np.array([0.0, *np.linspace(0.3, 0.9, 7)])
"""Of the background and of C1..C7, in the window of the network."""


def shaded(number: int, broken: int | None = None, *, mask: bool = False) -> SliceStack:
    """Returns a study whose levels can be told by their shade."""
    known = stack(number, broken)
    levels = known.marks % BOX_BIT
    low, high = SPEC.window_hu
    hu = np.where(levels > 0, low + SHADES[np.minimum(levels, 7)] * (high - low), -1000).astype(np.int16)
    given = stack(number, broken, mask=mask)
    return SliceStack(given.case, hu, given.marks, given.grid)


def reader(output: str) -> keras.Model:
    """Returns a network that reads the shade of the middle slice: pixel by pixel (``maps``) or cell by cell (``level_map``)."""
    image = keras.Input((*SPEC.size, SPEC.channels))
    x = layers.MaxPooling2D(8)(image) if output == "level_map" else image
    near = layers.Conv2D(8, 1, activation="softmax", name=f"{output}_logits")
    maps = near(x)
    kernel = np.zeros((1, 1, 3, 8))
    kernel[0, 0, 1] = 2 * 4000 * SHADES
    near.set_weights([kernel, -4000 * SHADES**2])  # the square of the distance, but for what all shades share
    areas = layers.Rescaling(2.0, -5.0 if output == "maps" else 0.0)(LevelAreas()(maps))
    outputs = {
        output: maps,
        "visible": layers.Activation("sigmoid")(areas),
        "fracture": layers.Activation("sigmoid")(EvidencePooling()([layers.Conv2D(1, 1)(maps), maps])),
    }
    return keras.Model(image, outputs)


def teacher(folder: Path, network: keras.Model, students: SliceRecipe, folds: dict[str, int], trained: Sequence[int] = (0,)) -> Run:
    """Trains a teacher, and returns its run."""
    facts = RunFacts("custom_cnn", settings(students), "data", len(folds), "0" * 64, folds, "none")
    run = create_run(folder, facts)
    for fold in trained:
        run.fold(fold).mkdir()
        network.save(run.fold(fold) / BEST)
        (run.fold(fold) / HELD_OUT).touch()
    return run


def students(folder: Path | str) -> SliceRecipe:
    given = recipe()
    return replace(given, labels=replace(given.labels, teacher=str(folder)))


def labelled(stacks: Sequence[SliceStack], held_out: str, teacher: Path, folder: Path) -> Sequence[SliceStack]:
    """Returns studies with pseudo-labels; the cache and the folder of the fold are in ``folder``."""
    fold = Fold(0, folder / "fold-0", held_out=[stack(int(held_out), None).case])
    return PseudoLabelling(students(teacher)).with_masks(stacks, fold, TrainingPlace(folder / "cache"), Silent())


@pytest.mark.parametrize("output", ["maps", "level_map"])
def test_a_teacher_labels_each_level_where_it_sees_it(output: str) -> None:
    study = shaded(1, 3)

    found = levels_by(reader(output), study, SPEC)

    truth = shaded(1, 3, mask=True).marks % BOX_BIT
    assert np.mean(found[:, 14:18, 14:18] == truth[:, 14:18, 14:18]) == 1
    assert np.mean(found == truth) > (0.999 if output == "maps" else 0.7)


def test_a_level_is_not_labelled_out_of_its_place_along_the_neck() -> None:
    study = shaded(1)
    low, high = SPEC.window_hu
    hu = study.hu.copy()
    hu[1, 28:31, 28:31] = low + SHADES[1] * (high - low)  # the shade of C1 beside C7
    astray = SliceStack(study.case, hu, study.marks, study.grid)

    found = levels_by(reader("maps"), astray, SPEC)

    assert not (found[1] == 1).any()
    assert (found[24:] == 1).any()


def test_studies_without_masks_get_some_and_keep_their_boxes_and_others_stay_as_they_are(tmp_path: Path) -> None:
    run = teacher(tmp_path / "run", reader("maps"), recipe(), {"1.2.9": 0})
    studies = [shaded(0, 3), shaded(1, 3, mask=True)]

    found = labelled(studies, "9", run.folder, tmp_path)

    truth = shaded(0, 3, mask=True).marks
    assert np.mean(np.asarray(found[0].marks) == truth) > 0.99
    assert ((np.asarray(found[0].marks) & BOX_BIT) == (truth & BOX_BIT)).all()
    assert found[0].case.mask is not None
    assert found[1] is studies[1]
    assert (tmp_path / "fold-0" / PSEUDO_LABELS).read_text() == "study_uid,mask,doubts\n1.2.0,pseudo,\n1.2.1,own,\n"


def test_pseudo_labels_are_made_once(tmp_path: Path) -> None:
    run = teacher(tmp_path / "run", reader("maps"), recipe(), {"1.2.9": 0})

    first, again = (labelled([shaded(0)], "9", run.folder, tmp_path)[0] for _ in range(2))
    other = labelled([shaded(0, 3)], "9", run.folder, tmp_path)[0]

    assert first.case.mask == again.case.mask != other.case.mask
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 2
    np.testing.assert_array_equal(first.marks, again.marks)


def test_without_a_teacher_studies_stay_as_they_are(tmp_path: Path) -> None:
    studies = [shaded(0)]

    assert PseudoLabelling(recipe()).with_masks(studies, Fold(0, tmp_path), TrainingPlace(tmp_path), Silent()) is studies


def test_a_teacher_has_not_seen_the_patients_that_are_held_out(tmp_path: Path) -> None:
    run = teacher(tmp_path / "run", reader("maps"), recipe(), {"a": 0, "b": 1, "c": 2}, trained=(0, 1))

    assert honest_fold(run, ["a"]) == 0
    assert honest_fold(run, ["b", "never seen"]) == 1
    for held_out in (["c"], ["a", "b"]):
        with pytest.raises(TrainingError, match=r"must not have seen the patients that are held out.*with the same split"):
            honest_fold(run, held_out)


def test_a_teacher_that_is_missing_or_sees_something_else_is_refused(tmp_path: Path) -> None:
    far = replace(recipe(), input=replace(SPEC, neighbours=2))
    run = teacher(tmp_path / "run", reader("maps"), far, {"a": 0})

    with pytest.raises(TrainingError, match=r"A teacher is a run that .* or a package that finds vertebrae\. A model package is"):
        teacher_of(students(tmp_path / "none"))
    with pytest.raises(TrainingError, match=r"needs the input of the network.*another input\.neighbours"):
        teacher_of(students(run.folder))


def test_a_place_for_masks_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    run = teacher(tmp_path / "run", reader("maps"), recipe(), {"1.2.9": 0})
    (tmp_path / "file").write_text("in the way")

    fold = Fold(0, tmp_path / "fold-0", held_out=[stack(9, None).case])
    with pytest.raises(OutputError, match="Pseudo-labels need a folder that can be written"):
        PseudoLabelling(students(run.folder)).with_masks([shaded(0)], fold, TrainingPlace(tmp_path / "file"), Silent())


@pytest.mark.parametrize("damage", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_stored_pseudo_labels_that_are_damaged_are_made_again(tmp_path: Path, damage: bytes) -> None:
    run = teacher(tmp_path / "run", reader("maps"), recipe(), {"1.2.9": 0})
    first = np.array(labelled([shaded(0)], "9", run.folder, tmp_path)[0].marks)
    (path,) = (tmp_path / "cache").rglob("*.npy")
    path.write_bytes(damage)

    again = labelled([shaded(0)], "9", run.folder, tmp_path)[0]

    np.testing.assert_array_equal(first, again.marks)
