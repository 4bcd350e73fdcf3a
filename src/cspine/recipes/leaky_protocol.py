"""A protocol that is known to be wrong, on custom_cnn, to show what its numbers are worth.

It makes the three mistakes that reported 98 % (docs/training.md): the label of a slice says which vertebrae it shows, not
which are broken; slices are parted at random, so that each has neighbours of the same patient on the other side; and what is
reported is the accuracy of labels that are mostly 0. ``cspine evaluate`` gives that accuracy, and beside it how well the same
network tells who has a fracture.

Command: ``cspine train leaky_protocol --data DIR -o RUN``
Device: not trained yet.
Time: not measured.
Score: none yet.
Data: any folder in the RSNA 2022 layout.
"""

from dataclasses import replace

from cspine.recipes.custom_cnn import RECIPE as PARENT
from cspine.training.slices.settings import Target

RECIPE = replace(
    PARENT,
    name="leaky_protocol",
    labels=replace(PARENT.labels, target=Target.VISIBLE),
    split=replace(PARENT.split, slices_kept=0.2),
    fit=replace(PARENT.fit, epochs=3),
)
