"""Networks of packages, in a precision that this processor gets right."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cspine import serving
from cspine.detection import Detector
from cspine.errors import PackageError
from cspine.modelpack import Manifest, Package, load_package, write_package
from cspine.network_content import NetworkContent
from cspine.runtime import Engine, Session, open_session
from cspine.serving import open_network
from tests.coded import coded_volume, study_of

Opened = list[str]


@pytest.fixture
def package(coded_package: Path, tmp_path: Path) -> Package[Manifest]:
    """Returns the coded package, which asks for half precision."""
    whole = load_package(coded_package)
    networks = (replace(whole.manifest.networks[0], precision="bf16", tolerance=0.02),)
    files = {name: coded_package / name for name in ("coded.xml", "coded.bin")}
    samples = {"slices": whole.samples()}
    write_package(tmp_path / "half", replace(whole.manifest, networks=networks), files, samples, whole.card)
    return load_package(tmp_path / "half")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Opened:
    """Returns the precisions in which networks are opened, on a processor of which nothing is known yet."""
    told: Opened = []
    _spoil(monkeypatch, told, lambda _, output: output)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return told


def _spoil(patch: pytest.MonkeyPatch, told: Opened, spoil: Callable[[str, np.ndarray], np.ndarray]) -> None:
    """Makes this processor one that spoils what networks say in some precisions."""

    def opening(network: NetworkContent, engine: Engine, _kept: Path | None) -> Session:
        told.append(engine.precision)
        session = open_session(network, replace(engine, precision="f32"))

        class Spoilt:
            runs = 0

            def run(self, batch: np.ndarray) -> dict[str, np.ndarray]:
                return {name: spoil(engine.precision, output) for name, output in session.run(batch).items()}

        return Spoilt()

    patch.setattr(serving, "open_session", opening)


def _wrong_in_half(precision: str, output: np.ndarray) -> np.ndarray:
    return output + np.float32(0.3) if precision == "bf16" else output


def test_half_precision_that_is_right_here_is_used_and_the_sample_is_run_once_for_all(
    package: Package[Manifest], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_network(package, "slices", Engine())
    monkeypatch.setattr(Package, "difference", lambda *_, **__: pytest.fail("the sample was run again"))
    second = open_network(package, "slices", Engine())

    assert [first.precision, second.precision] == ["bf16", "bf16"]
    assert opened == ["bf16", "bf16"]
    assert first.reasons == second.reasons == ()


@pytest.mark.parametrize("wrong", [_wrong_in_half, lambda p, output: output * np.float32(np.nan if p == "bf16" else 1)])
def test_half_precision_that_is_wrong_here_becomes_single_with_a_word_now_and_later(
    wrong: Callable[[str, np.ndarray], np.ndarray], package: Package[Manifest], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spoil(monkeypatch, opened, wrong)

    first = open_network(package, "slices", Engine())
    second = open_network(package, "slices", Engine())

    assert opened == ["bf16", "f32", "f32"]
    for one in (first, second):
        assert one.precision == "f32"
        (reason,) = one.reasons
        assert reason.code == "single_precision"
        assert "computes a network of coded wrongly in bf16" in reason.text


def test_the_word_reaches_the_result(
    package: Package[Manifest], opened: Opened, monkeypatch: pytest.MonkeyPatch, coded_localiser: Path
) -> None:
    _spoil(monkeypatch, opened, _wrong_in_half)
    detector = Detector(package, localiser=coded_localiser)

    assessed, rejected = detector(study_of(coded_volume())), detector(study_of(coded_volume(levels=())))

    for result in (assessed, rejected):
        assert "single_precision" in [reason.code for reason in result.reasons]


def test_a_network_that_is_wrong_in_single_precision_too_is_refused_each_time(
    package: Package[Manifest], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spoil(monkeypatch, opened, lambda _, output: output + np.float32(0.3))

    for _ in range(2):
        with pytest.raises(PackageError, match=r"must repeat its stored samples within 0\.02\. It differs by 0\.3"):
            open_network(package, "slices", Engine())


@pytest.mark.parametrize("name", ["_processor", "calculates_on"])
def test_another_processor_or_another_engine_is_looked_at_anew(
    name: str, package: Package[Manifest], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_network(package, "slices", Engine())
    _spoil(monkeypatch, opened, _wrong_in_half)
    monkeypatch.setattr(serving, name, lambda *_: "another")

    assert open_network(package, "slices", Engine()).precision == "f32"


def _cut(told: dict[str, Any]) -> str:
    return json.dumps(told)[:-9]


@pytest.mark.parametrize(
    "spoil",
    [
        _cut,
        lambda _: "[]",
        lambda _: "[" * 10_000,
        lambda told: json.dumps({**told, "precision": "f99"}),
        lambda told: json.dumps({**told, "precision": 3}),
        lambda told: json.dumps({**told, "way": {**told["way"], "package_sha256": "0" * 64}}),
    ],
)
def test_a_damaged_memory_is_as_none(
    spoil: Callable[[dict[str, Any]], str],
    package: Package[Manifest],
    opened: Opened,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_network(package, "slices", Engine())
    (memory,) = (tmp_path / "cache" / "cspine" / "checked").iterdir()
    memory.write_text(spoil(json.loads(memory.read_text())))
    _spoil(monkeypatch, opened, _wrong_in_half)

    assert open_network(package, "slices", Engine()).precision == "f32"


def test_without_a_place_to_remember_each_process_checks_again(
    package: Package[Manifest], opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    assert open_network(package, "slices", Engine()).precision == "bf16"
    assert open_network(package, "slices", Engine()).precision == "bf16"
