import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from cspine.errors import TrainingError
from cspine.networks.custom_cnn import CustomCNN
from cspine.networks.loading import load_network
from cspine.networks.vertebra_mil import VertebraMIL

NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "fracture level_map visible": lambda: CustomCNN(input_shape=(32, 32, 3), widths=(4, 4, 4), head_width=4),
    "attention fracture fracture_map overall slices": lambda: VertebraMIL(
        input_shape=(7, 2, 32, 32, 4), widths=(4, 4, 4, 4), width=8, mixers=1
    ),
}


@pytest.mark.parametrize("outputs", NETWORKS)
def test_a_process_that_has_not_imported_the_network_can_load_it(tmp_path: Path, outputs: str) -> None:
    path = tmp_path / "network.keras"
    NETWORKS[outputs]().save(path)
    code = (
        "import cspine.networks.loading, pathlib;"
        f"print(*sorted(cspine.networks.loading.load_network(pathlib.Path({str(path)!r})).output))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout.split() == outputs.split(), done.stderr


@pytest.mark.parametrize("content", [None, b"half a file"])
def test_a_file_that_is_no_network_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "best.keras").write_bytes(content)

    with pytest.raises(TrainingError, match=r"best\.keras cannot be read \(.*train it again") as told:
        load_network(tmp_path / "best.keras")

    assert "\n" not in str(told.value)


def _changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Puts another configuration into a network, as a whole zip."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    told = json.loads(members["config.json"])
    members["config.json"] = json.dumps(change(told)).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda told: {**told, "config": {**told["config"], "widths": [4, 10**9, 4]}}, "widths is 1000000000, and at most 4096"),
        (lambda told: {**told, "config": {**told["config"], "input_shape": [10**12, 32, 3]}}, "input_shape is 1000000000000"),
        (lambda told: {**told, "config": {**told["config"], "widths": [4] * 5000}}, "widths has 5000 values"),
        (lambda told: {**told, "config": {**told["config"], "widths": [[]]}}, ""),
        (lambda told: {**told, "config": None}, ""),
        (lambda told: {**told, "config": {**told["config"], "dropout": "much"}}, ""),
        (lambda told: {**told, "class_name": "Lambda"}, "its class is not known: 'Lambda'"),
        (lambda told: {**told, "module": "os"}, "its class is not known"),
        (lambda told: [told], "its class is not known"),
    ],
)
def test_a_network_of_odd_sizes_or_of_another_make_is_refused_before_it_is_built(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = tmp_path / "best.keras"
    NETWORKS["fracture level_map visible"]().save(path)
    _changed(path, change)

    with pytest.raises(TrainingError, match=rf"best\.keras cannot be read \(.*{message}.*train it again") as told:
        load_network(path)

    assert str(told.value).isprintable()


def test_a_part_of_a_network_comes_back_too(tmp_path: Path) -> None:
    part = VertebraMIL(input_shape=(7, 2, 32, 32, 4), widths=(4, 4, 4, 4), width=8, heads=2).on_slices((32, 32))
    part.save(tmp_path / "last.keras")

    assert load_network(tmp_path / "last.keras").output_shape == part.output_shape
