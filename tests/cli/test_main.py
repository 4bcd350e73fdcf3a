import subprocess
import sys

import pytest

from cspine.cli import COMMANDS, Exit, main

_SCRIPT = """
import sys
try:
    {code}
except SystemExit:
    pass
print("", *{{name.split(".")[0] for name in sys.modules}}, sep=chr(10) + "LOADED ")
"""


def _loaded(code: str) -> set[str]:
    """Returns names of the top packages that a fresh interpreter has loaded after running some code."""
    output = subprocess.run([sys.executable, "-c", _SCRIPT.format(code=code)], capture_output=True, text=True, check=True)
    return {line.removeprefix("LOADED ") for line in output.stdout.splitlines() if line.startswith("LOADED ")}


def test_the_help_text_loads_nothing_heavy() -> None:
    loaded = _loaded("from cspine.cli import main; main(['--help'])")

    assert not loaded & {"numpy", "scipy", "pydicom", "nibabel", "openvino", "matplotlib", "keras", "tensorflow"}
    assert not loaded & {"sqlalchemy", "pynetdicom", "starlette", "uvicorn", "jinja2", "prometheus_client"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not _loaded("import cspine") & {"numpy", "pydicom", "openvino", "keras"}


def test_detect_loads_no_training_framework() -> None:
    loaded = _loaded("import cspine.cli.detect, cspine.runtime.openvino, cspine.reporting.picture, cspine.reporting.json_result")

    assert {"numpy", "openvino", "matplotlib"} <= loaded
    assert not loaded & {"keras", "tensorflow", "torch", "jax", "sklearn", "pandas"}


def test_the_help_text_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])

    assert left.value.code == Exit.DONE
    output = capsys.readouterr().out
    assert all(f"  {name} " in output for name in COMMANDS)


def test_an_unknown_command_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["diagnose"])

    assert left.value.code == Exit.WRONG_INPUT
    assert "diagnose" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["detect", "models"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])

    assert left.value.code == Exit.DONE
    assert f"usage: cspine {command}" in capsys.readouterr().out
