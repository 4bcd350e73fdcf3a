import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cspine import bundling
from cspine.cli import Exit, main
from cspine.modelpack import OUTPUTS, load_any_package
from cspine.specs import RefinerSpec, VertebraSpec
from tests.coded import SPEC, WINDOWS

ort = pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'cspine[onnx]'")


@pytest.fixture
def bundle(coded_package: Path, tmp_path: Path) -> Path:
    assert main(["bundle", str(coded_package), "-o", str(tmp_path / "bundle")]) == Exit.DONE
    return tmp_path / "bundle"


def _metadata(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / "configs" / "metadata.json").read_text())
    return found


def test_a_bundle_says_what_its_network_is_fed_and_what_its_outputs_mean(bundle: Path, coded_package: Path) -> None:
    package, about = load_any_package(coded_package), _metadata(bundle)

    image, ours = about["network_data_format"]["inputs"]["image"], about["cspine"]
    assert (image["spatial_shape"], image["num_channels"]) == ([*SPEC.size], SPEC.channels)
    assert image["axes"] == ["slice", "row", "column", "channel"]
    assert list(image["channel_def"].values()) == ["CT, slice -1", "CT, the slice itself", "CT, slice +1"]
    assert set(about["network_data_format"]["outputs"]) == set(package.manifest.networks[0].outputs)
    assert (ours["inputs"]["slices"]["spacing_mm"], ours["inputs"]["slices"]["window_hu"]) == ([3, 2, 2], [-200, 1800])
    assert ours["package_sha256"] == package.sha256
    assert ours["outputs"] == list(OUTPUTS)
    assert len(ours["calibration"]["slopes"]) == len(ours["operating_points"]["balanced"]) == len(OUTPUTS)
    assert (about["name"], about["version"]) == (package.manifest.name, package.manifest.version)
    assert about["authors"] == about["copyright"] == "Not stated by the package"


def test_the_example_of_a_bundle_runs_in_it(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (bundle / "docs" / "README.md").read_text()
    monkeypatch.chdir(bundle)

    exec(page.split("```python")[1].split("```")[0], {})

    differences = capsys.readouterr().out.strip().splitlines()[-1]
    assert max(eval(differences).values()) < bundling.TOLERANCE
    assert "Knows blocks only." in page


def test_a_localiser_becomes_a_bundle_too(coded_localiser: Path, tmp_path: Path) -> None:
    assert main(["bundle", str(coded_localiser), "-o", str(tmp_path / "bundle")]) == Exit.DONE

    about = _metadata(tmp_path / "bundle")
    assert about["network_data_format"]["inputs"]["image"]["axes"] == ["window", "slice", "row", "column", "channel"]
    assert about["cspine"]["inputs"]["coarse"]["spacing_mm"] == list(WINDOWS.spacing_mm)
    assert "calibration" not in about["cspine"]


def test_who_made_a_package_is_said_of_those_that_ship_alone() -> None:
    about = bundling.metadata(load_any_package("custom_cnn_phantoms"), {})

    assert (about["authors"], about["copyright"]) == ("The cspine developers", "Apache-2.0")


def test_channels_are_told_for_each_kind_of_input() -> None:
    crops = VertebraSpec((1, 1, 1), 8, (16, 16), 4, 1, (-200, 1800))
    windows = RefinerSpec((2, 2, 2), (8, 8, 8), (-200, 1800))

    assert len(bundling._channels(crops)) == crops.channels
    assert bundling._channels(crops)[-1] == "the vertebra, smoothed"
    assert len(bundling._channels(windows)) == windows.channels
    assert len(bundling._channels(WINDOWS)) == 1


def test_a_network_that_answers_otherwise_as_onnx_is_not_written(
    coded_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ort.InferenceSession.run

    def shifted(self: Any, *arguments: Any) -> list[Any]:
        return [np.asarray(output) + np.float32(0.01) for output in run(self, *arguments)]

    monkeypatch.setattr(ort.InferenceSession, "run", shifted)

    assert main(["bundle", str(coded_package), "-o", str(tmp_path / "bundle")]) == Exit.WRONG_INPUT

    assert (
        "must give the same outputs as ONNX, within 0.001. They differ by 0.01; no bundle was written." in capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_replaces_a_bundle_and_nothing_else(
    bundle: Path, coded_package: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (bundle / "models" / "old.onnx").write_text("")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")

    assert main(["bundle", str(coded_package), "-o", str(bundle)]) == Exit.DONE
    assert main(["bundle", str(coded_package), "-o", str(tmp_path / "mine")]) == Exit.WRONG_INPUT

    assert [path.name for path in (bundle / "models").iterdir()] == ["slices.onnx"]
    assert "A bundle needs a new or empty folder." in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
