from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, OTHER_BONE, Level
from cspine.datasets import read_dataset
from cspine.errors import TrainingError
from cspine.locating import Located, Vertebra
from cspine.locating.refining import Refined
from cspine.modelpack import LocaliserManifest, NetworkFile, Package, TrainingData, TrainingFacts
from cspine.results import Box, LevelStatus
from cspine.specs import VolumeSpec
from cspine.training.core.marks import BOX_BIT
from cspine.training.core.runs import CHECKPOINT, LAST, Run, RunFacts, create_run
from cspine.training.core.settings import settings
from cspine.training.pseudo_labels import teachers
from cspine.training.pseudo_labels.store import with_pseudo_labels
from cspine.training.pseudo_labels.teachers import LocaliserTeacher, honest_fold, is_localiser, package_teacher, teacher_of
from cspine.training.slices.batches import TrainingStudy
from cspine.training.slices.stacks import SliceStack, prepare_stacks
from cspine.volume import LabelMap, Volume
from tests.training.folders import write_data_set
from tests.training.localiser.small import RECIPE
from tests.training.synthetic import SPEC, recipe, stack


@pytest.fixture
def alike(tmp_path: Path) -> tuple[SliceStack, SliceStack]:
    """Returns the same study with a mask, and without."""
    folders = [write_data_set(tmp_path / str(mask), [stack(1, 2, mask=mask)]) for mask in (True, False)]
    known, bare = (prepare_stacks(read_dataset(folder).cases, SPEC, tmp_path / "cache")[0] for folder in folders)
    return known, bare


def sees_all(_volume: Volume) -> Refined:
    """Returns a localiser that finds the vertebrae of the study, a rib, and nothing to doubt about their names."""
    truth = stack(1, 2)
    labels = (truth.marks % BOX_BIT).astype(np.uint8)
    labels[:, 2:5, 2:5] = OTHER_BONE
    vertebrae = tuple(_vertebra(level, truth.grid.world(np.argwhere(labels == level).mean(axis=0))) for level in CERVICAL)
    return Refined(Located(vertebrae, LabelMap(labels, truth.grid), np.empty((0, 3))), (), LabelMap(labels, truth.grid))


def _vertebra(level: Level, centre: np.ndarray) -> Vertebra:
    x, y, z = (float(value) for value in centre)
    return Vertebra(level, LevelStatus.ASSESSED, 1.0, (x, y, z), Box((x, y, z), (x, y, z)), (0.0, 0.0, 1.0))


def test_a_mask_that_a_localiser_made_counts_as_any_other(
    alike: tuple[SliceStack, SliceStack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, bare = alike
    monkeypatch.setattr(teachers, "check_plausibility", lambda *_: ())

    found = with_pseudo_labels(bare, LocaliserTeacher("a", sees_all), tmp_path / "pseudo_labels")

    assert found.doubts == ()
    np.testing.assert_array_equal(found.stack.marks, known.marks)
    own, made = (TrainingStudy.of(one, recipe()) for one in (known, found.stack))
    np.testing.assert_array_equal(own.targets.fracture, made.targets.fracture)
    np.testing.assert_array_equal(own.targets.visible, made.targets.visible)


def test_a_study_whose_vertebrae_are_doubted_stays_without_a_mask_and_is_not_asked_again(
    alike: tuple[SliceStack, SliceStack], tmp_path: Path
) -> None:
    _, bare = alike
    asked = []

    def sees(volume: Volume) -> Refined:
        asked.append(volume)
        return sees_all(volume)  # vertebrae of 5 ml

    first, again = (with_pseudo_labels(bare, LocaliserTeacher("a", sees), tmp_path / "pseudo_labels") for _ in range(2))

    assert first.stack is again.stack is bare
    assert [doubt.code for doubt in first.doubts] == ["implausible_volume"]
    assert first.doubts == again.doubts
    assert len(asked) == 1


def test_other_networks_have_other_names() -> None:
    assert LocaliserTeacher("a", sees_all).name == LocaliserTeacher("a", sees_all).name != LocaliserTeacher("b", sees_all).name


def package(whom: TrainingData) -> Package[LocaliserManifest]:
    manifest = LocaliserManifest(
        name="finder",
        version="1",
        kind="localiser",
        networks=(NetworkFile("coarse", "coarse.xml", ("levels",), "f32", 1e-3),),
        training_data=whom,
        trained_on="somebody",
        intended_use="none",
        training=TrainingFacts("localiser", "somebody", 1, 0, "none"),
        coarse=VolumeSpec((2.5, 2.5, 2.5), (64, 80, 80), (-300.0, 1300.0)),
    )
    return Package(Path("finder"), manifest, "0" * 64, "")


def test_a_package_that_has_seen_patients_does_not_teach_and_one_that_has_not_does(monkeypatch: pytest.MonkeyPatch) -> None:
    given = recipe()
    students = replace(given, labels=replace(given.labels, teacher="finder"))
    monkeypatch.setattr(teachers, "load_localiser", lambda _: package(TrainingData.PHANTOMS))
    teacher = teacher_of(students)
    assert isinstance(teacher, Package)
    assert teacher.manifest.name == "finder"

    for whom in (TrainingData.PATIENTS, TrainingData.BOTH):
        monkeypatch.setattr(teachers, "load_localiser", lambda _, whom=whom: package(whom))
        with pytest.raises(TrainingError, match=r"finder was trained on patients and does not say which; give the run"):
            teacher_of(students)


def test_a_package_marks_with_all_its_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Opened:
        def __init__(self, given: Package[LocaliserManifest]) -> None:
            self.outline = sees_all if given.manifest.name == "finder" else None

    monkeypatch.setattr(teachers, "Localiser", Opened)

    teacher = package_teacher(package(TrainingData.PHANTOMS))

    assert teacher.outline is sees_all
    assert teacher.digest == "0" * 64


def localiser_run(folder: Path, folds: dict[str, int], begun: Sequence[int], ended: Sequence[int]) -> Run:
    """Returns a run of a localiser, with the folds whose training has begun and ended."""
    facts = RunFacts("localiser", settings(RECIPE), "data", 3, "0" * 64, folds, "none")
    run = create_run(folder, facts)
    for fold in begun:
        run.fold(fold).mkdir()
        (run.fold(fold) / CHECKPOINT).touch()
    for fold in ended:
        (run.fold(fold) / LAST).touch()
    return run


def test_a_run_of_a_localiser_teaches_once_it_has_ended(tmp_path: Path) -> None:
    with_patients = localiser_run(tmp_path / "a", {"a": 0, "b": 1}, [0, 1], [1])
    on_necks, begun = localiser_run(tmp_path / "b", {}, [0], [0]), localiser_run(tmp_path / "c", {}, [0], [])

    assert is_localiser(with_patients)
    assert [run.trained_folds() for run in (with_patients, on_necks, begun)] == [(1,), (0,), ()]
    assert honest_fold(with_patients, ["b"]) == 1
    assert honest_fold(on_necks, ["a", "b"]) == 0
    for run, held_out in ((with_patients, ["a"]), (begun, [])):
        with pytest.raises(TrainingError, match="must not have seen the patients that are held out"):
            honest_fold(run, held_out)
