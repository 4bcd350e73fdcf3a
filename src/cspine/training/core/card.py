"""The model card: what a package is, in a page of Markdown for people."""

from cspine.modelpack import OperatingPoint, SliceManifest, TrainingData
from cspine.results import DISCLAIMER

PHANTOMS = """**This network has only ever seen synthetic necks.** What it says about a patient is unproven: it may miss every
fracture and see fractures where there are none. It is there so that the software can be tried and tested."""

PATIENTS = "What this network says about patients of another hospital, scanner or protocol than it was trained on is unproven."


def card(manifest: SliceManifest, held_out: int, calibrated: int, difference: float) -> str:
    """The card of a package.

    Args:
        manifest: What the package says about itself.
        held_out: Number of patients that chose the epoch.
        calibrated: Number of patients that calibration and thresholds come from.
        difference: How far the exported network is from the trained one, on the stored samples.
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

A `{training.recipe}` network that classifies one axial slice at a time: {spec.size[0]} x {spec.size[1]} pixels of {y:g} x {x:g} mm,
every {z:g} mm, with {spec.neighbours} neighbour(s) above and below, {low:g} to {high:g} HU. For each of C1 to C7 it says
how much of the vertebra is in the slice and whether it looks broken there. Slices become vertebrae by the pooling
`{manifest.pooling}`; scores become probabilities by a line through their logits (Platt, 1999).
The score of the study is the noisy-OR of the probabilities of its vertebrae, and becomes a probability in the same way.

## Intended use

{manifest.intended_use}

## Training

- Data: {training.data}. {training.patients} studies are the training set, {held_out} others were held out and chose the epoch.
- Calibration and thresholds: {calibrated} studies outside the training set.
- Seed {training.seed}, {training.software}.
- Labels: the label of the study for a level times how much of the level is in the slice; where a study has boxes, slices of
  a fractured level count as fractured where a box is on the level; in a phantom, where its fracture is.

## How good it is

| measured | value | 95 % interval |
|---|---|---|
{figures}

Intervals are bootstraps over patients. Held-out studies also chose the epoch, or the calibration and the thresholds, which
flatters a little; unseen studies did not.

| operating point | threshold of the study | thresholds of C1 to C7 |
|---|---|---|
{points}

The exported network differs from the trained one by {difference:.1e} at most, on the stored samples.
"""


def threshold_row(point: OperatingPoint) -> str:
    """A row of the table of operating points: the threshold of the study, and of each level where these differ."""
    levels = [f"{threshold:.3f}" for threshold in point.thresholds[1:]]
    return f"| {point.name} | {point.thresholds[0]:.3f} | {', '.join(levels) if len(set(levels)) > 1 else levels[0]} |"
