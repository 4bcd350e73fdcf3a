"""Blocks of Python that a page marks with ``<!-- runs -->`` run, with scans and data sets of the names that they use."""

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.documents.pages import Block, pages
from tests.reading.scans import Scan
from tests.training.folders import write_data_set
from tests.training.synthetic import stack

BLOCKS = [block for page in pages() for block in page.blocks() if block.runs]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, scan = tmp_path_factory.mktemp("files"), Scan()
    for name in ("scan", "study_folder"):
        scan.write(folder / name)
    shutil.make_archive(str(folder / "scan"), "zip", folder / "scan")
    nibabel.save(nibabel.Nifti1Image(np.transpose(scan.hu), np.diag([0.75, 0.5, 1.25, 1.0])), folder / "scan.nii.gz")
    write_data_set(folder / "rsna2022", [stack(number, number % 7 if number % 2 else None) for number in range(10)])
    return folder


@pytest.fixture
def files(written: Path, tmp_path: Path) -> Path:
    """Returns a folder with what the pages name: scan, scan.zip, scan.nii.gz, study_folder, rsna2022."""
    return Path(shutil.copytree(written, tmp_path, dirs_exist_ok=True))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_a_block_of_python_runs(block: Block, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)

    exec(compile(block.text, block.place, "exec"), {"__name__": "page"})


def test_every_page_that_shows_how_to_begin_is_run() -> None:
    run = {block.place.split(":")[0] for block in BLOCKS}

    assert {
        "README.md",
        "docs/tutorials/first-result.md",
        "docs/how-to/use-from-python.md",
        "docs/how-to/check-a-data-set.md",
    } <= run
