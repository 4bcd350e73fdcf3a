"""Rows of the table of families: what each trains, where it lies, and how it is done, here or by a worker of a cluster."""

import contextlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from cspine.cli.keras_import import load_keras
from cspine.errors import UsageError
from cspine.training.core.settings import Precision

TRAINING_SET = ("enriched", "--studies 240 --seed 5001 --size small --masks 1 --boxes 0.6 --enriched 0.6")
CALIBRATED = ("calibration", "--studies 60 --seed 5003 --size small --masks 1 --boxes 1")
UNSEEN = ("natural", "--studies 200 --seed 5002 --size small --masks 1 --boxes 1")
BATCH, PATCH_BATCH = 16, 48
SCHEDULE = "--skip-broken --set fit.threads=1 --set split.folds=10 --set sampling.validation_step=4"
RATE, RATE_AFTER_PATCHES = "--set fit.learning_rate=1e-3", "--set fit.learning_rate=3e-4"
HARD_NEGATIVES = "--set patches.mined=1000 --set patches.held_out=800"
FRESH = "--weights none --boxes"
"""A transfer network without the download."""

FROZEN_STEM = (
    "--boxes --set network.head_epochs=1 --set network.tuned_from=mixed0 --set network.tuned_rate=0.3"
    " --set network.tuned_normalisation=false"
)
"""An InceptionV3 from a file of weights whose fine features are fine-tuned after one epoch, without its stem."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: Of the run.
        recipe: What is trained.
        options: What its command has beyond the budget; ``{runs}`` is the folder of the runs.
        after: The row that must be trained before it; none if empty.
    """

    name: str
    recipe: str
    options: str = ""
    after: str = ""


ROWS = (
    Row("custom_cnn", "custom_cnn"),
    Row("custom_cnn_boxes", "custom_cnn", "--boxes"),
    Row("custom_cnn_boxes_alone", "custom_cnn", "--boxes --set labels.fracture_masks=ignore"),
    Row("custom_cnn_pseudo", "custom_cnn", "--pseudo-labels {runs}/custom_cnn", after="custom_cnn"),
    Row("leaky_protocol", "leaky_protocol"),
    Row("densenet121", "densenet121", FRESH),
    Row("inception_v3", "inception_v3", FRESH),
    Row("unet_transfer", "unet_transfer", FRESH),
    Row("inception_resnet_v2", "inception_resnet_v2", FRESH),
)
LEAKY = "leaky_protocol"
PHOTOGRAPHS = {
    "inception_v3_photographs": ("inception_v3", "--boxes"),
    "inception_v3_frozen_stem": ("inception_v3", FROZEN_STEM),
    "unet_transfer_photographs": ("unet_transfer", "--backbone inception_v3 --boxes"),
}
"""Recipe and options of the rows of an InceptionV3 from a file of weights, by name."""


@dataclass(frozen=True, slots=True)
class Place:
    """Says where things are.

    Attributes:
        out: The folder of everything.
        steps: The budget of slices.
        patch_steps: The budget of patches; with 0 training begins with slices.
        precision: What networks calculate in.
        epochs: Into which the steps on slices are parted.
        patch_epochs: The same of those on patches.
    """

    out: Path
    steps: int
    patch_steps: int = 0
    precision: Precision = Precision.FLOAT32
    epochs: int = 2
    patch_epochs: int = 6

    @property
    def runs(self) -> Path:
        """Returns the runs of this budget."""
        return self.out / f"steps-{self.patch_steps}-{self.steps}-epochs-{self.patch_epochs}-{self.epochs}"

    @property
    def cache(self) -> tuple[str, str]:
        """Returns where prepared studies are kept, as commands are told."""
        return ("--cache", str(self.out / "cache"))

    def evaluated(self, row: Row) -> Path:
        """Returns what `cspine evaluate` says of a row on the unseen studies."""
        return self.runs / "evaluated" / row.name

    def log(self, row: Row) -> Path:
        """Returns what the commands of a row told, where a worker did it."""
        return self.runs / f"{row.name}.log"

    def spent(self, row: Row) -> Path:
        """Returns what training a row took."""
        return self.runs / f"{row.name}.json"

    def entries(self, row: Row) -> Path:
        """Returns what the protocol of accuracies says of a row on the unseen studies."""
        return self.runs / "evaluated" / f"{row.name}.json"

    def size(self, row: Row) -> Path:
        """Returns how large the network of a row is."""
        return self.runs / "evaluated" / f"{row.name}_size.json"

    def command(self, row: Row) -> list[str]:
        """Trains a row."""
        budget = f"--set fit.batch={BATCH} --set fit.batches={self.steps // self.epochs} --set fit.epochs={self.epochs}"
        own = row.options.format(runs=self.runs)
        return ["train", row.recipe, *shlex.split(f"{own} {budget} {self._patches(row)} {SCHEDULE} {self._precision}")]

    @property
    def _precision(self) -> str:
        return f"--set fit.precision={self.precision.value}"

    def _patches(self, row: Row) -> str:
        if row.name == LEAKY:
            return RATE
        if not self.patch_steps:
            return f"--set patches.epochs=0 {RATE}"
        batches = f"--set patches.batch={PATCH_BATCH} --set patches.batches={self.patch_steps // self.patch_epochs}"
        return f"--set patches.epochs={self.patch_epochs} {batches} {HARD_NEGATIVES} --set heads.epochs=1 {RATE_AFTER_PATCHES}"


def do_row(place: Place, row: Row, backend: str) -> None:
    """Does what is left to do of a row, in a process that may have done others.

    Args:
        place: Where things are, by whole paths that all machines see.
        row: Which.
        backend: The framework that Keras runs on.

    Raises:
        UsageError: A command of the row failed.
    """
    os.environ["KERAS_BACKEND"] = backend  # that of the benchmark, which the machine's own environment need not have
    place.runs.mkdir(parents=True, exist_ok=True)
    with place.log(row).open("a", encoding="utf-8") as log, contextlib.redirect_stderr(log):
        load_keras()
        import keras

        from benchmarks.family_training import evaluate_row, train_row

        try:
            train_row(place, row)
            evaluate_row(place, row)
            keras.backend.clear_session()
        except SystemExit as end:
            raise UsageError(f"The row {row.name} ended with exit code {end.code}. Read {place.log(row)}.") from None
