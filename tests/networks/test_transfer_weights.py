"""Weights of a backbone that was trained on photographs: from a file, and downloaded."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from cspine.networks.backbones import BACKBONES, NAME
from cspine.networks.options import BackboneName
from cspine.networks.settings import TransferSettings, UNetTransferSettings
from cspine.specs import SliceSpec

SPEC = SliceSpec(spacing_mm=(2.0, 2.0, 2.0), size=(64, 64), neighbours=1, window_hu=(-200.0, 1300.0))
_SCRIPT = Path(__file__).parents[3] / "shared" / "weights" / "to_keras.py"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes the weights of an InceptionV3 that was trained on photographs."""
    if not _SCRIPT.is_file():
        pytest.skip("the weights beside the repository are not there")
    path = tmp_path_factory.mktemp("weights") / "inception_v3.weights.h5"
    subprocess.run([sys.executable, str(_SCRIPT), str(path)], check=True, capture_output=True)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TransferSettings, UNetTransferSettings])
def test_weights_from_photographs_go_into_both_kinds_of_network_and_into_what_learns_from_patches(
    kind: type[TransferSettings | UNetTransferSettings], photographs: Path
) -> None:
    settings = kind(BackboneName.INCEPTION_V3, weights=str(photographs), head_width=8)
    settings.check(SPEC)
    settings.fetch()
    network = settings.build(SPEC, seed=0)
    fresh = network.get_layer(NAME).get_weights()

    settings.pretrain(network)

    put = network.get_layer(NAME).get_weights()
    given = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(96, 96, 3))
    given.load_weights(photographs)
    for one, other in zip(put, given.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(put[0], fresh[0])
    assert network.on_patches().get_layer(NAME) is network.get_layer(NAME)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[keras.Model, list[str]]]:
    """Yields a DenseNet121 whose weights a local server plays as those of ImageNet, and what the server was asked for."""
    backbone, folder, home = BACKBONES["densenet121"], tmp_path / "served", tmp_path / "home"
    folder.mkdir()
    home.mkdir()  # Keras puts what it downloads into a folder that all users share, where the one that it is given is not there
    keras.utils.set_random_seed(3)
    network = keras.applications.DenseNet121(include_top=False, weights=None, input_shape=(64, 64, 3))
    network.save(folder / "network.h5")
    (folder / "network.h5").rename(folder / backbone.file)
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    fetch = file_utils.get_file

    def from_here(fname: str, origin: str, **words: Any) -> str:
        here = f"http://127.0.0.1:{server.server_port}/{origin.rsplit('/', 1)[-1]}"
        return str(fetch(fname, here, **words | {"file_hash": None, "cache_dir": str(home)}))

    monkeypatch.setattr("keras.src.applications.densenet.file_utils.get_file", from_here)
    yield network, asked
    server.shutdown()
    server.server_close()


def test_imagenet_is_downloaded_once_and_put_into_the_backbone(served: tuple[keras.Model, list[str]]) -> None:
    given, asked = served
    settings = TransferSettings(BackboneName.DENSENET121, head_width=8)

    settings.fetch()
    network = settings.build(SPEC, seed=0)
    settings.pretrain(network)

    for put, one in zip(network.get_layer(NAME).get_weights(), given.get_weights(), strict=True):
        np.testing.assert_array_equal(put, one)
    assert asked == [f"/{BACKBONES['densenet121'].file}"]
