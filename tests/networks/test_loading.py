import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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
def test_a_process_that_has_never_heard_of_the_network_can_load_it(tmp_path: Path, outputs: str) -> None:
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
