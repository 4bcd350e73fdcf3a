import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cspine.cli import EXTRAS, Exit, main
from cspine.cli.doctor import check_package
from cspine.modelpack import DEFAULT_PACKAGE, shipped_packages
from cspine.reading.pixels import SYNTAXES
from cspine.runtime import facts
from tests.coded import asked
from tests.not_installed import without


def _checked(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any], str]:
    code = main(["doctor", "--json", *arguments])
    output = capsys.readouterr()
    return code, json.loads(output.out), output.err


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out what test_frameworks.py asks, and runs each network once."""
    monkeypatch.setattr("cspine.cli.doctor.frameworks", lambda: ())
    monkeypatch.setattr("cspine.cli.doctor._RUNS", 1)


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out packages that are shipped and not needed."""
    monkeypatch.setattr("cspine.cli.doctor.shipped_packages", lambda: ())


def test_a_sound_machine_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    code, found, errors = _checked(capsys=capsys)

    assert (code, found["ready"], errors) == (Exit.DONE, True, "")
    assert found["packages"][0]["name"] == DEFAULT_PACKAGE
    assert {package["name"] for package in found["packages"]} == set(shipped_packages())
    for package in found["packages"]:
        assert all(0 <= network["difference"] <= network["tolerance"] for network in package["networks"])
        assert all(network["milliseconds"] > 0 for network in package["networks"])
    assert len(found["decoders"]) == len(SYNTAXES) - 1
    assert {part["name"] for part in found["parts"]} == set(EXTRAS.values())
    assert "f32" in found["engines"][0]["devices"][0]["precisions"]


@pytest.mark.usefixtures("briefly")
def test_the_table_says_it_in_words(
    coded_package: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cspine.cli.doctor.find_spec", lambda name: None if name == "highdicom" else object())

    assert main(["doctor", *asked(coded_package)]) == Exit.DONE

    output = capsys.readouterr().out
    assert "lacks highdicom. Run: pip install 'cspine[dicom]'" in output
    assert f"{len(SYNTAXES) - 1} of {len(SYNTAXES) - 1} transfer syntaxes" in output
    assert output.rstrip().endswith("cspine detect can run here.")


@pytest.mark.usefixtures("briefly")
def test_a_damaged_package_is_one_line_and_no_go(coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = shutil.copytree(coded_package, tmp_path / "damaged")
    (damaged / "coded.bin").write_bytes(b"weights of another")

    code, found, errors = _checked("--model", str(damaged), capsys=capsys)

    assert (code, found["ready"]) == (Exit.WRONG_INPUT, False)
    assert errors.startswith(f"cspine doctor: cspine detect cannot run here with {damaged}: The model package")
    assert "coded.bin is damaged" in errors
    assert errors.count("\n") == 1


def test_a_network_that_answers_otherwise_than_the_trained_model_is_refused(
    coded_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong:
        def run(self, batch: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
            return {name: np.full((len(batch), 7), 0.5, np.float32) for name in ("fracture", "visible")}

    monkeypatch.setattr("cspine.serving.open_session", lambda *_: Wrong())

    assert "differ" in str(check_package(str(coded_package)).problem)


@pytest.mark.usefixtures("briefly")
def test_an_engine_that_breaks_down_is_a_fault(
    coded_package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down(*_: object) -> None:
        raise OSError("illegal instruction")

    monkeypatch.setattr("cspine.serving.open_session", break_down)

    code, found, errors = _checked("--model", str(coded_package), capsys=capsys)

    assert (code, found["ready"]) == (Exit.FAULT, False)
    assert errors.rstrip().endswith("OSError: illegal instruction")


def test_an_engine_that_is_not_installed_is_told_with_the_reason() -> None:
    with without("onnxruntime", "cspine.runtime.onnx"):
        openvino, onnx = facts.engines()

    assert (openvino.problem, openvino.devices[0].name) == (None, "CPU")
    assert onnx.version is None
    assert "pip install 'cspine[onnx]'" in str(onnx.problem)
