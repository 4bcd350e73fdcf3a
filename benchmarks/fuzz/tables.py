"""Tables and what stands beside them: labels, boxes, tasks, scores, the truth of phantoms, evaluations."""

import json
import random
from pathlib import Path

import numpy as np

from benchmarks.fuzz import scans
from benchmarks.fuzz.mutations import damaged_csv, damaged_json
from cspine.anatomy import CERVICAL
from cspine.cli.export import _figures
from cspine.datasets import read_dataset, submission_rows
from cspine.datasets.boxes import box_in_world
from cspine.datasets.masks import load_mask
from cspine.datasets.tables import read_boxes, read_labels, read_test_studies
from cspine.evaluation.fractures import _levels_of
from cspine.evaluation.scores import StudyScores
from cspine.phantoms.dataset.truth import BoxedSlice, StudyTruth, truth_text
from cspine.phantoms.dataset.truth import read_truth as read_study_truth
from cspine.phantoms.graft.collection import read_notes
from cspine.reading import read_study
from cspine.volume import Volume
from tests.coded import write_dicom, write_nifti

_KINDS = ("patient_overall", *(level.name for level in CERVICAL))


def make_data(folder: Path) -> None:
    """Writes the four tables of a data set."""
    studies = [f"1.2.826.0.1.{number}" for number in range(4)]
    labels = [",".join(["StudyInstanceUID", *_KINDS, "patient"]), *(f"{uid},1,0,1,0,0,0,0,0,scan-1" for uid in studies)]
    boxes = ["StudyInstanceUID,x,y,width,height,slice_number", *(f"{uid},10.5,20,30,40,7" for uid in studies)]
    task = ["row_id,StudyInstanceUID,prediction_type", *(f"{uid}_{kind},{uid},{kind}" for uid in studies for kind in _KINDS)]
    sample = ["row_id,fractured", *(f"{uid}_{kind},0.5" for uid in studies for kind in _KINDS)]
    for name, rows in {"train": labels, "train_bounding_boxes": boxes, "test": task, "sample_submission": sample}.items():
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")


def read_data(folder: Path) -> str:
    """Reads all four."""
    read_labels(folder / "train.csv")
    read_boxes(folder / "train_bounding_boxes.csv")
    read_test_studies(folder / "test.csv")
    submission_rows(folder)
    return "read"


def make_data_set(folder: Path) -> None:
    """Writes a study with its images, its mask, its labels and a box."""
    volume = scans.small_volume()
    write_dicom(volume, folder / "train_images" / "1.2.3")
    for path in sorted((folder / "train_images" / "1.2.3").iterdir()):
        path.rename(path.with_name(f"{path.stem.removeprefix('1_')}.dcm"))
    (folder / "segmentations").mkdir()
    write_nifti(Volume((volume.hu > 500).astype(np.float32) * 3, volume.grid), folder / "segmentations" / "1.2.3.nii")
    (folder / "train.csv").write_text(",".join(["StudyInstanceUID", *_KINDS]) + "\n1.2.3,1,0,0,1,0,0,0,0\n")
    (folder / "train_bounding_boxes.csv").write_text("StudyInstanceUID,x,y,width,height,slice_number\n1.2.3,5,6,7,8,3\n")


def spoil_data_set(folder: Path, rng: random.Random) -> None:
    """Damages a table, an image or the mask."""
    choice = rng.randrange(3)
    if choice == 0:
        path = folder / rng.choice(("train.csv", "train_bounding_boxes.csv"))
        path.write_bytes(damaged_csv(path.read_bytes(), rng))
    elif choice == 1:
        path = folder / "segmentations" / "1.2.3.nii"
        path.write_bytes(scans.spoilt_head(path.read_bytes(), rng))
    else:
        path = rng.choice(sorted((folder / "train_images" / "1.2.3").iterdir()))
        rng.choice((scans.spoil_bytes, scans.spoil_elements))(path, rng)


def read_data_set(folder: Path) -> str:
    """Opens it without what is damaged, and finds the boxes of what is left."""
    dataset = read_dataset(folder, skip_broken=True)
    if not all(problem.text.isprintable() for problem in dataset.problems):
        raise AssertionError(f"a problem of several lines: {dataset.problems}")
    for case in dataset.cases:
        study = read_study(case.images)
        for box in case.boxes:
            box_in_world(study, case, box)
        if case.mask is not None:
            load_mask(case.mask)
    return "read"


def make_scores(folder: Path) -> None:
    """Writes what a network predicts of held-out studies."""
    rng = np.random.default_rng(0)
    scores = StudyScores(tuple(f"1.2.{number}" for number in range(6)), rng.random((6, 8)) < 0.3, rng.random((6, 8)))
    (folder / "held_out.csv").write_text(scores.to_csv())


def read_scores(folder: Path) -> str:
    """Reads them."""
    StudyScores.from_csv(folder / "held_out.csv")
    return "read"


def spoil(folder: Path, rng: random.Random) -> None:
    """Damages a table."""
    path = rng.choice(sorted(folder.iterdir()))
    path.write_bytes(damaged_csv(path.read_bytes(), rng))


def make_truth(folder: Path) -> None:
    """Writes the truth that a phantom's folder holds."""
    truth = StudyTruth("1.2.3", (True, *[False] * 6), (BoxedSlice(3, 1.5, 2.0, 30.0, 40.0),))
    facts = {
        "injuries": [{"level": "C1", "severity": 0.5, "kind": "ring", "gap_mm": 1.5}],
        "lookalikes": [{"level": "C4", "kind": "canal"}],
    }
    (folder / "truth.json").write_text(truth_text(truth, facts))


def make_graft_truth(folder: Path) -> None:
    """Writes what a copy of a scan was made of."""
    truth = StudyTruth("1.2.3", (True, *[False] * 6), (BoxedSlice(3, 1.5, 2.0, 30.0, 40.0),))
    injury = {"level": "C1", "kind": "jefferson", "side": "both", "gap_mm": 0.4, "displacement_mm": 1.0, "severity": 0.5}
    control = {"level": "C2", "kind": "control_bend", "size_mm": 1.0}
    facts = {"kind": "graft", "synthetic": "fractures", "patient": "scan-1", "source": "neck", "copy": 3}
    (folder / "truth.json").write_text(truth_text(truth, {**facts, "injuries": [injury], "lookalikes": [control]}))


def read_graft_truth(folder: Path) -> str:
    """Reads what the tables of a data set of grafts say of it."""
    read_notes(folder)
    return "read"


def read_truth(folder: Path) -> str:
    """Reads it as the maker of phantoms and as the evaluation do."""
    read_study_truth(folder)
    _levels_of(0, folder / "truth.json")
    return "read"


def make_evaluation(folder: Path) -> None:
    """Writes what `cspine evaluate` leaves for `cspine export`."""
    estimate = {"value": 0.95, "low": 0.9, "high": 0.98}
    content = {
        "about": {"patients": "phantoms, unseen", "subjects": "phantoms"},
        "outputs": [{"patients": 200, "fractured": 90, "estimates": {"auroc": estimate}}],
        "fractured_levels": 100,
        "mean_level_auroc": estimate,
    }
    (folder / "truth.json").write_text(json.dumps(content))


def read_evaluation(folder: Path) -> str:
    """Reads it."""
    _figures(folder / "truth.json")
    return "read"


def spoil_truth(folder: Path, rng: random.Random) -> None:
    """Damages the JSON file."""
    path = folder / "truth.json"
    path.write_bytes(damaged_json(path.read_bytes(), rng))
