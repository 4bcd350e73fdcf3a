"""The model card of a package that judges vertebra by vertebra."""

from dataclasses import dataclass

from cspine.modelpack import TrainingData, VertebraManifest
from cspine.results import DISCLAIMER
from cspine.training.core.card import PATIENTS, PHANTOMS, threshold_row
from cspine.training.core.export import TOLERANCE

_PASSES = {
    1: "There is no test-time augmentation.",
    2: "Test-time augmentation takes 2 passes: as it is, and mirrored on the next slices; the mean of the logits counts.",
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far an exported network parts from the trained one, at most, in any output.

    Attributes:
        exact: In single precision.
        precision: In which it is served.
        served: In that, if it is not single precision.
        tolerance: What it may.
    """

    exact: float
    precision: str = "f32"
    served: float | None = None
    tolerance: float = TOLERANCE

    def __str__(self) -> str:
        said = f"{self.exact:.1e} at most"
        return said if self.served is None else f"{said} in f32, and by {self.served:.1e} in {self.precision}, as it is served"


def vertebra_card(manifest: VertebraManifest, held_out: int, calibrated: int, agreement: Agreement) -> str:
    """The card of a package.

    Args:
        manifest: What the package says about itself.
        held_out: Number of patients that were held out in training.
        calibrated: Number of patients that calibration and thresholds come from.
        agreement: How far the exported network is from the trained one.
    """
    spec, training = manifest.spec, manifest.training
    (z, y, x), (low, high) = spec.spacing_mm, spec.window_hu
    warning = PHANTOMS if manifest.training_data is TrainingData.PHANTOMS else PATIENTS
    figures = "\n".join(f"| {f.name} | {f.value:.3f} | {f.low:.3f} to {f.high:.3f} |" for f in training.figures)
    points = "\n".join(map(threshold_row, manifest.operating_points))
    return f"""# {manifest.name} {manifest.version}

{DISCLAIMER}

{warning}

## What it is

A `{training.recipe}` network. It classifies {spec.slices} slices across the spine around each of C1 to C7 that the localiser finds,
spread over the height of the vertebra: {spec.size[0]} x {spec.size[1]} pixels of {y:g} x {x:g} mm, {low:g} to {high:g} HU, each
with {spec.neighbours} neighbour(s) {z:g} mm above and below and the mask of the vertebra. Attention weighs the slices; then the
seven vertebrae and the study are classified together. A map of cells of 4 mm says where the network sees a fracture.
{_PASSES[manifest.tta_passes]} Scores become probabilities by a
line through their logits (Platt, 1999).

## Intended use

{manifest.intended_use}

It must not be used to rule a fracture in or out, to order a worklist, or on levels that it does not assess.

## Training

- Data: {training.data}. {training.patients} studies are the training set, {held_out} others were held out.
- Calibration and thresholds: {calibrated} studies outside the training set.
- Seed {training.seed}, {training.software}.
- Labels: the label of the study for a level; where boxes or, in a phantom, the fractures themselves are known, also in which slices
  and cells of it. A level of which less than three tenths is in view is left out.

## How good it is

| measured | value | 95 % interval |
|---|---|---|
{figures}

Intervals are bootstraps over patients.

| operating point | threshold of the study | thresholds of C1 to C7 |
|---|---|---|
{points}

The exported network differs from the trained one by {agreement}, on studies that were held out and on stored samples.

## What it fails at

`docs/models.md` has tables by kind and severity of the fracture, and of false positives on look-alikes. Levels that the
localiser misnames or misses are classified wrongly or not at all.
"""
