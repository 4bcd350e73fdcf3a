"""Tests that a transfer network keeps every argument that it was built with."""

from typing import Any

from cspine.networks.transfer import TransferNetwork

ARGUMENTS: dict[str, Any] = {
    "input_shape": (64, 64, 3),
    "backbone": "densenet121",
    "head_width": 8,
    "dropout": 0.35,
    "fracture_map": True,
    "near": True,
    "magnify": 2,
    "seed": 3,
    "name": "other",
    "trainable": False,
}


def test_every_argument_is_in_the_config_and_comes_back() -> None:
    config = TransferNetwork(**ARGUMENTS).get_config()

    again = TransferNetwork.from_config(config)

    assert config == ARGUMENTS
    assert again.get_config() == config
    assert {layer.rate for layer in again.layers if "dropout" in type(layer).__name__.lower()} == {0.35}
