"""A protocol that is known to be wrong, on custom_cnn, to show what its numbers are worth.

It makes the three mistakes that reported 98 % (docs/explanation/honest-protocol.md): the label of a slice says which vertebrae
it shows, not which are fractured; slices are parted at random, so that each has neighbours of the same patient on the other
side; and what is reported is the accuracy of labels that are mostly 0. ``cspine evaluate`` gives that accuracy, and beside it
how well the same network tells who has a fracture.

Command: ``cspine train leaky_protocol --data DIR -o RUN``
Device: one processor thread, with other work beside, for the short training.
Time: not measured.
Score: not trained to its plateau. A short training gives a leaky accuracy of 0.826, and an AUROC of any fracture of
0.496 (0.389 to 0.613) on 100 unseen phantoms (docs/benchmarks.md):
``python -m benchmarks.families OUT --steps 1500 --rows leaky_protocol``
Data: 128 phantoms of seed 5001 for the short training. Any folder in the RSNA 2022 layout.
"""

from dataclasses import replace

from cspine.recipes.custom_cnn import RECIPE as PARENT
from cspine.training.slices.settings import Target

RECIPE = replace(
    PARENT,
    name="leaky_protocol",
    labels=replace(PARENT.labels, target=Target.VISIBLE),
    sampling=replace(PARENT.sampling, held_back_share=0.2),
    patches=replace(PARENT.patches, epochs=0),
    fit=replace(PARENT.fit, epochs=3),
)
