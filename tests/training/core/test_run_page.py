from pathlib import Path

from cspine.training.core.parts import HEADS, PATCHES
from cspine.training.core.run_page import PAGE, PICTURE, write_page
from cspine.training.core.runs import BEST, HELD_OUT, LAST, LOG, Run, RunFacts, create_run


def run_of(place: Path, folds: int) -> Run:
    """Returns a run on as many patients as folds; nothing is trained."""
    return create_run(
        place, RunFacts("vertebra_mil", {"fit.epochs": "2"}, "data", folds, "", {str(n): n for n in range(folds)}, "keras")
    )


def log(home: Path, header: str, *rows: str) -> None:
    """Writes the log of a part of training."""
    home.mkdir(parents=True, exist_ok=True)
    (home / LOG).write_text("\n".join([header, *rows]) + "\n")


def test_every_part_of_training_is_on_the_page_with_curves_of_its_own(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 2)
    for number in (0, 1):
        log(run.fold(number) / PATCHES, "epoch,loss,auroc_cells,seconds", "1,0.5,0.7,1800", "2,0.4,0.8,1800")
        (run.fold(number) / PATCHES / LAST).touch()
    log(run.fold(0) / HEADS, "epoch,loss,auroc_overall,seconds", "1,0.9,0.61,1800")
    (run.fold(0) / HEADS / LAST).touch()
    log(run.fold(0), "epoch,loss,auroc_overall,seconds", "1,0.3,0.72,1800", "2,0.2,0.73,1800")
    for name in (BEST, HELD_OUT):
        (run.fold(0) / name).touch()

    write_page(run, {"go on": "cspine train"})

    page, picture = ((run.folder / name).read_text() for name in (PAGE, PICTURE))
    titles = [text.split("</h2>")[0] for text in page.split("<h2>")]
    assert titles[2:6] == ["Fold 0, patches", "Fold 0, heads", "Fold 0", "Fold 1, patches"]
    assert "auroc cells" in page
    assert "0.73" in page
    assert "3.5 hours of epochs in all" in page
    assert "The first fold in full colour" in page
    for title in ("patches: loss in training", "heads: on held-out data", ">on held-out data"):
        assert title in picture


def test_a_run_that_is_interrupted_in_its_first_part_has_a_page_that_says_so(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 1)
    write_page(run, {})
    assert not (run.folder / PAGE).exists()
    log(run.fold(0) / PATCHES, "epoch,loss,auroc_cells,seconds", "1,0.5,nan,1800")

    write_page(run, {"go on": "cspine train --resume"})

    page = (run.folder / PAGE).read_text()
    assert "<h2>Fold 0, patches: not finished</h2>" in page
    assert "cspine train --resume" in page
    assert "The first fold" not in page
