"""From a Keras network to OpenVINO IR, the same bytes for the same network."""

from pathlib import Path

import keras

from cspine.runtime.openvino import ov
from cspine.training.core.fusing import fuse_normalisation


def write_ir(network: keras.Model, path: Path) -> None:
    """Writes the network as ``path`` (``.xml``) and its weights beside it (``.bin``).

    OpenVINO and TensorFlow name nodes and tensors by counters of the process; here they are named by their order.

    Args:
        network: A network with one input and a dictionary of outputs.
        path: Where the description goes.
    """
    raw = path.with_name(f"raw-{path.name}")
    network.export(str(raw), format="openvino", verbose=False)
    model = ov.Core().read_model(raw)
    fuse_normalisation(model)
    names = [set(port.get_names()) & set(network.output) for port in model.outputs]
    for number, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{number}")
        for port in node.outputs():
            port.get_tensor().set_names(set())
    for port, name in zip(model.outputs, names, strict=True):
        port.get_tensor().set_names(name)
    model.inputs[0].get_tensor().set_names({network.inputs[0].name})
    model.set_friendly_name(path.stem)
    ov.save_model(model, path, compress_to_fp16=False)
