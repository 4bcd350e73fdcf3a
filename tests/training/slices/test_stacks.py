import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.datasets import read_dataset
from cspine.errors import OutputError
from cspine.phantoms.dataset.writing import write_labels
from cspine.training.core.marks import BOX_BIT, FRACTURE_BIT
from cspine.training.slices import stacks
from cspine.training.slices.labels import slice_targets
from cspine.training.slices.settings import LabelSettings
from cspine.training.slices.stacks import prepare_stacks
from tests.training.folders import write_data_set
from tests.training.synthetic import SPEC, stack


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data"), [stack(1, 2), stack(2, None), stack(3, 4, mask=False)])


def test_image_mask_and_boxes_come_to_lie_on_each_other(folder: Path, tmp_path: Path) -> None:
    given, found = stack(1, 2), prepare_stacks(read_dataset(folder).cases, SPEC, tmp_path)[0]

    broken = found.marks == 3 + BOX_BIT
    assert abs(int(np.count_nonzero(found.marks % BOX_BIT)) - np.count_nonzero(given.marks % BOX_BIT)) < 0.1 * broken[0].size
    assert found.hu[(found.marks % BOX_BIT > 0) & (found.marks < BOX_BIT)].mean() > 500
    assert found.hu[broken].min() < 0
    assert found.hu[broken].mean() < 400
    known = slice_targets(
        found.case.fractured or (), np.asarray(found.marks), has_mask=True, has_boxes=True, settings=LabelSettings()
    )
    assert known.fracture.sum() == known.fracture[:, 2].sum() == 1


def test_a_study_without_a_mask_has_its_boxes_and_no_levels(folder: Path, tmp_path: Path) -> None:
    found = prepare_stacks(read_dataset(folder).cases, SPEC, tmp_path)[2]

    assert set(np.unique(found.marks)) == {0, BOX_BIT}


def test_the_fractures_of_a_phantom_come_to_lie_where_they_are(folder: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(folder, tmp_path / "data"))
    given = stack(1, 2)
    cracked = np.where(given.hu == -100, 3, 0).astype(np.uint8)
    uid = read_dataset(data).cases[0].study_uid
    (data / "truth" / uid).mkdir(parents=True)
    write_labels(data / "truth" / uid / "fractures.nii.gz", cracked, given.grid)

    found = prepare_stacks(read_dataset(data).cases, SPEC, tmp_path / "cache")[0]

    at = np.argwhere(np.asarray(found.marks) & FRACTURE_BIT)
    low, high = found.grid.world(at.min(axis=0)), found.grid.world(at.max(axis=0))
    wanted = np.argwhere(cracked)
    np.testing.assert_allclose(low, given.grid.world(wanted.min(axis=0)), atol=1.01)
    np.testing.assert_allclose(high, given.grid.world(wanted.max(axis=0)), atol=1.01)


def test_what_was_prepared_is_taken_again_until_its_source_changes(folder: Path, tmp_path: Path) -> None:
    data, cache = Path(shutil.copytree(folder, tmp_path / "data")), tmp_path / "cache"
    cases = read_dataset(data).cases[:1]
    first = prepare_stacks(cases, SPEC, cache)[0]
    assert len(list(cache.glob("entries/*"))) == 1

    again = prepare_stacks(cases, SPEC, cache)[0]
    assert len(list(cache.glob("entries/*"))) == 1
    np.testing.assert_array_equal(first.hu, again.hu)
    assert again.grid.agrees(first.grid)

    image = cases[0].images / "1.dcm"
    content = bytearray(image.read_bytes())
    content[-1] ^= 1
    image.write_bytes(bytes(content))
    prepare_stacks(cases, SPEC, cache)
    assert len(list(cache.glob("entries/*"))) == 2


def test_boxes_and_slices_have_entries_of_their_own(folder: Path, tmp_path: Path) -> None:
    case = read_dataset(folder).cases[0]
    others = [(replace(case, boxes=()), SPEC), (case, replace(SPEC, size=(16, 16)))]

    first = prepare_stacks([case], SPEC, tmp_path)[0]

    for number, (other, spec) in enumerate(others, 2):
        assert not np.array_equal(prepare_stacks([other], spec, tmp_path)[0].marks, first.marks)
        assert len(list(tmp_path.glob("entries/*"))) == number


def test_a_cache_that_cannot_be_written_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match="needs a folder that can be written"):
        prepare_stacks(read_dataset(folder).cases, SPEC, tmp_path / "file")


@pytest.fixture
def few_files() -> Iterator[Callable[[int], None]]:
    """Lets this process open few more files than it has open, and at most so many if it asks for more."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def grant(more: int) -> None:
        opened = max(int(path.name) for path in Path("/dev/fd").iterdir()) + 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened + more, before[1]))

    yield grant
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_more_studies_are_held_than_a_process_is_granted_files_at_first(
    folder: Path, tmp_path: Path, few_files: Callable[[int], None]
) -> None:
    cases = read_dataset(folder).cases
    prepare_stacks(cases, SPEC, tmp_path)

    with ExitStack() as others:
        for _ in range(200):  # a process may have many open already
            others.enter_context(Path(os.devnull).open())
        few_files(20)
        found = prepare_stacks(cases * 20, SPEC, tmp_path)

    assert len({id(one.hu) for one in found if isinstance(one.hu, np.memmap)}) == 60


def test_files_that_the_system_does_not_grant_are_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))

    def refuse(which: int, limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(OutputError, match=r"need \d+ open files\. This system grants 100; raise `ulimit -Hn`"):
        prepare_stacks(read_dataset(folder).cases, SPEC, tmp_path)


def test_a_data_set_that_the_cache_cannot_hold_is_refused_at_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "LIMIT_BYTES", 200_000)

    with pytest.raises(OutputError, match=r"3 prepared studies need .* set a smaller input\.size"):
        prepare_stacks(read_dataset(folder).cases, SPEC, tmp_path)

    assert len(list(tmp_path.glob("entries/*"))) == 1
