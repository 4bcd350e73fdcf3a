"""Every family of slice networks behaves like every other."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.detection import Detector
from cspine.detection.stack import slices_around, visible_levels
from cspine.imaging import sample
from cspine.imaging.slices import network_input
from cspine.locating import Localiser
from cspine.modelpack import (
    Calibration,
    NetworkFile,
    OperatingPoint,
    Samples,
    SliceManifest,
    TrainingData,
    TrainingFacts,
    pool_slices,
    write_package,
)
from cspine.networks.backbones import BACKBONES, NAME
from cspine.networks.loading import load_network
from cspine.networks.options import Learning
from cspine.results import StudyStatus
from cspine.runtime import Engine, open_session
from cspine.training.core.conversion import write_ir
from cspine.training.core.loop import compiled, enter_stage
from cspine.training.slices.packing import SERVED
from cspine.training.slices.settings import SliceRecipe
from tests.coded import coded_volume, study_of
from tests.conformance.families import FAMILIES, SPEC, Family, batch, task_of
from tests.shallow import shallow_applications

SLOW = {"inception_v3", "unet_transfer_boxes"}
PARAMETERS = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in FAMILIES]

SLICES = np.random.default_rng(0).random((8, *SPEC.size, SPEC.channels), dtype=np.float32)


def answers(network: keras.Model, slices: np.ndarray) -> dict[str, np.ndarray]:
    """Returns what a network says, step by step: once is sooner done than traced."""
    return {name: np.asarray(answer) for name, answer in network(slices, training=False).items()}


@dataclass
class Built:
    """A family and its network, which tests train on, and what it says to eight slices before and after."""

    name: str
    family: Family
    network: keras.Model
    told: dict[str, np.ndarray]


@pytest.fixture(scope="module", autouse=True)
def _shallow() -> Iterator[None]:
    """Builds backbones with few blocks; tests/networks/test_backbones.py builds them whole."""
    with shallow_applications():
        yield


@pytest.fixture(scope="module", params=PARAMETERS)
def built(request: pytest.FixtureRequest) -> Iterator[Built]:
    """Builds a network once."""
    family = FAMILIES[request.param]
    network = compiled(task_of(family.whole), family.whole.fit)
    yield Built(request.param, family, network, answers(network, SLICES))
    keras.backend.clear_session()


@pytest.fixture(scope="module")
def served(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its network as OpenVINO IR."""
    path = tmp_path_factory.mktemp(built.name) / "slices.xml"
    outputs = {name: built.network.output[name] for name in SERVED if name in built.network.output}
    write_ir(keras.Model(built.network.inputs, outputs), path)
    return path


def test_it_answers_with_the_outputs_of_its_settings(built: Built) -> None:
    rows, columns = SPEC.size
    shapes = {
        "fracture": (8, 7),
        "visible": (8, 7),
        "level_map": (8, rows // 8, columns // 8, 8),
        "maps": (8, rows, columns, 8),
        "fracture_map": (8, rows // 8, columns // 8, 1),
    }

    assert {name: answer.shape for name, answer in built.told.items()} == {
        name: shapes[name] for name in built.family.settings.outputs
    }
    assert all(answer.min() >= 0 and answer.max() <= 1 for answer in built.told.values())
    np.testing.assert_allclose(built.told["level_map"].sum(axis=-1), 1, atol=1e-5)


def test_it_comes_back_from_disk_bit_for_bit_with_every_argument(built: Built, tmp_path: Path) -> None:
    built.network.save(tmp_path / "network.keras", include_optimizer=False)

    loaded = load_network(tmp_path / "network.keras")

    arguments = set(inspect.signature(type(loaded).__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(loaded.get_config())
    assert loaded.get_config() == built.network.get_config()
    for name, answer in answers(loaded, SLICES).items():
        np.testing.assert_array_equal(answer, built.told[name])


def test_steps_on_a_repeated_batch_lower_its_loss_of_which_every_part_is_told(built: Built) -> None:
    recipe = built.family.whole
    images, targets = batch(recipe)

    with training(built.network, recipe, 0) as network:
        losses = [step(network, images, targets) for _ in range(6)]

    assert set(losses[0]) == {"loss", *(f"{name}_loss" for name in recipe.network.outputs)}
    assert losses[-1]["loss"] < 0.9 * losses[0]["loss"]


def test_in_each_stage_what_shall_learn_learns_and_nothing_else(built: Built) -> None:
    recipe = built.family.recipe
    images, targets = batch(recipe)
    for number, stage in enumerate(recipe.network.stages):
        with training(built.network, recipe, number) as network:
            before = weights_by_layer(network)
            network.train_on_batch(images, targets)
            after = weights_by_layer(network)

        changed = {
            name for name in before if any(not np.array_equal(*pair) for pair in zip(before[name], after[name], strict=True))
        }
        assert changed >= {"evidence", "neck_convolution"}
        if stage.learning is Learning.HEADS:
            assert not changed & set(within(network))
        elif stage.learning is Learning.TUNING:
            whole = network.near  # a backbone whose fine features alone are read is fine-tuned as a whole
            first = 0 if whole else within(network).index(BACKBONES[network.backbone].tuned_from)
            tuned = changed & set(within(network)[first:])
            assert tuned
            assert tuned == changed & set(within(network))
            assert not any(isinstance(network.get_layer(NAME).get_layer(name), keras.layers.BatchNormalization) for name in tuned)


def step(network: keras.Model, images: np.ndarray, targets: dict[str, np.ndarray]) -> dict[str, float]:
    """Returns the losses before one step."""
    network.reset_metrics()
    return {name: float(loss) for name, loss in network.train_on_batch(images, targets, return_dict=True).items()}


@contextmanager
def training(network: keras.Model, recipe: SliceRecipe, stage: int) -> Iterator[keras.Model]:
    """Yields the network in a stage of training; afterwards its weights are as before."""
    before = network.get_weights()
    enter_stage(network, task_of(recipe), recipe.fit, stage)
    network.run_eagerly = True  # a few steps are sooner done than traced
    yield network
    network.set_weights(before)


def within(network: keras.Model) -> list[str]:
    """Returns names of the layers of its backbone."""
    return [layer.name for layer in network.get_layer(NAME).layers]


def weights_by_layer(network: keras.Model) -> dict[str, list[np.ndarray]]:
    """Returns weights of every layer that has some, those of a backbone one by one."""
    layers = [inner for layer in network.layers for inner in (layer.layers if isinstance(layer, keras.Model) else [layer])]
    return {layer.name: layer.get_weights() for layer in layers if layer.weights}


@pytest.mark.parametrize("size", [1, 8])
def test_the_exported_network_says_the_same(built: Built, served: Path, size: int) -> None:
    found = open_session(served, Engine(threads=1)).run(SLICES[:size])

    assert set(found) == set(SERVED) & set(built.told)
    for name, answer in found.items():
        np.testing.assert_allclose(answer, built.told[name][:size], atol=1e-4)


def test_the_service_says_what_the_network_says(built: Built, served: Path, coded_localiser: Path, tmp_path: Path) -> None:
    names = tuple(name for name in SERVED if name in built.family.settings.outputs)
    manifest = SliceManifest(
        name=built.name,
        version="1",
        kind="slices",
        spec=SPEC,
        networks=(NetworkFile("slices", served.name, names),),
        calibration=Calibration.identity(),
        operating_points=(OperatingPoint("balanced", (0.5,) * 8),),
        default_point="balanced",
        training_data=TrainingData.PHANTOMS,
        trained_on="nothing",
        intended_use="Tests only.",
        training=TrainingFacts(built.name, "nothing", 0, 0, "none"),
    )
    files = {path.name: path for path in (served, served.with_suffix(".bin"))}
    samples = {"slices": Samples(SLICES, {name: built.told[name] for name in names})}
    write_package(tmp_path / "package", manifest, files, samples, "# Untrained\n")
    study = study_of(coded_volume(spacing_mm=(3.0, 2.0, 2.0)))
    localiser = Localiser(coded_localiser, Engine(threads=1))
    located = localiser(study.volume)
    stack = sample(study.volume, slices_around(located, study.volume.grid, SPEC))
    told = answers(built.network, network_input(stack, SPEC))
    pooled = pool_slices(told["fracture"], visible_levels(located, stack.grid))

    result = Detector(tmp_path / "package", Engine(threads=1), localiser=localiser)(study)

    assert result.status is StudyStatus.OK
    assert sum(level.assessment is not None for level in result.levels) == 7
    for level, score in zip(result.levels, pooled.scores, strict=True):
        if level.assessment is not None:
            assert level.assessment.probability == pytest.approx(score, abs=1e-3)
