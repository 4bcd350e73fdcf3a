"""The part of every slice network that learns from patches."""

import numpy as np
import pytest

from cspine.errors import UsageError
from cspine.networks.options import BackboneName
from cspine.networks.settings import CustomCNNSettings, NetworkSettings, TransferSettings, UNetTransferSettings
from cspine.specs import SliceSpec

SPEC = SliceSpec(spacing_mm=(2.0, 2.0, 2.0), size=(64, 64), neighbours=1, window_hu=(-200.0, 1300.0))
DENSENET = BackboneName.DENSENET121
NETWORKS: dict[str, NetworkSettings] = {
    "custom_cnn": CustomCNNSettings(widths=(4, 4, 4, 4, 4), head_width=6, fracture_map=True),
    "densenet121": TransferSettings(DENSENET, weights="none", head_width=8, near=True, magnify=2, fracture_map=True),
    "unet_transfer": UNetTransferSettings(DENSENET, weights="none", widths=(4, 4, 6), head_width=8),
    "unet_transfer near": UNetTransferSettings(DENSENET, weights="none", widths=(4, 4, 6), head_width=8, near=True),
    "unet_transfer boxes": UNetTransferSettings(
        DENSENET, weights="none", widths=(4, 4, 6), head_width=8, near=True, fracture_map=True
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_part_that_learns_from_patches_is_a_part_of_the_whole_network(name: str) -> None:
    network = NETWORKS[name].build(SPEC, seed=1)

    part = network.on_patches()

    assert part.output_shape == (None, 8, 8, 1)
    assert {id(weight) for weight in part.trainable_weights} < {id(weight) for weight in network.trainable_weights}
    assert "evidence" in {layer.name for layer in part.layers}
    assert all(network.get_layer(layer.name) is layer for layer in part.layers if layer.weights)
    slices = np.random.default_rng(0).random((2, 64, 64, 3), dtype=np.float32)
    cells, evidence = np.asarray(part.predict_on_batch(slices)), network.get_layer("evidence")
    assert cells.min() > 0
    evidence.bias.assign([9.0])
    assert np.asarray(part.predict_on_batch(slices)).mean() > 0.9 > cells.mean()


def test_the_map_of_boxes_beside_a_unet_is_read_from_the_backbone() -> None:
    network = NETWORKS["unet_transfer boxes"].build(SPEC, seed=1)
    slices = np.random.default_rng(0).random((1, 64, 64, 3), dtype=np.float32)
    before = np.asarray(network.predict_on_batch(slices)["fracture_map"])

    network.get_layer("maps_logits").bias.assign(np.eye(8)[3] * 9)  # the U-Net, whose maps are not mixed in before training
    same = np.asarray(network.predict_on_batch(slices)["fracture_map"])
    logits = network.on_patches().get_layer("fracture_map_logits")
    logits.bias.assign([99.0])

    np.testing.assert_array_equal(same, before)
    assert np.asarray(network.predict_on_batch(slices)["fracture_map"]).mean() > 0.9 > before.mean()


def test_a_backbone_is_magnified_once_or_twice() -> None:
    with pytest.raises(UsageError, match=r"network\.magnify needs 1 or 2\. Received: 3"):
        TransferSettings(DENSENET, magnify=3)
