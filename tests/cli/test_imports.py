"""A person waits for every library that ``cspine detect`` loads."""

import subprocess
import sys
from pathlib import Path

from tests.coded import asked

_HEAVY = ("pydicom", "nibabel", "imagecodecs", "scipy", "openvino", "matplotlib", "PIL")


def _loaded(code: str) -> list[str]:
    """Returns which heavy libraries a process has loaded at its end."""
    told = f"{code}\nimport sys\nprint('LOADED', *(name for name in {_HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


def test_the_reading_process_starts_before_anything_heavy_is_loaded() -> None:
    assert _loaded("import cspine.cli.detect") == []


def test_what_predicts_loads_no_reader_of_scans_and_nothing_that_draws() -> None:
    assert _loaded("import cspine.jobs.worker, cspine.runtime.openvino") == ["scipy", "openvino"]


def test_json_alone_is_written_without_what_draws_and_reads(necks: Path, out: Path, coded_package: Path) -> None:
    arguments = ["detect", str(necks / "broken.nii.gz"), "-o", str(out), "--format", "json", *asked(coded_package)]

    assert _loaded(f"from cspine.cli import main\nassert main({arguments}) == 0") == ["scipy", "openvino"]
    assert sorted(path.name for path in (out / "broken").iterdir()) == ["case.json", "result.json"]


def test_naming_the_reading_room_loads_no_reader() -> None:
    assert _loaded("import cspine.reading\nfrom cspine import reading") == []
    assert "pydicom" in _loaded("from cspine.reading import read_study")
