"""Says what a run on a GPU makes and trains, for how many seconds each, and what of it fits."""

from dataclasses import dataclass, replace

from cspine.networks.settings import CustomCNNSettings, PretrainedSettings
from cspine.recipes import load_slice_recipe
from cspine.training.core.settings import Precision
from cspine.training.slices.settings import SliceRecipe

MOST_BYTES = 16 << 20
"""A file that comes back from a lent machine has this size at most."""

SLICES_OF_A_NECK = 180
"""Of 1.2 mm, of a phantom of size small: an upper bound of the mean."""


@dataclass(frozen=True, slots=True)
class Necks:
    """A data set of phantoms.

    Attributes:
        name: Of its folder.
        studies: How many.
        seed: Of all of them.
        enriched: Share of studies in which each level is fractured with a probability of one half.
    """

    name: str
    studies: int
    seed: int
    enriched: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One network.

    Attributes:
        name: Of its recipe.
        patch_seconds: For patches, compiling included.
        slice_seconds: For slices, compiling included.
    """

    name: str
    patch_seconds: float
    slice_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A run.

    Attributes:
        training_set: To train on; none are held out.
        calibrated: To calibrate on.
        unseen: To evaluate on.
        rows: In order of what is most wanted.
        seconds: When no row is begun any more, from the start of the script.
        chunk: Steps between two looks at the clock.
        precision: What networks calculate in.
        tiny: Whether networks and slices are as small as they can be.
    """

    training_set: Necks
    calibrated: Necks
    unseen: Necks
    rows: tuple[Row, ...]
    seconds: float
    chunk: int
    precision: Precision
    tiny: bool = False


FULL = Plan(
    Necks("enriched", 300, 5001, 0.6),
    Necks("calibration", 80, 5003),
    Necks("natural", 120, 5002),
    (
        Row("densenet121", 50, 50),
        Row("inception_v3", 50, 50),
        Row("custom_cnn", 25, 25),
        Row("unet_transfer", 40, 50),
        Row("inception_resnet_v2", 60, 60),
    ),
    seconds=570,
    chunk=25,
    precision=Precision.MIXED_BFLOAT16,
)
TINY = Plan(
    Necks("enriched", 1, 6, 1.0),
    Necks("calibration", 1, 7),
    Necks("natural", 1, 8, 1.0),
    (Row("custom_cnn", 1, 1),),
    seconds=300,
    chunk=2,
    precision=Precision.FLOAT32,
    tiny=True,
)


def recipe_of(row: Row, plan: Plan) -> SliceRecipe:
    """Returns the recipe of a row: from fresh weights, with a fracture map, backbones magnified."""
    recipe = load_slice_recipe(row.name)
    network = replace(recipe.network, fracture_map=True)  # type: ignore[type-var]  # every family is a dataclass that has one
    if isinstance(network, PretrainedSettings):
        network = replace(network, weights="none", magnify=2)
    fit = replace(recipe.fit, batch=32, precision=plan.precision)
    recipe = replace(recipe, network=network, fit=fit, patches=replace(recipe.patches, batch=128, mined=0))
    if not plan.tiny:
        return recipe
    small = CustomCNNSettings(widths=(4, 4, 6, 6, 8), head_width=6, fracture_map=True)
    spec = replace(recipe.input, spacing_mm=(2.4, 1.0, 1.0), size=(96, 96))
    sampling = replace(recipe.sampling, crop=(64, 64))
    return replace(
        recipe, network=small, input=spec, sampling=sampling, fit=replace(fit, batch=4), patches=replace(recipe.patches, batch=8)
    )


def volume_bytes(studies: int, recipe: SliceRecipe) -> int:
    """Returns what slices and their marks take on the device, a byte a pixel each."""
    rows, columns = recipe.input.size
    return 2 * studies * SLICES_OF_A_NECK * rows * columns
