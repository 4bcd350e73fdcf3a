"""A network from the file that training left."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from cspine.errors import TrainingError, one_line
from cspine.networks.custom_cnn import CustomCNN
from cspine.networks.transfer import TransferNetwork
from cspine.networks.unet3d import UNet3D
from cspine.networks.unet_transfer import UNetTransferNetwork
from cspine.networks.vertebra_mil import VertebraMIL
from cspine.storage.strict_json import parse_json

_FAMILIES = {kind.__name__: kind for kind in (CustomCNN, TransferNetwork, UNetTransferNetwork, UNet3D, VertebraMIL)}
_MODULES = {name: kind.__module__ for name, kind in _FAMILIES.items()} | {"Functional": "keras.src.models.functional"}
"""Where each is made; a part of a network, as the backbone that learns from patches, is a functional model of Keras."""

_MOST_BYTES = 4 << 30
_NO_SIZES = ("seed", "shared_object_id")
_LARGEST = 4096
"""Channels, rows, slices: no network of ours has as many, and of one with more a layer alone could fill the memory."""


def load_network(path: Path) -> keras.Model:
    """Returns the network of a ``.keras`` file, of any family, without optimiser and losses.

    Raises:
        TrainingError: There is no such file, or it is damaged or of another make.
    """
    try:
        _check(path)
        return keras.saving.load_model(path, custom_objects=_FAMILIES, compile=False)
    except Exception as error:  # damaged files fail in Keras, h5py, zipfile and numpy alike, with errors of no common base
        first = one_line(str(error).strip().split("\n")[0], 160)
        raise TrainingError(
            f"A trained network is a .keras file of `cspine train`. {path} cannot be read ({first}); train it again."
        ) from error


def _check(path: Path) -> None:
    """Refuses a file that is not of our families, or of sizes that no machine holds, before anything is built.

    Raises:
        ValueError: It is.
        OSError, KeyError, zipfile.BadZipFile: It is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
        if size > _MOST_BYTES:
            raise ValueError(f"it unpacks to {size} bytes, and at most {_MOST_BYTES} are allowed")
        config = parse_json(archive.read("config.json"))
    name = config.get("class_name") if isinstance(config, dict) else None
    if name not in _MODULES or config.get("module") != _MODULES[name]:
        raise ValueError(f"its class is not known: {name!r:.40}")
    for key, value in _numbers(config.get("config")):
        if key not in _NO_SIZES and abs(value) > _LARGEST:
            raise ValueError(f"{key} is {value}, and at most {_LARGEST} is allowed")


def _numbers(value: Any, key: str = "config") -> Iterator[tuple[str, float]]:
    """Gives every number of a configuration, with the key that it stands under."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _numbers(part, name)
    elif isinstance(value, list):
        if len(value) > _LARGEST:
            raise ValueError(f"{key} has {len(value)} values")
        for part in value:
            yield from _numbers(part, key)
    elif isinstance(value, int | float):
        yield key, value
