"""A network from the file that training left."""

from pathlib import Path

import keras

from cspine.errors import TrainingError
from cspine.networks.custom_cnn import CustomCNN
from cspine.networks.transfer import TransferNetwork
from cspine.networks.unet3d import UNet3D
from cspine.networks.unet_transfer import UNetTransferNetwork
from cspine.networks.vertebra_mil import VertebraMIL

_FAMILIES = {kind.__name__: kind for kind in (CustomCNN, TransferNetwork, UNetTransferNetwork, UNet3D, VertebraMIL)}


def load_network(path: Path) -> keras.Model:
    """The network of a ``.keras`` file, of any family, without optimiser and losses.

    Raises:
        TrainingError: There is no such file, or it is damaged or of another make.
    """
    try:
        return keras.saving.load_model(path, custom_objects=_FAMILIES, compile=False)
    except Exception as error:  # damaged files fail in Keras, h5py, zipfile and numpy alike, with errors of no common base
        first = str(error).strip().split("\n")[0][:160]
        raise TrainingError(
            f"A trained network is a .keras file of `cspine train`. {path} cannot be read ({first}); train it again."
        ) from error
