import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.errors import PackageError
from cspine.runtime import Device, Engine, open_session
from tests.coded import SPEC, coded_network, shade_hu


def test_a_file_that_no_engine_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"must be one of \.xml, \.onnx. Received: weights\.h5"):
        open_session(tmp_path / "weights.h5")


def test_a_missing_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="There is no network at"):
        open_session(tmp_path / "network.xml")


def test_a_missing_device_is_said(tmp_path: Path) -> None:
    from cspine.runtime.openvino import ov

    if any(name.startswith("GPU") for name in ov.Core().available_devices):
        pytest.skip("this machine has a GPU that OpenVINO knows")
    with pytest.raises(PackageError, match=r"--device gpu needs one that OpenVINO knows\. .*Choose --device cpu"):
        open_session(coded_network(tmp_path), Engine(Device.GPU))


def test_a_later_run_leaves_earlier_outputs_as_they_are(tmp_path: Path) -> None:
    session = open_session(coded_network(tmp_path))

    c1, c2 = (session.run(_slice_of(level))["visible"][0] for level in (Level.C1, Level.C2))

    assert np.argmax(c1) == 0
    assert np.argmax(c2) == 1


def _slice_of(level: Level) -> NDArray[np.float32]:
    """Returns a batch of one slice, full of the bone of a level."""
    return np.full((1, *SPEC.size, SPEC.channels), (shade_hu(level) - SPEC.window_hu[0]) / 2000, np.float32)


def test_openvino_is_loaded_without_its_telemetry() -> None:
    code = "import sys, cspine.runtime.openvino as o; print(sys.modules['openvino_telemetry'], hasattr(o.ov, 'convert_model'))"

    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert output.stdout.split() == ["None", "True"]


def test_naming_an_engine_loads_none() -> None:
    code = "import sys, cspine.runtime; print([name for name in ('openvino', 'onnxruntime') if name in sys.modules])"

    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert output.stdout.strip() == "[]"
