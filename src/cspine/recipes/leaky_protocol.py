"""A protocol that is known to be wrong, on custom_cnn, to show what its numbers are worth.

It makes the three mistakes that reported 98 % (docs/explanation/honest-protocol.md): the label of a slice says which vertebrae
it shows, not which are fractured; slices are parted at random, so that each has neighbours of the same patient on the other
side; and what is reported is the accuracy of labels that are mostly 0. ``cspine evaluate`` gives that accuracy, and beside it
how well the same network tells who has a fracture.

Command: ``cspine train leaky_protocol --data DIR -o RUN``
Device: one processor thread, with other work beside, for the ablation; the recipe as it stands has not been trained to its end.
Time: not measured.
Score: AUROC of any fracture 0.496 (0.389 to 0.613) on 100 unseen phantoms after 1500 steps, beside a leaky accuracy of 0.826;
a short training of docs/benchmarks.md, not this recipe's score.
Data: 128 phantoms of seed 5001 for the ablation. Any folder in the RSNA 2022 layout.
"""

from dataclasses import replace

from cspine.recipes.custom_cnn import RECIPE as PARENT
from cspine.training.slices.settings import Target

RECIPE = replace(
    PARENT,
    name="leaky_protocol",
    labels=replace(PARENT.labels, target=Target.VISIBLE),
    sampling=replace(PARENT.sampling, held_back_share=0.2),
    fit=replace(PARENT.fit, epochs=3),
)
