"""Compiled networks that are kept for the next process."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from cspine.modelpack import load_package
from cspine.runtime import Engine, compiled, open_session
from cspine.serving import open_network


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the folder of compiled networks of an account that has none yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "cspine" / "compiled"


def _answer(package: Path) -> np.ndarray:
    loaded = load_package(package)
    return open_network(loaded, "slices", Engine()).session.run(loaded.samples().inputs)["fracture"]


def test_a_second_process_takes_the_compiled_network_and_gets_the_same_numbers(
    cache: Path, coded_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _answer(coded_package)
    (kept,) = cache.iterdir()
    monkeypatch.setattr("cspine.runtime.openvino.keep_network", lambda *_: pytest.fail("it was compiled again"))

    assert np.array_equal(_answer(coded_package), first)
    assert list(cache.iterdir()) == [kept]


@pytest.mark.parametrize("beginning", [0, 40, 3000])
def test_a_damaged_file_is_compiled_and_written_again(cache: Path, coded_package: Path, beginning: int) -> None:
    first = _answer(coded_package)
    (kept,) = cache.iterdir()
    whole = len(kept.read_bytes())
    kept.write_bytes(kept.read_bytes()[:beginning])

    assert np.array_equal(_answer(coded_package), first)
    assert len(kept.read_bytes()) == whole


def test_a_file_that_openvino_refuses_is_compiled_again(cache: Path, coded_package: Path) -> None:
    first = _answer(coded_package)
    (kept,) = cache.iterdir()
    kept.write_bytes(hashlib.sha256(b"of another version").digest() + b"of another version")

    assert np.array_equal(_answer(coded_package), first)


def test_the_switch_keeps_nothing(cache: Path, coded_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSPINE_CACHE", "off")

    _answer(coded_package)

    assert not cache.exists()


def test_a_folder_that_cannot_be_written_costs_the_compiling_only(cache: Path, coded_package: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")

    assert _answer(coded_package).size


def test_other_numbers_of_threads_have_files_of_their_own(cache: Path, coded_package: Path) -> None:
    package = load_package(coded_package)

    open_network(package, "slices", Engine(threads=1))
    open_network(package, "slices", Engine(threads=2))

    assert len(list(cache.iterdir())) == 2


def test_only_the_newest_files_stay(tmp_path: Path, coded_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_MOST_FILES", 2)
    network = load_package(coded_package).network("slices")

    for number in range(4):
        open_session(network, Engine(), tmp_path / "kept" / f"{number}.bin")

    assert len(list((tmp_path / "kept").iterdir())) == 2
    assert (tmp_path / "kept" / "3.bin").is_file()
