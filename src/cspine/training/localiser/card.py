"""The model card of a package that finds vertebrae."""

from cspine.modelpack import LocaliserManifest, TrainingData
from cspine.results import DISCLAIMER

_PHANTOMS = """**These networks have only ever seen synthetic necks.** On patients they may miss vertebrae, or misname them.
They are there so that the software can be tried and tested."""

_PATIENTS = "What these networks say about patients of another hospital, scanner or protocol than they were trained on is unproven."


def localiser_card(manifest: LocaliserManifest, difference: float) -> str:
    """The card of a package.

    Args:
        manifest: What the package says about itself.
        difference: How far the exported networks are from the trained ones.
    """
    training = manifest.training
    warning = _PHANTOMS if manifest.training_data is TrainingData.PHANTOMS else _PATIENTS
    figures = "\n".join(f"| {f.name} | {f.value:.3f} | {f.low:.3f} to {f.high:.3f} |" for f in training.figures)
    measured = f"| measured | value | 95 % interval |\n|---|---|---|\n{figures}" if figures else "Nothing was measured yet."
    precisions = " and ".join(dict.fromkeys(network.precision for network in manifest.networks))
    return f"""# {manifest.name} {manifest.version}

{DISCLAIMER}

{warning}

## What it is

{_networks(manifest)}

What the networks say of each voxel becomes C1 to C7 by their order along the spine and by the lengths that vertebrae have in life
(`cspine.locating`). A level whose name is not sure is called uncertain.

## Intended use

{manifest.intended_use}

## Training

- Data: {training.data}.
- Recipe {training.recipe}, seed {training.seed}, {training.software}.

## How good it is

{measured}

Intervals are bootstraps over necks, none of which had a part in training.

The exported networks, calculated in {precisions}, differ from the trained ones by {difference:.1e} at
most, on the stored samples and on whole windows.
"""


def _networks(manifest: LocaliserManifest) -> str:
    (z, y, x), (low, high) = manifest.coarse.spacing_mm, manifest.coarse.window_hu
    size = " x ".join(str(side) for side in manifest.coarse.size)
    text = (
        f"A 3-D U-Net sees windows of {size} voxels of {z:g} x {y:g} x {x:g} mm, {low:g} to {high:g} HU, "
        "and says of each voxel whether it is background, C1 to C7, another vertebra or other bone."
    )
    if manifest.fine is None:
        return text
    size = " x ".join(str(side) for side in manifest.fine.size)
    return f"{text}\nA second one outlines each vertebra in a crop of {size} voxels of {manifest.fine.spacing_mm[0]:g} mm."
