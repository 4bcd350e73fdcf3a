"""Holds what `cspine doctor` says of the frameworks that could train here."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from cspine.cli import Exit, doctor, frameworks, main
from cspine.cli.doctor import CacheFacts
from cspine.cli.frameworks import FrameworkFacts


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a folder whose modules take the place of the frameworks, here and in the processes that are asked."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    for name in ("tensorflow", "jax", "torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


_TENSORFLOW = """
from types import SimpleNamespace as N
__version__ = "2.99"
print("a note")
_found = [N(device_type="CPU", name="/physical_device:CPU:0"), N(device_type="GPU", name="/physical_device:GPU:0")]
_details = lambda device: {"device_name": "Sample 3000"} if device.device_type == "GPU" else {}
config = N(list_physical_devices=lambda: _found, experimental=N(get_device_details=_details))
"""
_TORCH = """
from types import SimpleNamespace as N
__version__ = "2.88"
cuda = N(device_count=lambda: 2, get_device_name=lambda number: f"Sample {number}")
backends = N(mps=N(is_available=lambda: False))
"""


def test_every_framework_is_asked_what_it_sees(packages: Path) -> None:
    (packages / "tensorflow.py").write_text(_TENSORFLOW)
    (packages / "torch.py").write_text(_TORCH)
    (packages / "jax.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')")

    tensorflow, jax, torch = frameworks.frameworks()

    assert (tensorflow.version, tensorflow.accelerators, tensorflow.chosen) == ("2.99", ("GPU Sample 3000",), True)
    assert (torch.version, torch.accelerators, torch.chosen) == ("2.88", ("GPU Sample 0", "GPU Sample 1"), False)
    assert jax.version is None
    assert jax.problem == "it cannot be loaded: ImportError: libcudart.so.12: cannot open shared object file"


def test_a_framework_that_is_not_here_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frameworks, "find_spec", lambda _: None)
    monkeypatch.setenv("KERAS_BACKEND", "torch")

    found = frameworks.frameworks()

    assert [one.problem for one in found] == [
        f"not installed. Run: pip install 'cspine[{extra}]'" for extra in ("train-cpu", "train-jax", "train-torch")
    ]
    assert [one.chosen for one in found] == [False, False, True]


def test_a_framework_that_ends_is_told(packages: Path) -> None:
    (packages / "tensorflow.py").write_text("import os\nos._exit(7)")

    assert frameworks._asked("tensorflow").problem == "it cannot be loaded: exit code 7"


def test_a_framework_that_hangs_is_told(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(words: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(words, 180)

    (packages / "jax.py").write_text("")
    monkeypatch.setattr(subprocess, "run", hang)

    assert frameworks._asked("jax").problem == "it does not say within 180 s which devices there are"


@pytest.mark.skipif(not find_spec("jax"), reason="needs jax beside TensorFlow: pip install jax")
def test_the_frameworks_of_this_machine_see_its_processor() -> None:
    asked = {one.name: one for one in frameworks.frameworks()}

    assert asked["jax"].devices[0][0] in ("CPU", "GPU", "TPU")
    assert asked["tensorflow"].devices[0][0] == "CPU"
    assert asked["tensorflow"].problem is None


def test_doctor_says_frameworks_memory_and_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = (
        FrameworkFacts("tensorflow", chosen=False, version="2.99", devices=(("CPU", "c"),)),
        FrameworkFacts("jax", chosen=True, version="0.99", devices=(("CPU", "c"), ("GPU", "Sample 3000"))),
        FrameworkFacts("torch", chosen=False, problem="not installed. Run: pip install 'cspine[train-torch]'"),
    )
    monkeypatch.setattr(doctor, "frameworks", lambda: told)
    monkeypatch.setattr(doctor, "shipped_packages", lambda: ())
    monkeypatch.setattr(doctor, "check_package", lambda name: doctor.PackageCheck(name, version="1"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "cspine" / "compiled").mkdir(parents=True)
    (tmp_path / "cspine" / "compiled" / "network.blob").write_bytes(bytes(3 << 20))

    assert main(["doctor"]) == Exit.DONE
    text = capsys.readouterr().out
    assert main(["doctor", "--json"]) == Exit.DONE
    found = json.loads(capsys.readouterr().out)

    assert "  tensorflow            2.99; no accelerator seen: it calculates on the processor\n" in text
    assert "  jax (in use)          0.99; GPU Sample 3000\n" in text
    assert "  torch                 not installed. Run: pip install 'cspine[train-torch]'\n" in text
    assert f"  cache                 3 MiB in {tmp_path / 'cspine'}" in text
    assert found["frameworks"][1]["devices"] == [["CPU", "c"], ["GPU", "Sample 3000"]]
    assert found["cache"]["size_bytes"] == 3 << 20
    assert 0 < found["machine"]["free_memory_gib"] <= found["machine"]["memory_gib"]


def test_a_cache_that_is_switched_off_or_not_made_yet_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not" / "yet"))
    there = doctor._cache()
    monkeypatch.setenv("CSPINE_CACHE", "off")

    assert (there.size_bytes, there.free_bytes > 0) == (0, True)
    assert doctor._cache() == CacheFacts(None)
    assert doctor._cache_in_words(doctor._cache()) == "switched off, or without a place"
