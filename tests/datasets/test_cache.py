import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.cli import Exit, main
from cspine.datasets.cache import Cache
from cspine.errors import OutputError

HOW = {"version": 1, "spacing_mm": [1.0, 1.0, 1.0]}


class Maker:
    """Makes arrays and counts how often."""

    def __init__(self, value: int = 7) -> None:
        self.value, self.count = value, 0

    def __call__(self) -> Mapping[str, NDArray[np.int16]]:
        self.count += 1
        return {"hu": np.full((20, 30, 40), self.value, np.int16), "marks": np.arange(5, dtype=np.int16)}


def test_what_was_made_once_is_found_again(tmp_path: Path) -> None:
    make = Maker()
    first = Cache(tmp_path).arrays("a", HOW, make)
    again = Cache(tmp_path).arrays("a", HOW, make)

    assert make.count == 1
    assert sorted(again) == ["hu", "marks"]
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert isinstance(again["hu"], np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        again["hu"][0, 0, 0] = 1


def test_another_content_or_preparation_is_another_entry(tmp_path: Path) -> None:
    cache, make = Cache(tmp_path), Maker()
    for source, how in (("a", HOW), ("b", HOW), ("a", {**HOW, "version": 2}), ("a", dict(reversed(HOW.items())))):
        cache.arrays(source, how, make)

    assert make.count == 3
    assert cache.use().entries == 3


def test_content_follows_the_bytes_and_not_the_place_or_the_time(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    for folder, text in (("one", "pixels"), ("two", "pixels"), ("three", "pixelz")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.dcm").write_text(text)
    os.utime(tmp_path / "two" / "1.dcm", (1, 1))
    one, two, three = (cache.content((tmp_path / folder).iterdir()) for folder in ("one", "two", "three"))

    assert one == two != three
    (tmp_path / "one" / "1.dcm").write_text("others")
    assert cache.content((tmp_path / "one").iterdir()) != one


def test_unchanged_files_are_not_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, file = Cache(tmp_path / "cache"), tmp_path / "1.dcm"
    file.write_text("pixels")
    digest = cache.content([file])
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: pytest.fail(str(self)) if self == file else opened(self, *a, **k))

    assert cache.content([file]) == digest


def test_a_study_never_gets_the_arrays_of_another(tmp_path: Path) -> None:
    """The folder may have been copied, repaired or damaged in between."""
    first, second = Maker(1), Maker(2)
    Cache(tmp_path).arrays("a", HOW, first)
    (home,) = (tmp_path / "entries").iterdir()
    Cache(tmp_path).arrays("b", HOW, second)
    (other,) = (path for path in (tmp_path / "entries").iterdir() if path != home)

    shutil.rmtree(other)
    shutil.copytree(home, other)
    assert (Cache(tmp_path).arrays("b", HOW, second)["hu"] == 2).all()
    shutil.copy(home / "hu.npy", other / "hu.npy")
    assert (Cache(tmp_path).arrays("b", HOW, second)["hu"] == 2).all()
    assert (Cache(tmp_path).arrays("a", HOW, first)["hu"] == 1).all()
    assert (first.count, second.count) == (1, 3)


def test_an_array_of_which_a_bit_flipped_is_made_again(tmp_path: Path) -> None:
    cache, make = Cache(tmp_path), Maker()
    cache.arrays("a", HOW, make)
    (path,) = tmp_path.glob("entries/*/hu.npy")
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)

    assert (Cache(tmp_path).arrays("a", HOW, make)["hu"] == 7).all()
    assert make.count == 2


def test_a_limit_that_a_folder_states_holds_for_whoever_uses_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for number in range(3):
        cache.arrays(str(number), HOW, Maker(number))
    size = cache.use().size_bytes // 3

    cache.state_limit(2 * size + 10)

    assert cache.use().entries == 2
    other = Cache(tmp_path)
    assert other.limit_bytes == 2 * size + 10
    for number in range(5):
        other.arrays(str(number), HOW, Maker(number))
        assert other.use().size_bytes <= other.limit_bytes
    assert Cache(tmp_path, limit_bytes=5).limit_bytes == 5


@pytest.mark.parametrize("text", ["", "[]", '{"limit_bytes": -1}', '{"limit_bytes": "9"}', '{"limit": 9}'])
def test_a_limit_that_is_damaged_does_not_count(text: str, tmp_path: Path) -> None:
    (tmp_path / "limit.json").write_text(text)

    assert Cache(tmp_path, limit_bytes=77).limit_bytes == 77


def test_a_limit_is_stated_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cache").mkdir()

    assert main(["cache", str(tmp_path / "cache"), "--keep-below", "1.5"]) == Exit.DONE
    assert "0 entries, 0.00 GiB of 1.50 GiB" in capsys.readouterr().out
    assert main(["cache", str(tmp_path / "cache"), "--keep-below", "-1"]) == Exit.WRONG_INPUT
    assert "--keep-below needs a size from 0 GiB. Received: -1." in capsys.readouterr().err
    assert Cache(tmp_path / "cache").limit_bytes == 3 << 29


@pytest.mark.parametrize("text", ["", "{}", '{"files": "x", "content": "y"}', "0" * 40])
def test_a_damaged_memo_gives_no_study_the_content_of_another(tmp_path: Path, text: str) -> None:
    cache, told = Cache(tmp_path / "cache"), []
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        told.append(cache.content([tmp_path / name]))
    for memo in (tmp_path / "cache" / "digests").iterdir():
        memo.write_text(text)

    assert [cache.content([tmp_path / name]) for name in ("one", "two")] == told


def test_the_memo_of_other_files_is_not_taken(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    first = cache.content([tmp_path / "one"])
    (memo,) = (tmp_path / "cache" / "digests").iterdir()
    second = cache.content([tmp_path / "two"])
    (other,) = (path for path in (tmp_path / "cache" / "digests").iterdir() if path != memo)
    shutil.copy(memo, other)

    assert cache.content([tmp_path / "two"]) == second != first


@pytest.mark.parametrize("damage", ["cut", "no facts", "bad facts", "no array", "an array is not named"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    cache, make = Cache(tmp_path), Maker()
    cache.arrays("a", HOW, make)
    (home,) = (tmp_path / "entries").iterdir()
    if damage == "cut":
        (home / "hu.npy").write_bytes((home / "hu.npy").read_bytes()[:-1])
    elif damage == "bad facts":
        (home / "facts.json").write_text("[]")
    elif damage == "an array is not named":
        facts = json.loads((home / "facts.json").read_text())
        del facts["arrays"]["marks"]
        (home / "facts.json").write_text(json.dumps(facts))
    else:
        (home / {"no facts": "facts.json", "no array": "marks.npy"}[damage]).unlink()
    found = cache.arrays("a", HOW, make)

    assert make.count == 2
    assert (found["hu"] == 7).all()
    assert Cache(tmp_path).arrays("a", HOW, make)["marks"].tolist() == [0, 1, 2, 3, 4]
    assert make.count == 2


def test_the_least_recently_used_goes_when_the_limit_is_reached(tmp_path: Path) -> None:
    one = 20 * 30 * 40 * 2
    cache = Cache(tmp_path, limit_bytes=int(2.5 * one))
    for age, source in enumerate("abc"):
        cache.arrays(source, HOW, Maker())
        for home in (tmp_path / "entries").iterdir():
            os.utime(home, (home.stat().st_mtime - 100,) * 2)
        if age == 1:
            cache.arrays("a", HOW, Maker())  # a is used again, so b is the oldest
    again = {source: Maker() for source in "ac"}
    for source, make in again.items():
        cache.arrays(source, HOW, make)

    assert cache.use().entries == 2
    assert cache.use().size_bytes <= cache.limit_bytes
    assert [make.count for make in again.values()] == [0, 0]


def test_an_entry_that_is_removed_stays_readable_for_those_who_read_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    found = cache.arrays("a", HOW, Maker())

    assert cache.clean(0) == 1
    assert cache.use().entries == 0
    assert (found["hu"] == 7).all()


def _unfinished(folder: Path) -> list[Path]:
    return list(folder.glob("*/.*"))


def write_many(folder: Path, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(12)
    for n in (*order, *order):
        found = Cache(folder, limit_bytes=6 * 48_000).arrays(str(n), HOW, Maker(int(n)))
        if not (found["hu"] == n).all():
            os._exit(3)


def test_parallel_writers_and_cleaners_never_see_half_an_entry(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_many, args=(tmp_path, seed)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert Cache(tmp_path).use().size_bytes <= 7 * 49_000
    assert _unfinished(tmp_path) == []


ENDLESS = """
import sys
from pathlib import Path
import numpy as np
from cspine.cli import Exit, main
from cspine.datasets import cache as cache_module
from cspine.datasets.cache import Cache

n = 0
while True:
    n += 1
    Cache(Path(sys.argv[1])).arrays(str(n), {}, lambda: {"hu": np.full((60, 100, 100), n, np.int16)})
"""


def test_sudden_death_leaves_whole_entries_and_rubbish_that_is_cleaned(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path)])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("entries/[!.]*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    made = sum(1 for _ in tmp_path.glob("entries/[!.]*"))
    for n in range(1, made + 1):
        found = Cache(tmp_path).arrays(str(n), {}, lambda: pytest.fail("an entry is damaged"))
        assert (found["hu"] == n).all()

    assert made >= 3
    Cache(tmp_path).clean()
    assert _unfinished(tmp_path) == []


def test_a_writer_that_dies_among_others_leaves_nothing_half_read(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for round_number in range(3):
        workers = [context.Process(target=write_many, args=(tmp_path, 3 * round_number + n)) for n in range(3)]
        for worker in workers:
            worker.start()
        deadline = time.monotonic() + 60
        while not _unfinished(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.001)
        workers[0].kill()
        for worker in workers:
            worker.join()

        assert [worker.exitcode for worker in workers[1:]] == [0, 0]
    assert main(["cache", str(tmp_path), "--clean"]) == 0
    assert _unfinished(tmp_path) == []


def test_cleaning_everything_leaves_a_writer_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = np.save
    cleaned: list[int] = []

    def save_after_cleaning(path: Path, array: NDArray[np.int16], **options: bool) -> None:
        save(path, array, **options)
        cleaned.append(Cache(tmp_path).clean(0))

    monkeypatch.setattr(np, "save", save_after_cleaning)
    found = Cache(tmp_path).arrays("a", HOW, Maker())

    assert set(cleaned) == {0}
    assert isinstance(found["hu"], np.memmap)
    assert Cache(tmp_path).use().entries == 1


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="The cache needs a folder that can be written"):
        Cache(tmp_path / "file").arrays("a", HOW, Maker())
    shutil.rmtree(tmp_path)


def test_a_text_is_made_once_for_each_content_and_preparation(tmp_path: Path) -> None:
    cache, made = Cache(tmp_path), []

    def text(source: str, version: int, found: str) -> str:
        return cache.text(source, {"version": version}, lambda: made.append(found) or found)  # type: ignore[func-returns-value]

    assert [text("a", 1, "one"), text("a", 1, "other"), text("b", 1, "two"), text("a", 2, "three")] == [
        "one",
        "one",
        "two",
        "three",
    ]
    assert made == ["one", "two", "three"]


@pytest.mark.parametrize("damage", ["cut", "changed", "of another"])
def test_a_damaged_text_is_made_again(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path)
    cache.text("a", {}, lambda: "one")
    (kept,) = (tmp_path / "texts").iterdir()
    content = kept.read_text()
    kept.write_text(
        {"cut": content[:-9], "changed": content.replace("one", "two"), "of another": content.replace('"of": "', '"of": "0')}[
            damage
        ]
    )

    assert cache.text("a", {}, lambda: "again") == "again"
    assert cache.text("a", {}, lambda: "not asked") == "again"


def test_texts_go_when_everything_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.text("a", {}, lambda: "one")
    cache.clean(0)

    assert cache.text("a", {}, lambda: "again") == "again"
